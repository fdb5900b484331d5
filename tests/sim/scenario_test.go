package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
)

// seen is what an onlooker of the VIP sees while the world runs.
type seen struct {
	w    *World
	none time.Duration // nobody owned it, in all
	two  time.Duration // both did
	last time.Time
	n    int
}

func watch(w *World) *seen { return &seen{w: w, last: w.now, n: w.owners()} }

func (s *seen) check() error {
	switch since := s.w.now.Sub(s.last); {
	case s.n == 0:
		s.none += since
	case s.n > 1:
		s.two += since
	}
	s.last, s.n = s.w.now, s.w.owners()
	return nil
}

// settledPair is a pair of which lb1 is master.
func settledPair(t *testing.T, edit func(i int, c *node.Instance)) (w *World, lb1, lb2 *Host) {
	t.Helper()
	w = New(1, edit)
	pass(t, w, 10*time.Second, func() error { return nil })
	lb1, lb2 = w.hosts[0], w.hosts[1]
	if !lb1.held || lb2.held {
		t.Fatalf("lb1 should be master after the start\n%s", strings.Join(w.trace, "\n"))
	}
	return w, lb1, lb2
}

func pass(t *testing.T, w *World, d time.Duration, check func() error) {
	t.Helper()
	if err := w.run(d, check); err != nil {
		t.Fatal(err)
	}
}

func TestRestartWithinTheLeaseMovesNothing(t *testing.T) {
	w, lb1, lb2 := settledPair(t, nil)
	s := watch(w)
	w.kill(lb1)
	w.at(1200*time.Millisecond, func() { w.boot(lb1) })
	pass(t, w, 20*time.Second, s.check)
	if s.none > 0 || s.two > 0 || lb2.moves > 0 {
		t.Errorf("nobody for %s, two for %s, lb2 master %d times; want none of it\n%s", s.none, s.two, lb2.moves, strings.Join(w.trace, "\n"))
	}
}

func TestUnchangedReloadMovesNothing(t *testing.T) {
	w, lb1, lb2 := settledPair(t, nil)
	s := watch(w)
	lease := lb1.until
	w.obey(lb1, lb1.node.Configure(w.now, lb1.cfg))
	w.obey(lb2, lb2.node.Configure(w.now, lb2.cfg))
	if lb1.until != lease {
		t.Errorf("the lease was renewed by the reload")
	}
	pass(t, w, 20*time.Second, s.check)
	if s.none > 0 || s.two > 0 || lb1.moves != 1 || lb2.moves > 0 {
		t.Errorf("nobody for %s, two for %s, moves %d and %d\n%s", s.none, s.two, lb1.moves, lb2.moves, strings.Join(w.trace, "\n"))
	}
}

func TestFailoverLeavesNoGapAndStays(t *testing.T) {
	w, lb1, lb2 := settledPair(t, nil)
	s := watch(w)
	w.input(lb1, node.Failover{Instance: "web", ID: 1})
	pass(t, w, time.Minute, s.check)
	if s.none > 0 || s.two > overlap {
		t.Errorf("nobody for %s, two for %s", s.none, s.two)
	}
	if !lb2.held || lb1.held {
		t.Errorf("lb2 should keep what it was given\n%s", strings.Join(w.trace, "\n"))
	}
	w.input(lb2, node.Failover{Instance: "web", ID: 2})
	pass(t, w, time.Minute, s.check)
	if !lb1.held || s.none > 0 {
		t.Errorf("lb1 should have it back without a gap; nobody for %s\n%s", s.none, strings.Join(w.trace, "\n"))
	}
}

// What an operator has moved there and back is where it was: a master that gets worse is replaced as ever.
func TestHandoversDoNotOutliveTheHealthOfTheMaster(t *testing.T) {
	w, lb1, lb2 := settledPair(t, nil)
	for k, h := range []*Host{lb1, lb2} {
		w.input(h, node.Failover{Instance: "web", ID: uint64(k)})
		pass(t, w, 10*time.Second, func() error { return nil })
	}
	w.input(lb1, observed(health.Fail))
	pass(t, w, 10*time.Second, func() error { return nil })
	if !lb2.held {
		t.Errorf("lb2 should have taken over from a master of priority 90\n%s", strings.Join(w.trace, "\n"))
	}
	w.input(lb1, observed(health.Pass))
	pass(t, w, 10*time.Second, func() error { return nil })
	w.input(lb1, node.Failover{Instance: "web", ID: 3})
	pass(t, w, 10*time.Second, func() error { return nil })
	w.input(lb2, observed(health.Fail))
	pass(t, w, 10*time.Second, func() error { return nil })
	if !lb1.held {
		t.Errorf("lb1 should have taken back what it had handed to a node that is ill now\n%s", strings.Join(w.trace, "\n"))
	}
}

func TestCleanStopLeavesNoGap(t *testing.T) {
	w, lb1, lb2 := settledPair(t, nil)
	s := watch(w)
	w.input(lb1, node.Stop{})
	pass(t, w, 10*time.Second, s.check)
	if s.none > 0 || s.two > overlap || lb1.node != nil || !lb2.held {
		t.Errorf("nobody for %s, two for %s, stopped %v\n%s", s.none, s.two, lb1.node == nil, strings.Join(w.trace, "\n"))
	}
}

func TestFailoverWithoutAPeerChangesNothing(t *testing.T) {
	w, lb1, lb2 := settledPair(t, nil)
	w.kill(lb2)
	s := watch(w)
	w.input(lb1, node.Failover{Instance: "web", ID: 1})
	pass(t, w, time.Minute, s.check)
	if s.none > 0 || !lb1.held {
		t.Errorf("nobody for %s\n%s", s.none, strings.Join(w.trace, "\n"))
	}
}

// Without leases two own the VIP while the master's process is stopped; it must let go before it does anything else.
func TestStalledMasterLetsGoFirst(t *testing.T) {
	w, lb1, _ := settledPair(t, func(_ int, c *node.Instance) { c.Lease = node.Lease{} })
	w.pause(lb1, 10*time.Second)
	pass(t, w, 9*time.Second, func() error { return nil })
	adverts := lb1.node.Snapshot(w.now).Instances[0].Counters.Sent
	pass(t, w, 1100*time.Millisecond, func() error { return nil })
	if lb1.held {
		t.Errorf("lb1 still holds the VIP after a stall of 10 s\n%s", strings.Join(w.trace, "\n"))
	}
	if sent := lb1.node.Snapshot(w.now).Instances[0].Counters.Sent; sent != adverts {
		t.Errorf("lb1 sent %d adverts before it listened", sent-adverts)
	}
}

func TestPreemptDelay(t *testing.T) {
	w, lb1, lb2 := settledPair(t, func(_ int, c *node.Instance) { c.VRRP.PreemptDelay = 30 * time.Second })
	w.kill(lb1)
	pass(t, w, 10*time.Second, func() error { return nil })
	w.boot(lb1)
	pass(t, w, 29*time.Second, func() error { return nil })
	if !lb2.held {
		t.Errorf("lb1 came back before its delay\n%s", strings.Join(w.trace, "\n"))
	}
	pass(t, w, 8*time.Second, func() error { return nil })
	if !lb1.held {
		t.Errorf("lb1 did not come back after its delay\n%s", strings.Join(w.trace, "\n"))
	}
}

// Starts in any phase: where the worse one's timer ends first, since it booted first, the better one takes over once.
func TestBothBootAtOnce(t *testing.T) {
	for s := range uint64(12) {
		t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			w := New(s, nil)
			pass(t, w, 30*time.Second, func() error { return nil })
			if moves := w.hosts[0].moves + w.hosts[1].moves; moves > 2 || !w.hosts[0].held {
				t.Errorf("%d moves, lb1 holds the VIP: %v\n%s", moves, w.hosts[0].held, strings.Join(w.trace, "\n"))
			}
		})
	}
}
