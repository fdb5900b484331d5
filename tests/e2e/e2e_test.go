package e2e

import (
	"regexp"
	"testing"
)

func TestScenariosAreNamedOnceAndSayWhatTheyShow(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All() {
		if s.Name == "" || seen[s.Name] || s.About == "" || s.Run == nil {
			t.Errorf("scenario %+v has no name of its own, says nothing or does nothing", s)
		}
		seen[s.Name] = true
	}
	if got := len(Select(regexp.MustCompile("^interop-v[23]$"))); got != 2 {
		t.Errorf("Select finds %d of the scenarios with keepalived, want 2", got)
	}
}
