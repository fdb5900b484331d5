package node

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// Reuse is the configuration now with those services that are the same in before taken from there, so that [Node.Configure] need not
// look at them: to compare thousands of real servers takes longer than the loop may be held up.
func Reuse(before, now Config, same func(a, b Service) bool) Config {
	old := make(map[string]Service, len(before.Services))
	for _, s := range before.Services {
		old[s.Name] = s
	}
	now.Services = slices.Clone(now.Services)
	for k, s := range now.Services {
		if o, ok := old[s.Name]; ok && same(o, s) {
			now.Services[k] = o
		}
	}
	return now
}

// shared tells whether both are one and the same, by [Reuse].
func (s Service) shared(o Service) bool {
	return len(s.RealServers) > 0 && len(s.RealServers) == len(o.RealServers) && &s.RealServers[0] == &o.RealServers[0]
}

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
		if g := i.guard.grant; n.cfg.Guard.Witness != "" && (g.id != 0 || !g.until.IsZero()) { // what is asked for may be granted
			n.returnGrant(now, i)
		}
	}
	n.indexInlets()
}

func sameRouter(a, b Instance) bool {
	return a.Interface == b.Interface && a.VRRP.VRID == b.VRRP.VRID && a.VRRP.Version == b.VRRP.Version && a.VRRP.IPv6() == b.VRRP.IPv6()
}

func (n *Node) reconfigure(now time.Time, i *instance, c Instance) {
	c.VRRP = c.router()
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
