package config

import (
	"fmt"
	"net/netip"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// crossCheck looks for what is wrong between blocks that are right by themselves.
func (l *loading) crossCheck() {
	l.checkRouters()
	vips := l.checkAddresses()
	l.checkServices(vips)
	for _, i := range l.instances {
		l.checkPriorities(i)
		for k, t := range i.Tracks {
			l.checkWeight(i, t, i.trackAt[k])
		}
	}
	l.checkUse()
}

// checkUse reports what nothing refers to.
func (l *loading) checkUse() {
	for _, name := range sorted(l.pluginAt) {
		if !l.pluginUsed[name] {
			l.warn(l.pluginAt[name], "plugin %q is not used", name).because("No checker, check or notifier has this kind.")
		}
	}
	for _, name := range sorted(l.checkers) {
		if c := l.checkers[name]; !c.used {
			l.warn(c.at, "checker %q is not used", name).because("No vrrp_instance tracks it: add track \"checker\" { name = %q } to one, or remove it.", name)
		}
	}
}

// checkRouters reports two instances that would be one virtual router.
func (l *loading) checkRouters() {
	type router struct {
		iface string
		vrid  uint8
	}
	seen := map[router]*instance{}
	for _, i := range l.instances {
		r := router{i.Interface, i.VRRP.VRID}
		if r.iface == "" || r.vrid == 0 {
			continue
		}
		if first, ok := seen[r]; ok {
			l.fault(i.block.where("virtual_router_id"), "virtual_router_id %d is used twice on %s", r.vrid, r.iface).because(
				"%v at %s has it as well. Every virtual router of a network needs an identifier of its own.", first, place(first.block.at))
			continue
		}
		seen[r] = i
	}
}

// checkAddresses reports a VIP that stands in two places, and returns all VIPs.
func (l *loading) checkAddresses() map[netip.Addr]bool {
	seen := map[netip.Addr]hcl.Range{}
	vips := map[netip.Addr]bool{}
	for _, i := range l.instances {
		for k, a := range i.Addresses {
			ip := a.Prefix.Addr()
			if first, ok := seen[ip]; ok {
				l.fault(i.addressAt[k], "virtual_address %v is declared twice", ip).because(
					"It is declared at %s already. A VIP belongs to one vrrp_instance.", place(first))
				continue
			}
			seen[ip], vips[ip] = i.addressAt[k], true
			l.checkOwner(i, ip, i.addressAt[k])
		}
	}
	return vips
}

// checkOwner reports a VIP that is a node's own address.
func (l *loading) checkOwner(i *instance, ip netip.Addr, at hcl.Range) {
	for _, n := range l.nodes {
		if n.ip == ip && i.priorities[n.name] != 255 {
			l.fault(at, "virtual_address %v is the address of node %q", ip, n.name).because(
				"Both nodes would have it at times. Write another one, or give that node priority 255, which owns the address.")
		}
	}
}

// checkServices reports services that exclude one another, and those that no packet can reach.
func (l *loading) checkServices(vips map[netip.Addr]bool) {
	seen := map[desired.ServiceKey]*service{}
	for _, s := range l.services {
		key := s.Service.Service.ServiceKey
		if !key.Address.IsValid() {
			continue
		}
		if first, ok := seen[key]; ok {
			l.fault(s.at, "%v over %s is declared twice", key.Address, key.Protocol).because(
				"virtual_server %q at %s has it already. Join the real servers of both in one block.", first.Name, place(first.at))
		}
		seen[key] = s
		if len(l.instances) > 0 && !vips[key.Address.Addr()] {
			l.warn(s.at, "no vrrp_instance holds %v", key.Address.Addr()).because(
				"Packets for virtual_server %q come only where the address is. Add virtual_address \"%v/32\" {} to an instance.", s.Name, key.Address.Addr())
		}
	}
}

// checkPriorities reports a pair whose master is decided by the addresses alone.
func (l *loading) checkPriorities(i *instance) {
	names := l.nodeNames()
	for k, a := range names {
		for _, b := range names[k+1:] {
			p, ok := i.priorities[a]
			if q, also := i.priorities[b]; !ok || !also || p != q {
				continue
			}
			l.warn(i.block.where("priority"), "nodes %q and %q have the same priority", a, b).because(
				"Then the higher IP address decides when both start, and a weight does more than it seems to. Write, for example, priority = { %s = 150, %s = 100 }.", a, b)
		}
	}
}

// full is the priority of a node while all that it tracks is up.
func (i *instance) full(name string) int {
	p := i.priorities[name]
	if p == 255 {
		return p
	}
	for _, t := range i.Tracks {
		if t.Weighted && (t.Weight > 0) != t.Reverse {
			p += max(t.Weight, -t.Weight)
		}
	}
	return min(p, 254)
}

// checkWeight reports a track that would not move the VIPs when what it looks at fails on the node that is master.
func (l *loading) checkWeight(i *instance, t node.Track, at hcl.Range) {
	best, second := i.ranking()
	if !t.Weighted || second == "" {
		return
	}
	what := fmt.Sprintf("%s %q", t.Kind, t.Name)
	loss := max(t.Weight, -t.Weight)
	switch p, q := i.full(best), i.full(second); {
	case p == 255:
		l.warn(at, "%s going down does not move the VIPs", what).because(
			"The owner of the addresses, priority 255 on %s, is not lowered by weights. Leave weight out: then it goes to FAULT.", best)
	case !i.VRRP.Preempt:
		l.warn(at, "%s going down does not move the VIPs", what).because(
			"With preempt = false the other node leaves a living master alone, whatever its priority. Leave weight out: then it goes to FAULT and hands over.")
	case p-loss >= q:
		l.warn(at, "%s going down does not move the VIPs", what).because(
			"%s falls from %d to %d (%d - %d), which is not below the %d of %s. Use a weight of more than %d, or leave it out: then it goes to FAULT.",
			best, p, max(p-loss, 1), p, loss, q, second, p-q)
	}
}

// ranking is the node that is master while all is well, and the next; empty where it is not known.
func (i *instance) ranking() (best, second string) {
	for _, n := range i.block.nodeNames() {
		if _, ok := i.priorities[n]; !ok {
			return "", ""
		}
		switch p := i.full(n); {
		case best == "" || p > i.full(best):
			best, second = n, best
		case second == "" || p > i.full(second):
			second = n
		}
	}
	return best, second
}
