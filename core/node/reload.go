package node

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// adoptInstances takes the virtual routers of the configuration over. One that stays the same router on the wire (interface,
// VRID, version, family) keeps its state under any name; one that is gone resigns.
func (n *Node) adoptInstances(now time.Time) {
	old := n.instances
	n.instances = make([]*instance, 0, len(n.cfg.Instances))
	for _, c := range n.cfg.Instances {
		k := slices.IndexFunc(old, func(o *instance) bool { return sameRouter(o.cfg, c) })
		if k < 0 {
			n.instances = append(n.instances, newInstance(c))
			continue
		}
		i := old[k]
		old = slices.Delete(slices.Clone(old), k, k+1)
		n.reconfigure(now, i, c)
		n.instances = append(n.instances, i)
	}
	for _, i := range old {
		n.endMove(i, i.cfg.Name+" was removed from the configuration")
		n.step(now, i, vrrp.Stop{})
	}
	n.indexInlets()
}

func sameRouter(a, b Instance) bool {
	return a.Interface == b.Interface && a.VRRP.VRID == b.VRRP.VRID && a.VRRP.Version == b.VRRP.Version && a.VRRP.IPv6() == b.VRRP.IPv6()
}

func (n *Node) reconfigure(now time.Time, i *instance, c Instance) {
	c.VRRP.Gated = true
	i.broken = ""
	v := c.VRRP
	if !v.Source.IsValid() {
		v.Source = i.router.Config().Source // learned from the interface
	}
	announce := !slices.Equal(i.cfg.Addresses, c.Addresses)
	i.cfg = c
	n.take(now, i, i.router.Reconfigure(now, v))
	if announce && i.holds {
		i.epoch++
	}
}
