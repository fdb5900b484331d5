package guard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// scene is a Fence with a clock, and what became of it in words.
type scene struct {
	t   *testing.T
	f   *Fence
	now time.Time
	log []string
}

var claim = FenceWish{Reason: "it is silent", Claims: true, Connected: true}

func newScene(t *testing.T, cfg Fencing) *scene {
	if cfg.Levels == nil {
		cfg.Levels = [][]string{{"ipmi"}, {"pdu-a", "pdu-b"}}
	}
	s := &scene{t: t, f: NewFence("lb1", "lb2", cfg), now: time.Unix(1_000_000, 0)}
	s.f.Seen(s.now)
	return s
}

func (s *scene) after(d time.Duration) *scene { s.now = s.now.Add(d); return s }

func (s *scene) wants(w FenceWish) *scene { s.note(s.f.Want(s.now, w)); return s }

func (s *scene) ends(id uint64, r FenceResult) *scene { s.note(s.f.Ended(s.now, id, r)); return s }

func (s *scene) fails(id uint64) *scene { return s.ends(id, FenceResult{Evidence: "no answer"}) }

func (s *scene) note(o FenceOrder, give bool) {
	if give {
		dry := ""
		if o.DryRun {
			dry = " dry"
		}
		s.log = append(s.log, fmt.Sprintf("order %d%s %s", o.ID, dry, strings.Join(o.Fencers, "+")))
	}
	for _, e := range s.f.Events() {
		s.log = append(s.log, e.Code)
	}
}

func (s *scene) is(state FenceState, log ...string) *scene {
	s.t.Helper()
	if got := s.f.Standing().State; got != state {
		s.t.Errorf("state = %s (%s), want %s", got, s.f.Standing().Reason, state)
	}
	if got, want := strings.Join(s.log, ", "), strings.Join(log, ", "); got != want {
		s.t.Errorf("what happened = %s\nwant %s", got, want)
	}
	s.log = nil
	return s
}

func (s *scene) clears(want bool) *scene {
	s.t.Helper()
	if got := s.f.Clears(s.now); got != want {
		s.t.Errorf("Clears = %v, want %v", got, want)
	}
	return s
}

var off = FenceResult{OK: true, Evidence: "reads off"}

func TestAConfirmedShotClearsTheTakeover(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired}).clears(false)
	s.wants(claim).is(FenceRunning, "order 1 ipmi", "fence.started").clears(false)
	s.after(time.Second).ends(1, off).is(FenceConfirmed, "fence.succeeded").clears(true)
	s.after(time.Hour).wants(claim).is(FenceConfirmed).clears(true)
}

func TestTheDelayLetsTheEvidenceChange(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired, Delay: 5 * time.Second})
	s.wants(claim).is(FenceWaiting)
	if got := s.f.Deadline(); !got.Equal(s.now.Add(5 * time.Second)) {
		t.Errorf("Deadline is in %v, want 5s", got.Sub(s.now))
	}
	s.after(4 * time.Second).wants(FenceWish{}).is(FenceNone)
	s.after(time.Second).wants(claim).is(FenceWaiting) // it waits anew
	s.after(5*time.Second).wants(claim).is(FenceRunning, "order 1 ipmi", "fence.started")
}

func TestWhoOwnsLessWaits(t *testing.T) {
	yields := claim
	yields.Yields = true
	s := newScene(t, Fencing{Mode: FencingRequired})
	s.wants(yields).is(FenceWaiting)
	s.after(yieldDelay).wants(yields).is(FenceRunning, "order 1 ipmi", "fence.started")
}

func TestLevelsAreTriedInOrderTwiceEach(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired}).wants(claim)
	s.fails(1).fails(2).fails(3).is(FenceRunning, "order 1 ipmi", "fence.started", "order 2 ipmi", "order 3 pdu-a+pdu-b", "order 4 pdu-a+pdu-b")
	s.fails(4).is(FenceFailed, "fence.failed").clears(false)
	s.after(29 * time.Second).wants(claim).is(FenceFailed)
	s.after(time.Second).wants(claim).is(FenceRunning, "order 5 ipmi", "fence.started")
}

func TestATryHasATimeLimitAndALateSuccessCounts(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired}).wants(claim).is(FenceRunning, "order 1 ipmi", "fence.started")
	if got := s.f.Deadline(); !got.Equal(s.now.Add(FenceLimit)) {
		t.Errorf("Deadline is in %v, want %v", got.Sub(s.now), FenceLimit)
	}
	s.after(FenceLimit).wants(claim).is(FenceFailed, "fence.failed")
	s.after(pauseFirst).wants(claim).is(FenceBlocked, "fence.blocked") // the first order may still act
	s.after(time.Second).ends(1, off).is(FenceConfirmed, "fence.succeeded").clears(true)
}

func TestAnOrderWithoutAnEndIsLostAtLast(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired}).wants(claim)
	s.after(FenceLimit).wants(claim).after(FenceLimit-time.Second).wants(claim).is(FenceBlocked,
		"order 1 ipmi", "fence.started", "fence.failed", "fence.blocked")
	s.after(time.Second).wants(claim).is(FenceRunning, "order 2 ipmi", "fence.started")
	s.ends(1, off).is(FenceRunning) // nobody knows any more what it was about
}

func TestNobodyIsFencedBeforeItWasHeard(t *testing.T) {
	s := &scene{t: t, f: NewFence("lb1", "lb2", Fencing{Mode: FencingRequired, Levels: [][]string{{"ipmi"}}}), now: time.Unix(0, 0)}
	s.wants(claim).is(FenceBlocked, "fence.blocked").clears(false)
	s.after(time.Hour).wants(claim).is(FenceBlocked) // told once
	s.f.Confirm(s.now, "root says so")
	s.wants(claim).is(FenceConfirmed, "fence.succeeded").clears(true)
}

func TestNobodyFencesItself(t *testing.T) {
	s := &scene{t: t, f: NewFence("lb1", "lb1", Fencing{Mode: FencingRequired, Levels: [][]string{{"ipmi"}}})}
	s.f.Seen(s.now)
	s.wants(claim).is(FenceBlocked, "fence.blocked")
}

func TestAMasterThatLostItsPeerShootsAtNobody(t *testing.T) {
	owner := claim
	owner.Claims = false
	s := newScene(t, Fencing{Mode: FencingBestEffort})
	s.wants(owner).after(time.Hour).wants(owner).is(FenceNone)
	s.wants(claim).fails(1).fails(2).fails(3).fails(4)
	s.log = nil
	s.after(pauseFirst).wants(owner).is(FenceRunning, "order 5 ipmi", "fence.started") // it took over, and goes on
}

func TestWhoIsCutOffShootsAtNobody(t *testing.T) {
	alone := claim
	alone.Connected = false
	s := newScene(t, Fencing{Mode: FencingRequired, Delay: time.Second})
	s.wants(alone).is(FenceNone)
	s.wants(claim).after(2 * time.Second).wants(alone).is(FenceNone)
}

func TestBestEffortWaitsFiveSeconds(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingBestEffort}).wants(claim).clears(false)
	if got := s.f.Deadline(); !got.Equal(s.now.Add(FenceWait)) {
		t.Errorf("Deadline is in %v, want %v", got.Sub(s.now), FenceWait)
	}
	s.after(FenceWait - 1).wants(claim).clears(false)
	s.after(1).wants(claim).clears(true)
	if got := s.f.Deadline(); !got.After(s.now) {
		t.Errorf("Deadline %v is not after now", got.Sub(s.now))
	}
}

func TestModeOffDoesNothing(t *testing.T) {
	newScene(t, Fencing{Mode: FencingOff}).wants(claim).is(FenceNone).clears(true)
	newScene(t, Fencing{}).wants(claim).is(FenceNone).clears(true)
}

func TestADryRunIsMadeOnceAndHindersNothing(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired, DryRun: true}).wants(claim)
	s.is(FenceRunning, "order 1 dry ipmi", "fence.rehearsing").clears(true)
	s.fails(1).ends(2, FenceResult{Rehearsed: true, Evidence: "would switch"})
	s.is(FenceRehearsed, "order 2 dry ipmi", "fence.rehearsed").clears(true)
	s.after(time.Hour).wants(claim).is(FenceRehearsed)
	s.f.Configure(Fencing{Mode: FencingRequired, Levels: [][]string{{"ipmi"}}})
	s.clears(false).wants(claim).is(FenceRunning, "order 3 ipmi", "fence.started")
}

func TestALyingDryRunIsNoSuccess(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired, DryRun: true, Levels: [][]string{{"a"}}}).wants(claim)
	s.ends(1, off).ends(2, off).is(FenceRehearsed, "order 1 dry a", "fence.rehearsing", "order 2 dry a", "fence.failed")
}

func TestTheBreakerStopsALoopOfShots(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired})
	for id := range uint64(2) {
		s.wants(claim).ends(id+1, off).after(time.Minute)
		s.f.Seen(s.now) // it has booted, and is cut off again
	}
	s.log = nil
	s.after(time.Minute).wants(claim).is(FenceBlocked, "fence.ended", "fence.blocked")
	s.after(6 * time.Minute).wants(claim).is(FenceBlocked)
	s.after(2*time.Minute).wants(claim).is(FenceRunning, "order 3 ipmi", "fence.started")
}

func TestAfterTenTriesAPersonHasToConfirm(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired, Levels: [][]string{{"a"}}})
	for range 1000 {
		s.wants(claim).fails(s.f.last).after(30 * time.Second)
	}
	if s.f.last != 2*mostTries || s.f.Standing().State != FenceBlocked {
		t.Errorf("after all: %d orders, %s; want %d, blocked", s.f.last, s.f.Standing().State, 2*mostTries)
	}
	s.f.Confirm(s.now, "root says so")
	s.clears(true)
}

func TestWhoIsHeardAgainIsNoLongerOff(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired}).wants(claim).ends(1, off).clears(true)
	s.f.Seen(s.now)
	s.wants(FenceWish{}).is(FenceNone, "order 1 ipmi", "fence.started", "fence.succeeded", "fence.ended").clears(false)
	s.wants(claim).is(FenceRunning, "order 2 ipmi", "fence.started")
	s.f.Seen(s.now)
	s.fails(2).is(FenceNone) // and there is no other attempt
}

func TestAWithdrawnWishEndsTheAttempts(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired}).wants(claim).wants(FenceWish{})
	s.fails(1).is(FenceNone, "order 1 ipmi", "fence.started")
}

func TestAReloadThatTakesALevelAwayEndsTheTry(t *testing.T) {
	s := newScene(t, Fencing{Mode: FencingRequired}).wants(claim).fails(1).fails(2)
	s.f.Configure(Fencing{Mode: FencingRequired, Levels: [][]string{{"ipmi"}}})
	s.fails(3).is(FenceFailed, "order 1 ipmi", "fence.started", "order 2 ipmi", "order 3 pdu-a+pdu-b", "fence.failed")
}

// TestAtMostOnceAnIncident holds against any order of what may happen: one order at a time, none after a success until the node was
// heard again, none before it was heard, none without a claim, and the breaker's rate.
func TestAtMostOnceAnIncident(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := NewFence("lb1", "lb2", Fencing{
			Mode: rapid.SampledFrom([]FencingMode{FencingBestEffort, FencingRequired}).Draw(r, "mode"), Levels: [][]string{{"a"}, {"b"}},
			Delay: time.Duration(rapid.IntRange(0, 3).Draw(r, "delay")) * time.Second, DryRun: rapid.Bool().Draw(r, "dry"),
		})
		now := time.Unix(0, 0)
		m := &model{r: r, open: map[uint64]time.Time{}}
		r.Repeat(map[string]func(*rapid.T){
			"time":    func(r *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(r, "s")) * time.Second) },
			"seen":    func(*rapid.T) { f.Seen(now); m.seen, m.fenced, m.claimed = true, false, false },
			"confirm": func(*rapid.T) { f.Confirm(now, "root"); m.fenced = true },
			"want": func(r *rapid.T) {
				w := FenceWish{
					Reason: rapid.SampledFrom([]string{"silent", "silent", ""}).Draw(r, "why"), Claims: rapid.Bool().Draw(r, "claims"),
					Connected: rapid.IntRange(0, 3).Draw(r, "connected") > 0, Yields: rapid.Bool().Draw(r, "yields"),
				}
				m.claimed = w.Reason != "" && w.Connected && (m.claimed || w.Claims)
				o, give := f.Want(now, w)
				m.ordered(now, o, give)
			},
			"end": func(r *rapid.T) {
				id := uint64(rapid.IntRange(0, 40).Draw(r, "id"))
				res := FenceResult{OK: rapid.Bool().Draw(r, "ok"), Rehearsed: rapid.Bool().Draw(r, "rehearsed"), Evidence: "e"}
				given, known := m.open[id]
				delete(m.open, id)
				m.fenced = m.fenced || known && res.OK && !f.cfg.DryRun && now.Before(given.Add(lostAfter))
				o, give := f.Ended(now, id, res)
				m.ordered(now, o, give)
			},
			"": func(r *rapid.T) {
				if (f.Standing().State == FenceConfirmed) && !m.fenced {
					r.Fatalf("confirmed, and nobody has said so")
				}
				if d := f.Deadline(); !d.IsZero() && !d.After(f.asOf) {
					r.Fatalf("deadline %v is over", d)
				}
			},
		})
	})
}

// model is what the rules say of orders.
type model struct {
	r                     *rapid.T
	seen, fenced, claimed bool
	open                  map[uint64]time.Time
	last                  uint64
}

func (m *model) ordered(now time.Time, o FenceOrder, give bool) {
	if !give {
		return
	}
	for id, given := range m.open {
		if now.Before(given.Add(lostAfter)) {
			m.r.Fatalf("order %d while order %d is open", o.ID, id)
		}
		delete(m.open, id)
	}
	if !m.seen || m.fenced || !m.claimed || o.ID <= m.last {
		m.r.Fatalf("order %d with seen=%v fenced=%v claimed=%v last=%d", o.ID, m.seen, m.fenced, m.claimed, m.last)
	}
	m.open[o.ID], m.last = now, o.ID
}
