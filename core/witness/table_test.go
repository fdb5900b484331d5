package witness

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1000, 0)

func at(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }

func open() *table {
	t := newTable(start, 10*time.Second)
	t.opens = start
	return t
}

func TestAClaimIsGivenToOneNode(t *testing.T) {
	tb := open()
	for _, tt := range []struct {
		name    string
		at      float64
		node    string
		release bool
		want    string
	}{
		{"the first one gets it", 0, "lb1", false, ""},
		{"the second one does not", 1, "lb2", false, "lb1 has it"},
		{"the first one renews", 2, "lb1", false, ""},
		{"the second one cannot take it back", 3, "lb2", true, "lb1 has it"},
		{"it lasts", 4.9, "lb2", false, "lb1 has it"},
		{"and ends", 5, "lb2", false, ""},
		{"the first one is late", 5.1, "lb1", false, "lb2 has it"},
		{"the second one gives it back", 6, "lb2", true, ""},
		{"so that it is free", 6, "lb1", false, ""},
		{"who has none may give it back", 9, "lb2", true, ""},
	} {
		var err error
		if tt.release {
			err = tb.release(at(tt.at), "web", tt.node)
		} else {
			err = tb.acquire(at(tt.at), "web", tt.node, 3*time.Second)
		}
		if got := text(err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNothingIsGrantedAfterTheStart(t *testing.T) {
	tb := newTable(start, 10*time.Second)
	for _, s := range []float64{0, 5, 9.999} {
		if err := tb.acquire(at(s), "web", "lb1", time.Second); !errors.Is(err, errNotYet) {
			t.Errorf("after %v s: %v", s, err)
		}
	}
	if err := tb.acquire(at(10), "web", "lb1", time.Second); err != nil {
		t.Errorf("after 10 s: %v", err)
	}
	if err := tb.acquire(at(11), "web", "lb1", 11*time.Second); err == nil {
		t.Error("a grant that outlasts the pause of the next run")
	}
}

func TestARequestThatWasOvertakenShortensNothing(t *testing.T) {
	tb := open()
	_ = tb.acquire(at(0), "web", "lb1", 10*time.Second)
	_ = tb.acquire(at(1), "web", "lb1", time.Second)
	if err := tb.acquire(at(9), "web", "lb2", time.Second); text(err) != "lb1 has it" {
		t.Errorf("the longer grant is gone: %v", err)
	}
}

func TestClaimsAreBounded(t *testing.T) {
	tb := open()
	for k := range maxClaims {
		if err := tb.acquire(start, string(rune('a'+k%26))+time.Duration(k).String(), "lb1", time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if tb.acquire(start, "more", "lb1", time.Second) == nil {
		t.Error("there is no bound")
	}
	if err := tb.acquire(at(2), "more", "lb1", time.Second); err != nil || len(tb.grants) != 1 {
		t.Errorf("after the end of the others: %v, %d claims", err, len(tb.grants))
	}
	if tb.acquire(at(2), "", "lb1", time.Second) == nil || tb.acquire(at(2), "x", "", time.Second) == nil || tb.acquire(at(2), "x", "y", 0) == nil {
		t.Error("a claim without a name, a node or a time")
	}
}

// TestNoTwoNodesBelieveInAGrant has many nodes ask at any time, with answers that come late or never, and with restarts: by what each
// of them counts from its own asking on, no two hold the claim at once.
func TestNoTwoNodesBelieveInAGrant(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		const most = 5 * time.Second
		now := start
		tb := newTable(now, most)
		believes := map[string]time.Time{} // by node: until when
		check := func() {
			for a, until := range believes {
				for b, other := range believes {
					if a != b && now.Before(until) && now.Before(other) {
						r.Fatalf("at %v both %s (until %v) and %s (until %v) hold it", now, a, until, b, other)
					}
				}
			}
		}
		nodes := rapid.SampledFrom([]string{"lb1", "lb2", "lb3", "lb4"})
		delay := rapid.IntRange(0, 3000)
		r.Repeat(map[string]func(*rapid.T){
			"time":    func(r *rapid.T) { now = now.Add(time.Duration(delay.Draw(r, "ms")) * time.Millisecond) },
			"restart": func(*rapid.T) { tb = newTable(now, most) },
			"acquire": func(r *rapid.T) {
				node, asked := nodes.Draw(r, "node"), now
				ttl := time.Duration(rapid.IntRange(1, 5000).Draw(r, "ttl")) * time.Millisecond
				now = now.Add(time.Duration(delay.Draw(r, "way")) * time.Millisecond)
				err := tb.acquire(now, "web", node, ttl)
				now = now.Add(time.Duration(delay.Draw(r, "back")) * time.Millisecond)
				if err == nil && rapid.Bool().Draw(r, "heard") {
					believes[node] = asked.Add(ttl)
				}
			},
			"release": func(r *rapid.T) {
				node := nodes.Draw(r, "node")
				delete(believes, node)
				_ = tb.release(now, "web", node)
			},
			"": func(*rapid.T) { check() },
		})
	})
}
