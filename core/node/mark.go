package node

import (
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// Mark is the highest number that one sender of signed adverts has used for one virtual router, in the form that outlives the
// daemon. It keeps adverts that somebody has recorded from being believed after a restart.
type Mark struct {
	// Interface, VRID and IPv6 name the virtual router.
	Interface string
	VRID      uint8
	IPv6      bool
	// Source is the sender, Sequence its number.
	Source   netip.Addr
	Sequence uint64
}

// Marks are those of all instances with keys.
func (n *Node) Marks() []Mark {
	var out []Mark
	for _, i := range n.instances {
		for _, m := range i.router.Marks() {
			out = append(out, Mark{i.cfg.Interface, i.cfg.VRRP.VRID, i.cfg.VRRP.IPv6(), m.Source, uint64(m.Sequence)})
		}
	}
	return out
}

// rememberMarks begins with the marks of a former run.
func (n *Node) rememberMarks(now time.Time, marks []Mark) {
	for _, i := range n.instances {
		n.learnSource(now, i)
		var own []vrrp.Mark
		for _, m := range marks {
			if m.Interface == i.cfg.Interface && m.VRID == i.cfg.VRRP.VRID && m.IPv6 == i.cfg.VRRP.IPv6() {
				own = append(own, vrrp.Mark{Source: m.Source, Sequence: vrrp.Sequence(m.Sequence)})
			}
		}
		i.router.Remember(own)
	}
}
