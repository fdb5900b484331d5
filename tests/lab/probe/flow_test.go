package probe

import (
	"maps"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// answered and lost make samples, in milliseconds.
func answered(sent, received int, by string) Sample {
	return Sample{Sent: at(sent), Received: at(received), By: by}
}

func lost(sent int) Sample { return Sample{Sent: at(sent)} }

func TestSilence(t *testing.T) {
	for name, tc := range map[string]struct {
		flow         Flow
		longest, off int // in milliseconds
	}{
		"nothing asked":                         {Flow{}, 0, 0},
		"all answered at once":                  {Flow{answered(0, 0, "a"), answered(10, 10, "a"), answered(20, 20, "a")}, 10, 0},
		"a gap of three":                        {Flow{answered(0, 0, "a"), lost(10), lost(20), lost(30), answered(40, 41, "b")}, 41, 0},
		"held up and delivered late":            {Flow{answered(0, 0, "a"), answered(10, 95, "b"), answered(20, 95, "b"), answered(100, 100, "b")}, 95, 0},
		"never an answer":                       {Flow{lost(0), lost(10), lost(20)}, 20, 0},
		"no answer at the end":                  {Flow{answered(0, 5, "a"), lost(10), lost(50)}, 45, 5},
		"no answer at the beginning":            {Flow{lost(0), lost(10), answered(60, 61, "a"), answered(70, 71, "a")}, 61, 0},
		"answers that overtake change no order": {Flow{answered(0, 30, "a"), answered(10, 12, "a"), answered(20, 21, "a")}, 12, 0},
	} {
		t.Run(name, func(t *testing.T) {
			longest, since := tc.flow.Silence()
			if want := time.Duration(tc.longest) * time.Millisecond; longest != want {
				t.Errorf("Silence = %v, want %v", longest, want)
			}
			if len(tc.flow) > 0 && !since.Equal(at(tc.off)) {
				t.Errorf("since = %v, want %v", since.Sub(start), at(tc.off).Sub(start))
			}
		})
	}
}

func TestFlowTellsWhoAnsweredAndWhatWasLost(t *testing.T) {
	f := Flow{answered(0, 1, "a"), answered(10, 11, "a"), lost(20), answered(30, 31, "b"), answered(40, 41, "a")}
	if want := []string{"a", "b", "a"}; !slices.Equal(f.Turns(), want) {
		t.Errorf("Turns = %v, want %v", f.Turns(), want)
	}
	if want := map[string]int{"a": 3, "b": 1}; !maps.Equal(f.By(), want) {
		t.Errorf("By = %v, want %v", f.By(), want)
	}
	if got := f.Lost(); len(got) != 1 || !got[0].Sent.Equal(at(20)) {
		t.Errorf("Lost = %v, want the one sent at 20 ms", got)
	}
	if got := f.Between(at(10), at(40)); len(got) != 3 {
		t.Errorf("Between(10, 40) has %d samples, want 3: the end is not part of it", len(got))
	}
	if got := f.Between(at(30), time.Time{}); len(got) != 2 {
		t.Errorf("Between(30, end) has %d samples, want 2", len(got))
	}
}
