package node

import (
	"fmt"
	"math"

	"github.com/vipward/vipward/core/health"
)

// leastSum is the least that a number in a file may add to the priority; below it is FAULT, as keepalived's track_file has it.
const leastSum = -253

// figure is the value of a result that a checker "file" gives.
const figure = "value"

// IsNumber tells whether the track adds a number to the priority, instead of being up or down.
func (t Track) IsNumber() bool { return t.Kind == TrackFile && t.Weighted }

// checkStatus is the verdict on the check of a script, process or file. A number is unknown before it was read once; that it
// cannot be read any more leaves it as it was.
func (n *Node) checkStatus(t Track) (status health.Status, reason string) {
	c := n.checks[t.Check]
	switch {
	case c == nil:
		return health.Unknown, "there is no check of it"
	case !t.IsNumber():
		return c.Status(), c.Last().Reason
	case c.number == nil:
		return health.Unknown, c.Last().Reason
	}
	if add := n.sum(t); add < leastSum {
		return health.Down, fmt.Sprintf("%v in it, times %d, is below %d", *c.number, t.factor(), leastSum)
	} else {
		return health.Up, fmt.Sprintf("it adds %d to the priority", add)
	}
}

// sum is what a number adds to the priority.
func (n *Node) sum(t Track) int {
	c := n.checks[t.Check]
	if c == nil || c.number == nil {
		return 0
	}
	return int(math.Round(min(max(*c.number*float64(t.factor()), leastSum-1), -leastSum+1)))
}

// factor is the weight, of which `reverse` changes the sign.
func (t Track) factor() int {
	if t.Reverse {
		return -t.Weight
	}
	return t.Weight
}

// count keeps the number of the latest result that has one, and tells whether it is another.
func (c *check) count(in Observed) (changed bool) {
	v, ok := in.Values[figure]
	if !ok || in.Outcome == health.Error || c.number != nil && *c.number == v {
		return false
	}
	c.number = &v
	return true
}
