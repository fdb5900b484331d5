package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// crashes are short stories of which each action of the nodes is a place to die at (I21).
var crashes = []struct {
	name  string
	edit  func(s *Scenario)
	fault Fault
}{
	{name: "the start of both", fault: Fault{Kind: Reload}},
	{name: "the master dies", fault: Fault{Kind: Kill, For: span(8 * time.Second)}},
	{name: "the master comes back at once", fault: Fault{Kind: Kill, For: span(200 * time.Millisecond)}},
	{name: "the backup dies", fault: Fault{Kind: Kill, Node: 1, For: span(5 * time.Second)}},
	{name: "the master sleeps", fault: Fault{Kind: Pause, For: span(7 * time.Second)}},
	{name: "a planned hand-over", fault: Fault{Kind: Failover, Node: -1}},
	{name: "a clean stop", fault: Fault{Kind: Stop, For: span(12 * time.Second)}},
	{name: "a partition", fault: Fault{Kind: Partition, Segment: -1, Size: 1, For: span(8 * time.Second)}},
	{name: "the backup is deaf", fault: Fault{Kind: Deaf, Node: 1, For: span(6 * time.Second)}},
	{name: "a checker fails without weight", fault: Fault{Kind: FailChecker, For: span(6 * time.Second)}},
	{name: "no carrier", fault: Fault{Kind: Carrier, For: span(6 * time.Second)}},
	{name: "the interface is deleted", fault: Fault{Kind: Deleted, For: span(3 * time.Second)}},
	{name: "a VIP is deleted by hand", fault: Fault{Kind: Removed, Node: -1}},
	{name: "the priorities are turned round", fault: Fault{Kind: Reconfigure, Size: turnPriorities, For: span(10 * time.Second)}},
	{name: "a VIP more", fault: Fault{Kind: Reconfigure, Size: addVIP, For: span(5 * time.Second)}},
	{name: "without preemption", edit: func(s *Scenario) { s.Instances[0].Preempt = false }, fault: Fault{Kind: Kill, For: span(6 * time.Second)}},
	{name: "version 2", edit: func(s *Scenario) { s.Instances[0].Version = 2 }, fault: Fault{Kind: Stop, For: span(12 * time.Second)}},
	{name: "a sync group is handed over", edit: grouped, fault: Fault{Kind: Failover, Node: -1}},
	{name: "a sync group stops", edit: grouped, fault: Fault{Kind: Stop, For: span(12 * time.Second)}},
	{name: "a sync group loses a link", edit: grouped, fault: Fault{Kind: Carrier, Segment: 1, For: span(6 * time.Second)}},
	{name: "a sync group is cut apart on one link", edit: grouped, fault: Fault{Kind: Partition, Segment: 1, Size: 1, For: span(8 * time.Second)}},
}

func pair() Scenario {
	return Scenario{
		Seed: 1, Length: span(75 * time.Second),
		Topology: Topology{
			Nodes: 2, Segments: 1, Delay: span(time.Millisecond), Checkers: 1,
			Instances: []Spec{{
				VRID: 51, Version: 3, Priority: []int{150, 100}, Interval: span(time.Second), VIPs: 2, Preempt: true,
				Tracks: []TrackSpec{{Kind: "checker", Number: 0}},
			}},
		},
	}
}

func grouped(s *Scenario) {
	two := s.Instances[0]
	two.Segment, two.VRID, two.IPv6 = 1, 52, true
	s.Segments, s.Instances, s.Groups = 2, append(s.Instances, two), [][]int{{0, 1}}
}

// Every action of each node during a story is one where it is killed, to boot again within the lease, after it, and when all is over.
func TestCrashAtEveryAction(t *testing.T) {
	for _, story := range crashes {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			s := pair()
			if story.edit != nil {
				story.edit(&s)
			}
			story.fault.At = span(15 * time.Second)
			s.Faults = []Fault{story.fault}
			strike(t, s, 15*time.Second-time.Millisecond, 25*time.Second, []Fault{
				{Kind: Crash, For: span(100 * time.Millisecond)}, {Kind: Crash, For: span(1500 * time.Millisecond)}, {Kind: Crash, For: span(20 * time.Second)},
			})
		})
	}
}

// strike plays a story once for each action that a node does within a time from begin on, and each of the faults, which hits it there.
func strike(t *testing.T, s Scenario, begin, within time.Duration, faults []Fault) {
	t.Helper()
	played := 0
	for n, actions := range count(s, begin, within) {
		for k := 1; k <= actions; k++ {
			for _, f := range faults {
				f.At, f.Node, f.Size = span(begin), n, k
				c := s
				c.Faults = append(slices.Clone(s.Faults), f)
				played++
				if w := Play(c); w.failure != nil {
					t.Fatalf("I21 crash: %s, %s at action %d for %s: %v\n%s", nodeName(n), f.Kind, k, time.Duration(f.For), w.failure, w.tail())
				}
			}
		}
	}
	if played < 20 {
		t.Errorf("only %d crashes", played)
	}
	t.Logf("%d crashes", played)
}

// count is how many actions each node does while the story is told.
func count(s Scenario, begin, within time.Duration) []int {
	n := make([]int, s.Nodes)
	w := newWorld(s)
	w.actions = func(h *host) {
		if w.now >= begin && w.now < begin+within {
			n[h.n]++
		}
	}
	w.run(time.Duration(s.Length))
	return n
}

// Machines that crash within their first seconds, at each action from the start on.
func TestCrashAtStart(t *testing.T) {
	for k := 1; k <= 60; k++ {
		s := pair()
		for n := range s.Nodes {
			s.Faults = append(s.Faults, Fault{At: span(2 * time.Second), Kind: Crash, Node: n, Size: k, For: span(300 * time.Millisecond)})
		}
		if w := Play(s); w.failure != nil {
			t.Fatalf("I21 crash: both die at action %d: %v\n%s", k, w.failure, strings.TrimSpace(fmt.Sprint(w.tail())))
		}
	}
}
