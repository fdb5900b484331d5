package sim

import (
	"fmt"
	"testing"
	"time"
)

// seen is what an onlooker of the first VIP sees from an instant on.
type seen struct {
	w         *World
	from      time.Duration
	last      time.Duration
	n         int
	none, two time.Duration // in all
	gains     []int         // by node
	held      []bool
}

func look(w *World, from time.Duration) *seen {
	s := &seen{w: w, from: from, gains: make([]int, len(w.hosts)), held: make([]bool, len(w.hosts))}
	w.each = s.look
	return s
}

func (s *seen) look() {
	if s.w.now >= s.from {
		since := s.w.now - max(s.last, s.from)
		switch {
		case s.n == 0:
			s.none += since
		case s.n > 1:
			s.two += since
		}
	}
	s.last, s.n = s.w.now, 0
	for k, h := range s.w.hosts {
		on := h.answers(0)
		s.n += b2i(on)
		if on && !s.held[k] && s.w.now >= s.from {
			s.gains[k]++
		}
		s.held[k] = on
	}
}

// A planned hand-over has both hold the VIP for 50 ms, and what the network and a wake-up take.
const together = 80 * time.Millisecond

// stories are what happens to a pair of which lb1, the better one, is master, from the 15th second on. The judge looks on as well.
var stories = []struct {
	name   string
	edit   func(s *Spec)
	faults []Fault
	// none and two are the longest times, in all, that nobody and both hold the VIP.
	none, two time.Duration
	gains     [2]int
	owner     int
}{
	{name: "a restart within the lease moves nothing", faults: []Fault{{Kind: Kill, For: span(1200 * time.Millisecond)}}},
	{name: "a reload of the same file moves nothing", faults: []Fault{{Kind: Reload}, {Kind: Reload, Node: 1}}},
	{
		name: "a failover leaves no gap and stays", faults: []Fault{{Kind: Failover, Node: -1}},
		two: together, gains: [2]int{0, 1}, owner: 1,
	},
	{
		name:   "and back",
		faults: []Fault{{Kind: Failover, Node: -1}, {At: span(20 * time.Second), Kind: Failover, Node: -1}},
		two:    2 * together, gains: [2]int{1, 1},
	},
	{
		name: "a clean stop leaves no gap, nor does the return", faults: []Fault{{Kind: Stop, For: span(15 * time.Second)}},
		two: 2 * together, gains: [2]int{1, 1},
	},
	{
		name:   "a failover without a peer changes nothing",
		faults: []Fault{{Kind: Kill, Node: 1, For: span(40 * time.Second)}, {At: span(5 * time.Second), Kind: Failover, Node: -1}},
	},
	{
		name: "a failover without a peer, fast", edit: func(s *Spec) { s.Interval = span(500 * time.Millisecond) },
		faults: []Fault{{Kind: Kill, Node: 1, For: span(40 * time.Second)}, {At: span(5 * time.Second), Kind: Failover, Node: -1}},
	},
	{
		name: "a master that dies is missed for a down interval", faults: []Fault{{Kind: Kill, For: span(20 * time.Second)}},
		none: 3 * time.Second, two: together, gains: [2]int{1, 1},
	},
	{
		name: "a fault is told at once", faults: []Fault{{Kind: FailChecker, For: span(20 * time.Second)}},
		none: 620 * time.Millisecond, two: together, gains: [2]int{1, 1},
	},
	{
		name: "a weight moves the VIP without a gap", edit: func(s *Spec) { s.Tracks[0].Weight = -60 },
		faults: []Fault{{Kind: FailChecker, For: span(20 * time.Second)}}, two: 2 * together, gains: [2]int{1, 1},
	},
	{
		name: "without preemption it stays where it is", edit: func(s *Spec) { s.Preempt = false },
		faults: []Fault{{Kind: Kill, Node: -1, For: span(20 * time.Second)}}, none: 3 * time.Second, gains: [2]int{1, 0},
	},
	{
		name: "a VIP deleted by hand is back within 100 ms", faults: []Fault{{Kind: Removed, Node: -1}},
		none: 100 * time.Millisecond, gains: [2]int{1, 0},
	},
}

func TestStories(t *testing.T) {
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			s := pair()
			if story.edit != nil {
				story.edit(&s.Instances[0])
			}
			for _, f := range story.faults {
				f.At += span(15 * time.Second)
				s.Faults = append(s.Faults, f)
			}
			w := newWorld(s)
			o := look(w, 14*time.Second)
			w.run(90 * time.Second)
			if w.failure != nil {
				t.Fatalf("%v\n%s", w.failure, w.tail())
			}
			if o.none > story.none || o.two > story.two || [2]int(o.gains) != story.gains {
				t.Errorf("I6 outage: nobody for %s, both for %s, taken %v times; at most %s, %s, %v\n%s",
					o.none, o.two, o.gains, story.none, story.two, story.gains, w.tail())
			}
			if !w.hosts[story.owner].answers(0) {
				t.Errorf("%s does not hold the VIP at the end\n%s", nodeName(story.owner), w.tail())
			}
		})
	}
}

// What an operator has moved stays, until the node where it is gets worse.
func TestHandoversDoNotOutliveTheHealthOfTheMaster(t *testing.T) {
	s := pair()
	s.Instances[0].Tracks[0].Weight = -60
	s.Faults = []Fault{
		{At: span(15 * time.Second), Kind: Failover, Node: -1},
		{At: span(30 * time.Second), Kind: FailChecker, Node: 1, For: span(30 * time.Second)},
	}
	w := newWorld(s)
	w.run(29 * time.Second)
	if !w.hosts[1].answers(0) {
		t.Errorf("lb2 should have it\n%s", w.tail())
	}
	w.run(45 * time.Second)
	if !w.hosts[0].answers(0) {
		t.Errorf("lb1 should have taken it back from a node of priority 40\n%s", w.tail())
	}
}

// Without leases two own the VIP while the master's process is stopped; it must let go before it does anything else.
func TestStalledMasterLetsGoFirst(t *testing.T) {
	s := pair()
	s.Instances[0].Unleased = true
	s.Faults = []Fault{{At: span(15 * time.Second), Kind: Pause, For: span(10 * time.Second)}}
	w := newWorld(s)
	w.run(24 * time.Second)
	spoke := w.judge.views[0][0].spoke
	w.run(25100 * time.Millisecond)
	if w.hosts[0].answers(0) || w.judge.views[0][0].spoke != spoke {
		t.Errorf("lb1 still holds the VIP, or has spoken before it listened\n%s", w.tail())
	}
}

// Starts in any phase: where the worse one's timer ends first, since it booted first, the better one takes over once.
func TestBothBootAtOnce(t *testing.T) {
	for seed := range uint64(12) {
		s := pair()
		s.Seed = seed
		w := newWorld(s)
		o := look(w, 0)
		w.run(40 * time.Second)
		if o.gains[0] != 1 || o.gains[1] > 1 || !w.hosts[0].answers(0) {
			t.Errorf("seed %d: taken %v times\n%s", seed, o.gains, w.tail())
		}
	}
}

// A day with a little loss and much jitter moves nothing (I5). Only three adverts lost in a row look like a dead master: one chance
// in a million for each of them.
func TestNoFaultMovesNothing(t *testing.T) {
	s := pair()
	s.Faults = []Fault{
		{At: span(10 * time.Second), Kind: Loss, Segment: -1, Size: 1, For: span(24 * time.Hour)},
		{At: span(10 * time.Second), Kind: Slow, Segment: -1, Size: 200, For: span(24 * time.Hour)},
	}
	w := newWorld(s)
	o := look(w, 9*time.Second)
	w.run(24 * time.Hour)
	if w.failure != nil || o.gains[0]+o.gains[1] > 0 || o.none > 0 {
		t.Errorf("I5 flapping: %v: moved %v times, nobody for %s\n%s", w.failure, o.gains, o.none, w.tail())
	}
}

// Wall clocks mean nothing to what is not signed (I24): the same events come at the same instants whatever they show.
func TestWallClocksAlterNothing(t *testing.T) {
	for seed := range uint64(12) {
		s := Generate(seed, 10*time.Minute)
		for i := range s.Instances {
			s.Instances[i].Signed = false
		}
		calm := history(s)
		for k := range 30 {
			s.Faults = append(s.Faults, Fault{At: span(time.Duration(k) * 20 * time.Second), Kind: Wall, Node: k % s.Nodes, Size: 1 << k, For: span(time.Duration(k) * time.Second)})
		}
		if jumpy := history(s); jumpy != calm {
			t.Errorf("I24 wall clock: seed %d: clocks that jump alter what happens", seed)
		}
	}
}

// history is who took and lost VIPs when.
func history(s Scenario) (all string) {
	w := newWorld(s)
	w.byHeld = func(h *host, v int, on bool) { all += fmt.Sprintln(w.now, h.n, v, on) }
	w.run(time.Duration(s.Length))
	return all
}
