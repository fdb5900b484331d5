package config

import (
	"net/netip"
	"slices"

	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
)

// checkTakeover warns of evidence that says less than it seems to.
func (l *loading) checkTakeover() {
	l.checkReach()
	l.checkOnlyPath()
	for _, n := range l.nodes {
		l.checkPaths(n)
	}
}

// checkOnlyPath warns of a pair whose heartbeats have one path, on the network of the VIPs.
func (l *loading) checkOnlyPath() {
	if len(l.nodes) < 2 || slices.ContainsFunc(l.nodes, func(n nodeDecl) bool { return len(n.heartbeats) > 0 || !l.nearVIP(n.ip) }) {
		return
	}
	n := l.nodes[0]
	l.warn(n.at, "the only path of heartbeats is on the network of the VIPs").because(
		"What cuts that network cuts adverts and heartbeats alike: a node that lives looks dead. Add a path over another network, such as " +
			"a cable between the nodes, to each block node: heartbeat \"cross\" { … } with its address there and the interface.")
}

// nearVIP tells whether an address is on the network of a VIP, where the VIP has its network's length.
func (l *loading) nearVIP(ip netip.Addr) bool {
	return slices.ContainsFunc(l.instances, func(i *instance) bool {
		return slices.ContainsFunc(i.Addresses, func(a node.VirtualAddress) bool {
			return !a.Prefix.IsSingleIP() && a.Prefix.Masked().Contains(ip)
		})
	})
}

// checkReach reports references that are VIPs, and those that are on no network of which the configuration tells: nobody asks them,
// and a node that is cut off would not notice.
func (l *loading) checkReach() {
	for _, r := range l.arbitration.references {
		known, near := 0, false
		for _, i := range l.instances {
			for _, a := range i.Addresses {
				if a.Prefix.Addr() == r.Addr {
					l.fault(r.at, "reference %v is a VIP of vrrp_instance %q", r, i.Name).because(
						"Its master has it and would ask itself; what answers is one of the pair. Write the address of a router or a server beside the pair.")
					near = true
				}
				if !a.Prefix.IsSingleIP() && a.Prefix.Addr().Is6() == r.Is6() {
					known++
					near = near || a.Prefix.Masked().Contains(r.Addr)
				}
			}
		}
		near = near || slices.ContainsFunc(l.cfg.Nodes, func(n Node) bool {
			return neighbours(n.Address, r.Addr) || slices.ContainsFunc(n.Heartbeats, func(p heartbeat.Path) bool { return neighbours(p.Address, r.Addr) })
		})
		if known > 0 && !near {
			l.fault(r.at, "reference %v is on no network of the pair", r).because(
				"References are asked by ARP or neighbour discovery, so that only a network can tell that this node is on. Name addresses of the VIPs' network, such as its router's.")
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

// checkPaths warns of heartbeats that anybody can forge, and of those that take the way of the adverts alone: what cuts the one cuts
// the other.
func (l *loading) checkPaths(n nodeDecl) {
	k := slices.IndexFunc(l.cfg.Nodes, func(o Node) bool { return o.Name == n.name })
	if k < 0 || len(n.heartbeats) == 0 {
		return
	}
	if slices.ContainsFunc(l.cfg.Nodes[k].Heartbeats, func(p heartbeat.Path) bool { return p.Routed }) && len(l.arbitration.key) == 0 {
		l.warn(labelRange(n.heartbeats[0].Block), "heartbeats to node %q come over routers and are not signed", n.name).because(
			"Whoever can send from its address can speak for it. Write arbitration { key_file = \"/etc/vipward/pair.key\" }.")
	}
	shared := func(p heartbeat.Path) bool {
		return slices.ContainsFunc(l.instances, func(i *instance) bool { return p.Interface != "" && i.Interface == p.Interface })
	}
	if paths := l.cfg.Nodes[k].Heartbeats; len(paths) > 0 && !slices.ContainsFunc(paths, func(p heartbeat.Path) bool { return !shared(p) }) {
		l.warn(labelRange(n.heartbeats[0].Block), "every heartbeat of node %q goes over the interface of its adverts", n.name).because(
			"What cuts the adverts cuts the heartbeats as well. Add a path over another interface, such as a cable between the nodes.")
	}
}
