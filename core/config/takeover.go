package config

import (
	"net/netip"
	"slices"

	"github.com/vipward/vipward/core/heartbeat"
)

// checkTakeover warns of evidence that says less than it seems to.
func (l *loading) checkTakeover() {
	l.checkReach()
	for _, n := range l.nodes {
		l.checkPaths(n)
	}
}

// checkReach warns of a reference that is on no network of which the configuration tells.
func (l *loading) checkReach() {
	for _, r := range l.arbitration.references {
		known, near := 0, false
		for _, i := range l.instances {
			for _, a := range i.Addresses {
				if !a.Prefix.IsSingleIP() && a.Prefix.Addr().Is6() == r.Is6() {
					known++
					near = near || a.Prefix.Masked().Contains(r)
				}
			}
		}
		near = near || slices.ContainsFunc(l.nodes, func(n nodeDecl) bool { return neighbours(n.ip, r) })
		if known > 0 && !near {
			l.warn(l.arbitration.referencesAt, "reference %v is on no network of a VIP", r).because(
				"References are asked by ARP or neighbour discovery, on a network that this node is on. Name addresses of that network, such as its router's.")
		}
	}
}

// neighbours tells whether two addresses are likely to be on one network, whose length is not known.
func neighbours(a, b netip.Addr) bool {
	bits := 24
	if b.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	return err == nil && p.Contains(b)
}

// checkPaths warns of heartbeats that take the way of the adverts alone: what cuts the one cuts the other.
func (l *loading) checkPaths(n nodeDecl) {
	k := slices.IndexFunc(l.cfg.Nodes, func(o Node) bool { return o.Name == n.name })
	if k < 0 || len(n.heartbeats) == 0 {
		return
	}
	shared := func(p heartbeat.Path) bool {
		return slices.ContainsFunc(l.instances, func(i *instance) bool { return p.Interface != "" && i.Interface == p.Interface })
	}
	if paths := l.cfg.Nodes[k].Heartbeats; len(paths) > 0 && !slices.ContainsFunc(paths, func(p heartbeat.Path) bool { return !shared(p) }) {
		l.warn(labelRange(n.heartbeats[0].Block), "every heartbeat of node %q goes over the interface of its adverts", n.name).because(
			"What cuts the adverts cuts the heartbeats as well. Add a path over another interface, such as a cable between the nodes.")
	}
}
