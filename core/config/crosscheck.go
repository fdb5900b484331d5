package config

import (
	"net/netip"

	"github.com/hashicorp/hcl/v2"
)

// crossCheck looks for what is wrong between blocks that are right by themselves.
func (l *loading) crossCheck() {
	l.checkRouters()
	l.checkVMACs()
	l.checkRoutes()
	vips := l.checkAddresses()
	l.checkServices(vips)
	l.checkSync()
	l.checkRefused()
	l.checkTakeover()
	for _, i := range l.instances {
		l.checkPriorities(i)
		l.checkLease(i)
	}
	for _, g := range l.groups {
		l.checkGroup(g)
	}
	l.foretell()
	l.checkUse()
}

// checkUse reports what nothing refers to.
func (l *loading) checkUse() {
	for _, name := range sorted(l.pluginAt) {
		if !l.pluginUsed[name] {
			l.warn(l.pluginAt[name], "plugin %q is not used", name).because("No checker, check, notifier or fencer has this kind.")
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
		six   bool
	}
	seen := map[router]*instance{}
	for _, i := range l.instances {
		r := router{i.Interface, i.VRRP.VRID, i.VRRP.IPv6()}
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
	type site struct {
		addr netip.Addr
		link string // of a link-local address, which every link can have
	}
	seen := map[site]hcl.Range{}
	vips := map[netip.Addr]bool{}
	for _, i := range l.instances {
		for k, a := range i.Addresses {
			ip := a.Prefix.Addr()
			at := site{addr: ip}
			if ip.IsLinkLocalUnicast() {
				at.link = a.Interface
			}
			if first, ok := seen[at]; ok {
				l.fault(i.addressAt[k], "virtual_address %v is declared twice", ip).because(
					"It is declared at %s already. A VIP belongs to one vrrp_instance.", place(first))
				continue
			}
			seen[at], vips[ip] = i.addressAt[k], true
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

// checkRefused reports a service on a VIP that takes no packets.
func (l *loading) checkRefused() {
	for _, i := range l.instances {
		for _, a := range i.Addresses {
			for _, s := range l.services {
				if i.Refuse && s.isOn(a.Prefix.Addr()) {
					l.fault(i.block.where("accept"), "accept = false, and virtual_server %q is on %v", s.Name, a.Prefix.Addr()).because(
						"Packets to the VIPs of such an instance are dropped before IPVS sees them. Remove accept = false.")
				}
			}
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
