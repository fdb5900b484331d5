package sim

import (
	"cmp"
	"testing"
	"time"

	"github.com/vipward/vipward/core/guard"
)

// guardedCrashes are short stories of pairs that ask before they take over: with heartbeats on two paths, references and probes, and
// besides with what each story says. Each action of the nodes within the time of its story is a place to die at, or to be stopped.
var guardedCrashes = []struct {
	name   string
	edit   func(s *Scenario)
	faults []Fault
	within time.Duration // after the fault the actions are counted
	length time.Duration
}{
	{name: "the master dies", faults: []Fault{{Kind: Kill, For: span(8 * time.Second)}}},
	{name: "a planned hand-over", faults: []Fault{{Kind: Failover, Node: -1}}},
	{name: "a clean stop", faults: []Fault{{Kind: Stop, For: span(10 * time.Second)}}},
	{name: "only the adverts are cut", faults: []Fault{{Kind: Filter, Size: 1, For: span(6 * time.Second)}}},
	{name: "the master is cut off", faults: []Fault{{Kind: Isolate, For: span(6 * time.Second)}}},
	{name: "best effort, the machine dies", edit: fenced(guard.FencingBestEffort), faults: []Fault{{Kind: Power}}, length: 70 * time.Second},
	{name: "best effort, the master hangs", edit: fenced(guard.FencingBestEffort), faults: []Fault{{Kind: Pause, For: span(12 * time.Second)}}},
	{name: "required, the machine dies", edit: fenced(guard.FencingRequired), faults: []Fault{{Kind: Power}}, length: 70 * time.Second},
	{
		name: "required, the fencer refuses", edit: fenced(guard.FencingRequired),
		faults: []Fault{{Kind: Pause, For: span(12 * time.Second)}, {Kind: Fencer, Size: refuses, For: span(13 * time.Second)}},
	},
	{name: "a witness, the master dies", edit: witnessed(guard.WitnessFailsafe), faults: []Fault{{Kind: Kill, For: span(8 * time.Second)}}},
	{name: "a witness, a planned hand-over", edit: witnessed(guard.WitnessRelease), faults: []Fault{{Kind: Failover, Node: -1}}},
	{name: "the master loses the witness", edit: witnessed(guard.WitnessRelease), faults: []Fault{{Kind: Witness, For: span(8 * time.Second)}}},
	{name: "fast leases, the master dies", edit: quick, faults: []Fault{{Kind: Kill, For: span(4 * time.Second)}}, within: 1500 * time.Millisecond},
	{name: "fast leases, back at once", edit: quick, faults: []Fault{{Kind: Kill, For: span(150 * time.Millisecond)}}, within: time.Second},
	{name: "fast leases, the master hangs", edit: quick, faults: []Fault{{Kind: Pause, For: span(time.Second)}}, within: 2500 * time.Millisecond},
	{name: "fast leases, a planned hand-over", edit: quick, faults: []Fault{{Kind: Failover, Node: -1}}, within: time.Second},
	{name: "fast leases, a clean stop", edit: quick, faults: []Fault{{Kind: Stop, For: span(10 * time.Second)}}, within: 1500 * time.Millisecond},
	{
		name: "fast leases of a sync group", edit: func(s *Scenario) { quick(s); grouped(s) },
		faults: []Fault{{Kind: Carrier, Segment: 1, For: span(2 * time.Second)}}, within: 1500 * time.Millisecond,
	},
	{
		name: "a sync group with a witness", edit: func(s *Scenario) { grouped(s); witnessed(guard.WitnessRelease)(s) },
		faults: []Fault{{Kind: Kill, For: span(6 * time.Second)}},
	},
}

func fenced(mode guard.FencingMode) func(*Scenario) {
	return func(s *Scenario) { s.Guard.Mode, s.Guard.Levels = mode, 1 }
}

func witnessed(loss guard.OnWitnessLoss) func(*Scenario) {
	return func(s *Scenario) { s.Guard.OnLoss, s.Guard.TTL = loss, span(3*time.Second) }
}

func quick(s *Scenario) {
	s.Instances[0].Interval, s.Instances[0].Fast = span(100*time.Millisecond), true
}

func guardedPair() Scenario {
	s := pair()
	s.Guard = &GuardSpec{Probe: true, References: 2, Paths: 2, AutoRejoin: true}
	return s
}

// Every action of each node during a story of a guarded pair is one where it is killed or stopped (I21).
func TestCrashAtEveryActionOfGuardedPairs(t *testing.T) {
	const begin = 8 * time.Second
	for _, story := range guardedCrashes {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			s := guardedPair()
			if story.edit != nil {
				story.edit(&s)
			}
			within := cmp.Or(story.within, 4500*time.Millisecond)
			s.Length = span(max(story.length, 21*time.Second))
			if story.within == 0 {
				s.Length = max(s.Length, span(32*time.Second))
			}
			for _, f := range story.faults {
				f.At = span(begin)
				s.Faults = append(s.Faults, f)
			}
			stall := 4 * time.Duration(s.Instances[0].Interval) // longer than a takeover takes
			strike(t, s, begin-time.Millisecond, within, []Fault{
				{Kind: Crash, For: span(200 * time.Millisecond)}, {Kind: Crash, For: span(8 * time.Second)}, {Kind: Stall, For: span(stall)},
			})
		})
	}
}
