package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// instance is one block `vrrp_instance`, with the places that the cross-checks need.
type instance struct {
	node.Instance
	block *block
	// priorities of all nodes, by name.
	priorities map[string]int
	// places of the VIPs, of those among them that are advertised, and of the tracks, in their order.
	addressAt, advertisedAt, trackAt, routeAt []hcl.Range
	// relatives are the addresses that must be of one family.
	relatives []relative
	group     *group // nil for none
}

func (l *loading) readInstances(kids map[string][]kid) {
	for _, k := range kids["vrrp_instance"] {
		b := l.open(k, instanceSpec(), true)
		i := &instance{block: b, Instance: node.Instance{Name: k.Labels[0]}}
		i.readProtocol()
		i.readPriority()
		i.readAuthentication()
		i.readUnicast()
		i.readAddresses()
		i.checkFamily()
		i.readRoutes()
		i.Tracks, i.trackAt = b.tracks()
		i.Garp = l.defaults.garp
		if g := b.single("garp", garpSpec()); g != nil {
			i.Garp = g.garp(i.Garp)
		}
		i.Lease = b.lease()
		i.StartDelay = b.startDelay(*cmp.Or(l.defaults.start, &i.VRRP.Interval))
		i.Notify = l.defaults.notify
		if b.given("notify") {
			i.Notify = b.notify()
		}
		l.instances = append(l.instances, i)
	}
}

// readProtocol reads what the adverts say.
func (i *instance) readProtocol() {
	b := i.block
	b.required("interface", `"eth0"`)
	b.required("virtual_router_id", "51")
	i.Interface = b.interfaceName("interface", "")
	v := &i.VRRP
	v.VRID = uint8(b.integer("virtual_router_id", 0, 1, 255,
		"A virtual router identifier is 1 to 255 (RFC 9568 section 5.2.3), and the same on both nodes of a pair."))
	v.Version = uint8(b.integer("version", 3, 2, 3, "The version of VRRP is 2 or 3, and the same on both nodes of a pair."))
	v.Interval = b.duration("advert_interval", time.Second, intervalSpan(v.Version))
	v.StartMaster = b.choice("initial_state", "BACKUP", "BACKUP", "MASTER") == "MASTER"
	v.Preempt = b.flag("preempt", true)
	v.PreemptDelay = b.duration("preempt_delay", 0, span{most: 1000 * time.Second, why: "It is 0s to 1000s (16m40s)."})
	v.Source = i.related(b.address("source_address"), b.where("source_address"), "source_address")
	v.Checksum = checksumRule(b.choice("checksum", "auto", "auto", "rfc9568", "pseudo"))
	v.StrictAddresses = b.flag("strict_addresses", false)
	i.PreemptWhenSynced = b.flag("preempt_when_synced", false)
	i.Refuse = !b.flag("accept", true)
	if v.PreemptDelay > 0 && !v.Preempt {
		b.fault(b.where("preempt_delay"), "preempt_delay with preempt = false").because(
			"A router that never preempts has nothing to delay. Remove one of the two.")
	}
}

// intervalSpan is what the version's field on the wire can hold.
func intervalSpan(version uint8) span {
	if version == 2 {
		return span{
			time.Second, 255 * time.Second, time.Second,
			"Version 2 counts whole seconds, 1s to 255s (RFC 3768 section 5.3.7); version 3 has 10ms to 40.95s.",
		}
	}
	return span{
		10 * time.Millisecond, 40950 * time.Millisecond, 10 * time.Millisecond,
		"Version 3 counts hundredths of a second, 10ms to 40.95s (RFC 9568 section 5.2.7).",
	}
}

func checksumRule(name string) vrrp.ChecksumRule {
	switch name {
	case "rfc9568":
		return vrrp.ChecksumRFC9568
	case "pseudo":
		return vrrp.ChecksumPseudo
	}
	return vrrp.ChecksumAuto
}

// interfaceName takes the name of a network interface.
func (b *block) interfaceName(name, otherwise string) string {
	s := b.text(name, otherwise)
	if b.given(name) && (s == "" || len(s) > 15 || strings.ContainsAny(s, "/ \t\n") || s == "." || s == "..") {
		b.fault(b.where(name), "%q is no name of an interface", s).because("A name has 1 to 15 bytes without spaces and slashes, like \"eth0\".")
		return otherwise
	}
	return s
}

// readPriority reads the priorities of all nodes, since the lease and several checks depend on the peers' as well.
func (i *instance) readPriority() {
	const why = "A priority is 1 to 254, and the higher one is master; 255 is for the owner of the addresses (RFC 9568 section 5.2.4)."
	b := i.block
	own := b.integer("priority", 100, 1, 255, why)
	i.VRRP.Priority = uint8(own)
	i.priorities = map[string]int{b.opt.Node: own}
	for _, n := range b.nodeNames() {
		if n == b.opt.Node {
			continue
		}
		if p, ok := b.priorityOf(n); ok {
			i.priorities[n] = p
			i.PeerPriority = max(i.PeerPriority, uint8(p))
		}
	}
}

// priorityOf is the priority that another node finds in the same file. Its faults are that node's.
func (b *block) priorityOf(name string) (int, bool) {
	if !b.given("priority") {
		return 100, true
	}
	v, ok := b.evaluate("priority", name)
	if ok && isMap(v) {
		v, ok = v.pick(name)
	}
	if !ok || v.IsNull() {
		return 0, false
	}
	before := b.diags
	defer func() { b.diags = before }()
	return b.number(v, "priority", 1, 255, "")
}

// readUnicast reads the peers. A node's own address in the list is left out, so that one list serves all.
func (i *instance) readUnicast() {
	b := i.block.single("unicast", spec{attrs: []string{"peers", "source", "min_ttl"}})
	if b == nil {
		return
	}
	v := &i.VRRP
	if s := i.related(b.address("source"), b.where("source"), "source"); s.IsValid() {
		if v.Source.IsValid() && v.Source != s {
			b.fault(b.where("source"), "source and source_address differ").because("Both are the address that adverts are sent from. Keep one.")
		}
		v.Source = s
	}
	v.MinTTL = uint8(b.integer("min_ttl", 255, 1, 255, "The least TTL of an advert that is accepted is 1 to 255; 255 is a peer on the same network."))
	for _, e := range b.elements("peers") {
		a := i.related(b.asAddress(e, "peers"), e.at, "the peer")
		if !a.IsValid() || a == v.Source || a == b.ownAddress() {
			continue
		}
		if slices.Contains(v.Peers, a) {
			b.fault(e.at, "peer %v is in the list twice", a).because("Write it once.")
			continue
		}
		v.Peers = append(v.Peers, a)
	}
	if len(v.Peers) == 0 {
		b.fault(b.where("peers"), "unicast without a peer").because(
			"Write the addresses of the other nodes, for example peers = [\"10.0.0.2\"]. Without the block unicast adverts go to the multicast group.")
	}
}

// ownAddress is that of this node; invalid where it has none.
func (l *loading) ownAddress() netip.Addr {
	for _, n := range l.nodes {
		if n.name == l.opt.Node {
			return n.ip
		}
	}
	return netip.Addr{}
}

// lease takes how long the kernel keeps the VIPs of a daemon that no longer renews them.
func (b *block) lease() node.Lease {
	v, ok := b.take("lease")
	if !ok {
		return node.Lease{Auto: true}
	}
	switch s := b.text("lease", "auto"); s {
	case "auto":
		return node.Lease{Auto: true}
	case "fast":
		return node.Lease{Auto: true, Fast: true}
	case "off":
		return node.Lease{}
	default:
		d, err := time.ParseDuration(s)
		if err != nil {
			b.fault(v.at, "lease cannot be %q", s).because(`It is "auto", "fast", "off", or a duration like "3s". %s`, durationHint(s))
			return node.Lease{Auto: true}
		}
		if d > 0 && d < time.Second {
			const why = "Below a second nftables ends the lease, and counts milliseconds, 1ms to 999ms; \"fast\" is as long as can be."
			d = b.within(v, "lease", d, 0, span{time.Millisecond, time.Second, time.Millisecond, why})
			return node.Lease{Auto: d == 0, For: d}
		}
		const why = "The kernel counts leases in whole seconds, 1s to 1h; below 1s in milliseconds, by nftables."
		return node.Lease{For: b.within(v, "lease", d, time.Second, span{time.Second, time.Hour, time.Second, why})}
	}
}

func (i *instance) String() string { return fmt.Sprintf("vrrp_instance %q", i.Name) }
