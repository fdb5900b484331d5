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

func TestAFailureIsNotedAndTheCleanupsRun(t *testing.T) {
	cleaned := false
	r := run(Scenario{Name: "x", Run: func(t *T) {
		t.Cleanup(func() { cleaned = true })
		t.Fatalf("broken")
	}}, "")
	if r.OK || len(r.Failures) != 1 || !cleaned {
		t.Errorf("the result is %+v and the cleanup ran: %v; want one failure, and true", r, cleaned)
	}
	r = run(Scenario{Name: "y", Run: func(*T) { panic("oh") }}, "")
	if r.OK {
		t.Errorf("a panic counts as passed")
	}
	if r = run(Scenario{Name: "z", Run: func(*T) {}}, ""); !r.OK {
		t.Errorf("a scenario without a failure has failed: %v", r.Failures)
	}
}
