package config

import (
	"fmt"
	"hash/fnv"
	"iter"
	"net/netip"
	"slices"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// through is a check that reaches its real server through the VIP: where it stands, and how it connects besides.
type through struct {
	connection
	block *block
}

// goThrough notes a check through a VIP.
func (b *block) goThrough(check string, how connection) {
	if b.through == nil {
		b.loading.through = map[string]through{}
	}
	b.through[check] = through{how, b}
}

// probeThrough gives each check through a VIP its target, its source and its mark, and the node what the kernel needs for it.
func (l *loading) probeThrough() {
	if len(l.through) == 0 {
		return
	}
	probes, users := map[string]node.Probe{}, map[string][]*Check{}
	for server, c := range l.checksThrough() {
		p := node.Probe{Source: c.Source, IPv6: c.Target.Addr().Is6(), Destination: server}
		p.Destination.Address = netip.AddrPortFrom(server.Address.Addr(), 0) // packets keep their port
		way := fmt.Sprintf("%v %s %+v %v %v", p.Destination.Address, server.Forward, server.Tunnel, p.IPv6, p.Source)
		probes[way], users[way] = p, append(users[way], c)
	}
	taken := l.marksInUse()
	for _, way := range sorted(probes) {
		p := probes[way]
		p.Mark = freeMark(way, taken)
		for _, c := range users[way] {
			c.Mark = p.Mark
		}
		l.cfg.Node.Probes = append(l.cfg.Node.Probes, p)
	}
}

// checksThrough are the checks through a VIP, pointed at it, each with its server. Those with a fault are left out.
func (l *loading) checksThrough() iter.Seq2[desired.Destination, *Check] {
	checks := map[string]*Check{}
	for k := range l.cfg.Checks {
		checks[l.cfg.Checks[k].ID] = &l.cfg.Checks[k]
	}
	return func(yield func(desired.Destination, *Check) bool) {
		for _, s := range l.services {
			for _, r := range s.RealServers {
				for _, k := range r.Checks {
					t, ok := l.through[k.Check]
					if ok && t.aim(checks[k.Check], s.Service.Service, r.Destination) && !yield(r.Destination, checks[k.Check]) {
						return
					}
				}
			}
		}
	}
}

// aim points a check at the VIP. It is false where a fault has been reported.
func (t through) aim(c *Check, s desired.Service, d desired.Destination) bool {
	if !s.Address.IsValid() {
		return false // what is wrong with it has been reported
	}
	before := t.block.errors()
	t.refuse(d)
	c.Target = t.vip(s)
	c.Source = t.origin(c.Target.Addr())
	return t.block.errors() == before
}

// refuse reports what does not go together.
func (t through) refuse(d desired.Destination) {
	b := t.block
	if d.Forward == desired.NAT {
		b.fault(b.where("through_vip"), "through_vip with forward = \"nat\"").because(
			"Packets of clients reach %v with its own address as their destination, as those of a plain check do. Remove through_vip.", d.Address)
	}
	for _, name := range []string{"fwmark", "device"} {
		if b.given(name) {
			b.fault(b.where(name), "%s with through_vip", name).because(
				"The packets go the way that those of the virtual_server go. Remove %s.", name)
		}
	}
}

// vip is where the check goes to: the address and port of the virtual server, unless the block names others.
func (t through) vip(s desired.Service) netip.AddrPort {
	var vip netip.AddrPort
	if s.Mark == 0 {
		vip = s.Address
	}
	if t.address.IsValid() {
		vip = netip.AddrPortFrom(t.address, vip.Port())
	}
	if t.port != 0 {
		vip = netip.AddrPortFrom(vip.Addr(), t.port)
	}
	if !vip.IsValid() || vip.Port() == 0 {
		t.block.fault(t.block.where("through_vip"), "through_vip, and the virtual_server has no single address and port").because(
			`Write which of them the check goes to, like address = "10.0.0.100:80".`)
	}
	return vip
}

// origin is the address that the answer of the server comes to: the one that the block names, or that of this node.
func (t through) origin(vip netip.Addr) netip.Addr {
	b, source := t.block, t.source
	if own := b.ownAddress(); !source.IsValid() && own.Is4() == vip.Is4() {
		source = own
	}
	switch {
	case !vip.IsValid():
	case !source.IsValid():
		b.fault(b.where("through_vip"), "through_vip, and no address of this node is known").because(
			"The server answers to it. Write source = \"…\": an address of this node, no VIP, of the family of %v. That of the block node serves as well.", vip)
	case source.Is4() != vip.Is4():
		b.fault(b.where("source"), "source and the VIP are of different families").because(
			"The check goes from %v to %v: both are addresses of IPv4, or both of IPv6.", source, vip)
	case b.isVIP(source):
		b.fault(b.where("source"), "source %v is a VIP", source).because(
			"Only the master would hear the answer. Write an address that this node always has.")
	}
	return source
}

func (l *loading) isVIP(a netip.Addr) bool {
	for _, i := range l.instances {
		if slices.ContainsFunc(i.Addresses, func(v node.VirtualAddress) bool { return v.Prefix.Addr() == a }) {
			return true
		}
	}
	return false
}

// marksInUse are the firewall marks that the configuration uses otherwise.
func (l *loading) marksInUse() map[uint32]bool {
	taken := map[uint32]bool{}
	for _, s := range l.services {
		taken[s.Service.Service.Mark] = true
	}
	for _, c := range l.cfg.Checks {
		taken[c.Mark] = true
	}
	return taken
}

// freeMark is the mark of a way, and is taken from then on. It stays the same when others come and go, unless they collide.
func freeMark(way string, taken map[uint32]bool) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(way)) // it takes everything
	for n := h.Sum32(); ; n++ {
		if mark := desired.ProbeMarks | n&^desired.ProbeMarksMask; !taken[mark] {
			taken[mark] = true
			return mark
		}
	}
}
