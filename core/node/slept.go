package node

import (
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// slept has all that was true before the machine was suspended be as old as it is: who was heard, and what the witness has granted.
func (n *Node) slept(now time.Time, d time.Duration) {
	for _, m := range n.members {
		m.heard = before(m.heard, d)
		for _, p := range m.paths {
			p.heard = before(p.heard, d)
		}
	}
	n.tellPaths(now)
	for _, i := range n.instances {
		g := &i.guard.grant
		g.asked, g.until, g.next = before(g.asked, d), before(g.until, d), before(g.next, d)
		n.step(now, i, vrrp.Slept{For: d})
	}
}

// before is an instant that is earlier by d; zero stays zero.
func before(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-d)
}
