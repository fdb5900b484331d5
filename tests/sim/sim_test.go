package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed alone; 0 for the standard ones")
	hours = flag.Float64("hours", 50, "simulated hours")
)

// round is how long one fault and its healing take at most, with time to settle.
const round = 40 * time.Second

// The longest that two machines may answer for the VIP while both hear each other: the linger of a hand-over and the way of
// an advert. With a process killed or stopped the bound is the same, since the lease ends before the peer takes over.
const overlap = 150 * time.Millisecond

func TestPairUnderFaults(t *testing.T) {
	seeds, per := uint64(20), time.Duration(*hours*float64(time.Hour))/20
	if *seed != 0 {
		seeds, per = 1, time.Duration(*hours*float64(time.Hour))
	}
	for k := range seeds {
		s := *seed
		if s == 0 {
			s = k + 1
		}
		t.Run(fmt.Sprintf("seed %d", s), func(t *testing.T) {
			w := New(s, nil)
			if err := faults(w, int(per/round)); err != nil {
				t.Fatalf("seed %d: %v\n%s", s, err, strings.Join(w.trace, "\n"))
			}
		})
	}
	t.Logf("%d seeds, %.1f simulated hours", seeds, *hours)
}

func TestSameSeedGivesTheSameRun(t *testing.T) {
	a, b, c := New(7, nil), New(7, nil), New(8, nil)
	for _, w := range []*World{a, b, c} {
		if err := faults(w, 20); err != nil {
			t.Fatal(err)
		}
	}
	if a.sum != b.sum {
		t.Errorf("two runs of one seed differ: %x and %x", a.sum, b.sum)
	}
	if a.sum == c.sum {
		t.Errorf("runs of two seeds are the same: %x", a.sum)
	}
}

func TestNoFaultMovesNothing(t *testing.T) {
	w := New(1, nil)
	w.loss = 0.01
	if err := w.run(6*time.Hour, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	// Only three adverts lost in a row look like a dead master: one chance in a million for each interval.
	if moves := w.hosts[0].moves + w.hosts[1].moves; moves != 1 {
		t.Errorf("%d moves without a fault, want the first election only\n%s", moves, strings.Join(w.trace, "\n"))
	}
}

// faults injects one fault a round and checks the world all the time.
func faults(w *World, rounds int) error {
	j := judge{w: w, since: w.now}
	if err := w.run(10*time.Second, j.check); err != nil {
		return err
	}
	for range rounds {
		j.inject()
		if err := w.run(round-10*time.Second, j.check); err != nil {
			return err
		}
		if err := j.settled(); err != nil && !j.cut {
			return err
		}
		j.heal()
		if err := w.run(10*time.Second, j.check); err != nil {
			return err
		}
		if err := j.settled(); err != nil {
			return err
		}
	}
	return nil
}

// judge knows which faults are in force, and so what is allowed.
type judge struct {
	w       *World
	failed  *Host     // its checker fails
	cut     bool      // the nodes do not hear each other, one way or both
	since   time.Time // when the number of owners last changed
	owners  int
	changed time.Time // the last fault, recovery or healing
	healed  time.Time // when the nodes last began to hear each other again
}

func (j *judge) inject() {
	w := j.w
	h := w.hosts[w.rnd.IntN(2)]
	j.changed = w.now
	d := w.jitter(8*time.Second) + 10*time.Millisecond
	switch kind := w.rnd.IntN(9); kind {
	case 0, 1: // killed, and started again by its supervisor: at once or late
		w.kill(h)
		w.at(d, func() { j.changed = w.now; w.boot(h) })
	case 2:
		w.pause(h, d)
		w.at(d, func() { j.changed = w.now })
	case 3:
		w.note("%s is deaf", h.name)
		h.deaf, j.cut = true, true
	case 4:
		w.note("%s is mute", h.name)
		h.mute, j.cut = true, true
	case 5:
		w.note("the checker of %s fails", h.name)
		w.input(h, observed(health.Fail))
		j.failed = h
	case 6:
		w.note("%s is asked to hand over", h.name)
		w.input(h, node.Failover{Instance: "web", ID: 1})
	case 7:
		w.note("%s is asked to stop", h.name)
		w.input(h, node.Stop{})
		w.at(d+3*time.Second, func() { j.changed = w.now; w.kill(h); w.boot(h) })
	case 8:
		w.note("%s reloads the same file", h.name)
		if h.node != nil && !h.paused {
			w.obey(h, h.node.Configure(w.now, h.cfg))
		}
	}
}

func (j *judge) heal() {
	for _, h := range j.w.hosts {
		h.deaf, h.mute = false, false
	}
	if j.failed != nil {
		j.w.note("the checker of %s passes", j.failed.name)
		j.w.input(j.failed, observed(health.Pass))
		j.failed = nil
	}
	if j.cut {
		j.w.note("the network heals")
		j.changed, j.healed = j.w.now, j.w.now
	}
	j.cut = false
}

// check holds after every event: never two owners for longer than a hand-over takes, never none for longer than an election.
func (j *judge) check() error {
	now, n := j.w.now, j.owners
	lasted := now.Sub(j.since)
	if owners := j.w.owners(); owners != n {
		j.owners, j.since = owners, now
	}
	switch {
	case n > 1 && !j.cut && lasted > overlap && now.Sub(j.healed) > 2*time.Second:
		return fmt.Errorf("two owners for %s", lasted)
	case n == 0 && lasted > 5*time.Second && now.Sub(j.changed) > 5*time.Second:
		return fmt.Errorf("no owner for %s", lasted)
	}
	return nil
}

// settled holds when there has been time enough: one owner, and the right one.
func (j *judge) settled() error {
	w := j.w
	if n := w.owners(); n != 1 {
		return fmt.Errorf("%d owners at the end of the round", n)
	}
	best := w.hosts[0]
	if j.failed == best || best.yielded() {
		best = w.hosts[1]
	}
	if !best.held {
		return fmt.Errorf("%s does not hold the VIP, but has the highest priority", best.name)
	}
	return nil
}
