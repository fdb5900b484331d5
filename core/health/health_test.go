package health_test

import (
	"strings"
	"testing"

	"github.com/vipward/vipward/core/health"
)

// outcomes are the letters in which the tests write results: pass, warn, fail, error.
var outcomes = map[rune]health.Outcome{'P': health.Pass, 'W': health.Warn, 'F': health.Fail, 'E': health.Error}

// letters are those in which they write verdicts.
var letters = map[health.Status]string{health.Up: "u", health.Down: "d", health.Unknown: "?"}

func TestVerdictAfterEachResult(t *testing.T) {
	tests := []struct {
		name          string
		rise, fall    int
		initial       health.Status
		results, want string
	}{
		{"the first pass is enough for a target never seen", 3, 3, health.Unknown, "P", "u"},
		{"the first pass is enough for one that is down by configuration", 3, 3, health.Down, "P", "u"},
		{"an unknown target falls like any other", 1, 3, health.Unknown, "FFF", "??d"},
		{"one that is up by configuration falls like any other", 1, 3, health.Up, "FFF", "uud"},
		{"one that is down by configuration and fails has failed", 2, 3, health.Down, "FPP", "ddu"},
		{"after a failure it rises by the rule", 3, 1, health.Unknown, "FPPP", "dddu"},
		{"a failure in between begins the rise again", 2, 2, health.Up, "FFPFPP", "uddddu"},
		{"a pass in between begins the fall again", 1, 3, health.Up, "FFPFFF", "uuuuud"},
		{"an error is no failure", 1, 1, health.Up, "EEEE", "uuuu"},
		{"an error is no pass", 1, 1, health.Down, "EEEE", "dddd"},
		{"an error leaves an unknown target unknown", 1, 1, health.Unknown, "EE", "??"},
		{"an error does not end a row of failures", 1, 3, health.Up, "FEFEF", "uuuud"},
		{"an error does not end a row of passes", 2, 1, health.Up, "FPEP", "dddu"},
		{"a warning is a pass", 2, 1, health.Up, "FWW", "ddu"},
		{"rise and fall below 1 are 1", 0, -1, health.Up, "FP", "du"},
		{"no initial verdict is unknown", 1, 2, "", "FF", "?d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := health.New(health.Config{Rise: tt.rise, Fall: tt.fall, Initial: tt.initial})
			var got strings.Builder
			for _, letter := range tt.results {
				before := c.Status()
				changed := c.Observe(health.Observation{Outcome: outcomes[letter]})
				if changed != (c.Status() != before) {
					t.Errorf("Observe(%c) = %v, but the verdict went from %s to %s", letter, changed, before, c.Status())
				}
				got.WriteString(letters[c.Status()])
			}
			if got.String() != tt.want {
				t.Errorf("verdicts after %s are %s, want %s", tt.results, got.String(), tt.want)
			}
		})
	}
}

func TestWhatCannotBeCheckedIsWhatOnUnknownSays(t *testing.T) {
	for _, tt := range []struct {
		onUnknown     health.Status
		initial       health.Status
		results, want string
	}{
		{health.Down, health.Up, "PEE", "uud"},
		{health.Down, health.Up, "FE", "ud"}, // it counts in the row
		{health.Down, health.Up, "PEEP", "uudd"},
		{health.Up, health.Down, "FEE", "ddu"},
		{health.Up, health.Down, "E", "u"},
		{health.Unknown, health.Up, "EEEE", "uuuu"},
		{"", health.Up, "EEEE", "uuuu"},
	} {
		c := health.New(health.Config{Rise: 2, Fall: 2, Initial: tt.initial, OnUnknown: tt.onUnknown})
		got := ""
		for _, letter := range tt.results {
			c.Observe(health.Observation{Outcome: outcomes[letter], Reason: "no memory"})
			got += letters[c.Status()]
		}
		if got != tt.want {
			t.Errorf("on_unknown %q: verdicts after %s are %s, want %s", tt.onUnknown, tt.results, got, tt.want)
		}
	}
}

func TestSilenceIsWhatOnUnknownSays(t *testing.T) {
	c := health.New(health.Config{Rise: 2, Fall: 2, Initial: health.Up, OnUnknown: health.Down})
	if !c.Presume("no result for 5s") || c.Status() != health.Down || c.Last().Reason != "taken for down by on_unknown: no result for 5s" {
		t.Errorf("it is %s for %q", c.Status(), c.Last().Reason)
	}
	if c.Presume("no result for 6s") {
		t.Error("it is taken for down twice")
	}
	if keep := health.New(health.Config{Initial: health.Up}); keep.Presume("no result") || keep.Status() != health.Up {
		t.Errorf("without on_unknown it is %s", keep.Status())
	}
}

func TestJudgedMeansThatAResultDecided(t *testing.T) {
	tests := []struct {
		name    string
		initial health.Status
		results string
		want    bool
	}{
		{"no result", health.Up, "", false},
		{"errors decide nothing", health.Down, "EE", false},
		{"too few failures", health.Up, "F", false},
		{"a pass that confirms", health.Up, "P", true},
		{"a failure that confirms", health.Down, "F", true},
		{"a change", health.Unknown, "FF", true},
	}
	for _, tt := range tests {
		c := health.New(health.Config{Rise: 1, Fall: 2, Initial: tt.initial})
		for _, letter := range tt.results {
			c.Observe(health.Observation{Outcome: outcomes[letter]})
		}
		if c.Judged() != tt.want {
			t.Errorf("%s: Judged = %v, want %v", tt.name, c.Judged(), tt.want)
		}
	}
}

func TestLastExplainsTheVerdict(t *testing.T) {
	c := health.New(health.Config{Rise: 2, Fall: 2})
	if got := c.Last(); got.Weight >= 0 || got.Reason != "" {
		t.Errorf("Last = %+v before any result, want no reason and no weight", got)
	}
	steps := []struct {
		outcome      health.Outcome
		reason, want string
	}{
		{health.Fail, "refused", "refused"}, // still unknown: the latest
		{health.Pass, "fine", "fine"},
		{health.Fail, "slow", "fine"}, // still up
		{health.Error, "no route", "fine"},
		{health.Fail, "status 500", "status 500"},
		{health.Pass, "fine again", "status 500"}, // still down
		{health.Warn, "certificate ends soon", "certificate ends soon"},
	}
	for _, s := range steps {
		c.Observe(health.Observation{Outcome: s.outcome, Reason: s.reason})
		if got := c.Last().Reason; got != s.want {
			t.Errorf("Last = %q after %q (%s), want %q", got, s.reason, c.Status(), s.want)
		}
	}
}

func TestReconfigureKeepsWhatResultsDecided(t *testing.T) {
	c := health.New(health.Config{Rise: 1, Fall: 2, Initial: health.Up})
	c.Observe(health.Observation{Outcome: health.Fail})
	c.Reconfigure(health.Config{Rise: 1, Fall: 2, Initial: health.Down})
	if c.Status() != health.Down {
		t.Errorf("%s, want down: no result has decided yet", c.Status())
	}
	c.Observe(health.Observation{Outcome: health.Pass})
	c.Reconfigure(health.Config{Rise: 3, Fall: 3, Initial: health.Down})
	if c.Status() != health.Up || !c.Judged() {
		t.Errorf("%s, want up: a pass has decided", c.Status())
	}
	c.Observe(health.Observation{Outcome: health.Fail})
	c.Observe(health.Observation{Outcome: health.Fail})
	c.Reconfigure(health.Config{Rise: 3, Fall: 3, Initial: health.Up})
	if c.Observe(health.Observation{Outcome: health.Fail}); c.Status() != health.Down {
		t.Errorf("%s, want down: the row of failures survives a reload", c.Status())
	}
}
