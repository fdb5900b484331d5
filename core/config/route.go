package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

func routeSpec() spec {
	return spec{attrs: []string{"via", "interface", "table", "metric", "source", "scope", "type", "mtu", "onlink", "track"}}
}

func ruleSpec() spec {
	return spec{attrs: []string{"from", "to", "family", "iif", "oif", "fwmark", "table", "priority", "type", "track"}}
}

// readRoutes reads the routes and rules that a master sets.
func (i *instance) readRoutes() {
	for _, b := range i.block.nested("virtual_route", routeSpec()) {
		p, ok := b.prefix(b.labels[0])
		if !ok {
			b.fault(b.label, "%q is no destination of a route", b.labels[0]).because(
				"Write a network like \"10.1.0.0/16\", \"0.0.0.0/0\" for all of IPv4, or \"::/0\" for all of IPv6.")
			continue
		}
		r := node.Route{Route: b.route(p), Untracked: !b.flag("track", true)}
		i.Routes, i.routeAt = append(i.Routes, r), append(i.routeAt, b.label)
	}
	for _, b := range i.block.nested("virtual_rule", ruleSpec()) {
		i.Rules = append(i.Rules, node.Rule{Rule: b.rule(), Untracked: !b.flag("track", true)})
	}
}

// checkRoutes reports two routes that would be one in the kernel, of whichever instances: both may be master here. What differs in
// nothing is one.
func (l *loading) checkRoutes() {
	type place struct {
		prefix        netip.Prefix
		table, metric uint32
	}
	seen := map[place]desired.Route{}
	for _, i := range l.instances {
		for k, r := range i.Routes {
			at := place{r.Prefix, r.Table, r.Metric}
			if first, ok := seen[at]; ok && first != r.Route {
				l.fault(i.routeAt[k], "a route to %v with metric %d is in table %d already", r.Prefix, r.Metric, r.Table).because(
					"It is %v. The kernel keeps one of them. Give them different metrics, of which the least wins.", first)
				continue
			}
			seen[at] = r.Route
		}
	}
}

// prefix reads a network. It is not ok where bits beyond its length are set.
func (b *block) prefix(text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	return p, err == nil && p == p.Masked()
}

func (b *block) route(p netip.Prefix) desired.Route {
	r := desired.Route{
		Prefix: p, Interface: b.interfaceName("interface", ""), Table: b.table(), Metric: b.number32("metric", 0, 0),
		Via: b.address("via"), Source: b.address("source"), MTU: b.number32("mtu", 0, 0), OnLink: b.flag("onlink", false),
		Type: b.choice("type", desired.Unicast, desired.Unicast, desired.Blackhole, desired.Unreachable, desired.Prohibit),
	}
	if b.given("scope") {
		r.Scope = b.scope()
	}
	for name, a := range map[string]netip.Addr{"via": r.Via, "source": r.Source} {
		if a.IsValid() && a.Is6() != p.Addr().Is6() {
			b.fault(b.where(name), "%s %v is of the other family than %v", name, a, p).because("Write an address of the route's own family.")
		}
	}
	switch {
	case r.Type == desired.Unicast && !r.Via.IsValid() && r.Interface == "":
		b.fault(b.at, "%s has neither via nor interface", b.name).because("A route says where packets go: via = \"10.0.0.254\", or interface = \"eth1\", or both.")
	case r.Type != desired.Unicast && (r.Via.IsValid() || r.Interface != ""):
		b.fault(b.where("type"), "a route of type %s leads nowhere", r.Type).because("Remove via and interface, or the type.")
	case r.OnLink && (!r.Via.IsValid() || r.Interface == ""):
		b.fault(b.where("onlink"), "onlink without via and interface").because("It takes the next hop for a neighbour on the interface, so it needs both.")
	case r.Scope != "" && p.Addr().Is6():
		b.fault(b.where("scope"), "an IPv6 route has no scope").because("Remove it.")
	}
	return r
}

// table takes the number or the name of a routing table.
func (b *block) table() uint32 {
	names := map[string]uint32{"main": desired.MainTable, "default": 253, "local": 255}
	if v, ok := b.take("table"); ok && v.Type().FriendlyName() == "string" {
		s := b.text("table", "main")
		if n, ok := names[s]; ok {
			return n
		}
		if n, err := strconv.ParseUint(s, 10, 32); err == nil && n > 0 {
			return uint32(n)
		}
		b.fault(b.where("table"), "there is no table %q", s).because("Write its number, 1 to 4294967295, or \"main\", \"local\" or \"default\".")
		return desired.MainTable
	}
	return b.number32("table", desired.MainTable, 1)
}

func (b *block) number32(name string, otherwise, least int) uint32 {
	return uint32(b.integer(name, otherwise, least, 1<<32-1, fmt.Sprintf("It is %d to 4294967295.", least)))
}

func (b *block) rule() desired.Rule {
	b.required("priority", "100")
	r := desired.Rule{
		Priority: b.number32("priority", 1, 1), In: b.interfaceName("iif", ""), Out: b.interfaceName("oif", ""),
		Type: b.choice("type", desired.Lookup, desired.Lookup, desired.Blackhole, desired.Unreachable, desired.Prohibit),
		IPv6: b.choice("family", "ipv4", "ipv4", "ipv6") == "ipv6",
	}
	for name, at := range map[string]*netip.Prefix{"from": &r.From, "to": &r.To} {
		if !b.given(name) {
			continue
		}
		p, ok := b.network(name)
		if !ok {
			b.fault(b.where(name), "%s is no network", name).because("Write an address like \"10.0.0.100\" or a network like \"10.0.0.0/24\".")
			continue
		}
		if p.Bits() > 0 { // else it is all
			*at = p
		}
		if b.given("family") && p.Addr().Is6() != r.IPv6 || r.From.IsValid() && r.To.IsValid() && r.From.Addr().Is6() != r.To.Addr().Is6() {
			b.fault(b.where(name), "%s is of another family", name).because("All of a rule is of one family.")
		}
	}
	r.IPv6 = r.IPv6 || r.From.IsValid() && r.From.Addr().Is6() || r.To.IsValid() && r.To.Addr().Is6()
	r.Mark, r.Mask = b.mark()
	switch {
	case r.Type == desired.Lookup && !b.given("table"):
		b.fault(b.at, "%s has no table", b.name).because("Write the table that its packets go by: table = 100. Its routes are blocks virtual_route with table = 100.")
	case r.Type == desired.Lookup:
		r.Table = b.table()
	case b.given("table"):
		b.fault(b.where("table"), "a rule of type %s uses no table", r.Type).because("Remove table, or the type.")
	}
	return r
}

// network takes an address, alone or with the length of its network.
func (b *block) network(name string) (netip.Prefix, bool) {
	text := b.text(name, "")
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return b.prefix(text)
}

// mark takes the mark of packets, with its mask after a slash.
func (b *block) mark() (mark, mask uint32) {
	if !b.given("fwmark") {
		return 0, 0
	}
	text := b.text("fwmark", "")
	value, after, masked := strings.Cut(text, "/")
	m, err := strconv.ParseUint(value, 0, 32)
	k := uint64(1<<32 - 1)
	if masked && err == nil {
		k, err = strconv.ParseUint(after, 0, 32)
	}
	if err != nil || k == 0 || m&^k != 0 {
		b.fault(b.where("fwmark"), "fwmark cannot be %q", text).because("It is a number like 1 or \"0x10\", or one with its mask, like \"0x10/0xff\".")
		return 0, 0
	}
	return uint32(m), uint32(k)
}
