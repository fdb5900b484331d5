package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/vipward/vipward/core/health"
)

// Verdict is what the results of one check have come to, in the form that outlives the daemon.
type Verdict struct {
	// Check is the identifier in [Checker] or [ServerCheck].
	Check string
	// Status is up or down: unknown is not worth remembering.
	Status health.Status
	// Reason and Weight are those of the observation that explains it.
	Reason string
	Weight int
	// Heard is when the last result came.
	Heard time.Time
}

// Verdicts are those that results have decided, by check.
func (n *Node) Verdicts() []Verdict {
	out := make([]Verdict, 0, len(n.checks))
	for id, c := range n.checks {
		if c.Judged() && c.Status() != health.Unknown {
			out = append(out, Verdict{Check: id, Status: c.Status(), Reason: c.Last().Reason, Weight: c.Last().Weight, Heard: c.Heard()})
		}
	}
	slices.SortFunc(out, func(a, b Verdict) int { return cmp.Compare(a.Check, b.Check) })
	return out
}

// remember begins with the verdicts of a former run: each is stale until a result confirms it. What is not configured any more
// is forgotten. The clock of every other check begins to run.
func (n *Node) remember(now time.Time, verdicts []Verdict) {
	for _, c := range n.checks {
		c.Begin(now)
	}
	for _, v := range verdicts {
		c := n.checks[v.Check]
		if c == nil || v.Status != health.Up && v.Status != health.Down {
			continue
		}
		c.Restore(v.Status, health.Observation{Reason: v.Reason, Weight: v.Weight})
		c.since = now
		c.Assume(v.Heard)
	}
	before := len(n.out.Events)
	n.judgeServices(now, n.services)
	for i := range n.out.Events[before:] {
		n.out.Events[before+i].Notify = nil // it was so before the restart: no news to anybody
	}
}
