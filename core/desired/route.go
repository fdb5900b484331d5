package desired

import (
	"fmt"
	"net/netip"
	"strings"
)

// The types of routes (ip-route(8)).
const (
	Unicast     = "unicast"
	Blackhole   = "blackhole"
	Unreachable = "unreachable"
	Prohibit    = "prohibit"
)

// MainTable is the number of the routing table that is used without a rule.
const MainTable = 254

// Route is one route that a master sets. Two are the same if all their fields are.
type Route struct {
	// Prefix of the destinations; 0.0.0.0/0 or ::/0 for all of a family.
	Prefix netip.Prefix
	// Type is one of those above.
	Type string
	// Via is the next hop, of the family of Prefix; invalid for none.
	Via netip.Addr
	// Interface that packets leave by; empty where the next hop tells it.
	Interface string
	// Table number, 1 to 4294967295.
	Table uint32
	// Metric, of which the least wins; 0 for the kernel's default, which is 1024 for IPv6.
	Metric uint32
	// Source is the address that own packets come from; invalid for the kernel's choice.
	Source netip.Addr
	// Scope is "global", "link", "host" or a number as text; empty for what fits. IPv4 only.
	Scope string
	// MTU in bytes; 0 for that of the interface.
	MTU uint32
	// OnLink takes the next hop for a neighbour, whatever the addresses say.
	OnLink bool
}

// String is the route as ip-route(8) writes it. Two routes differ in it as well.
func (r Route) String() string {
	var b strings.Builder
	if r.Type != Unicast {
		b.WriteString(r.Type + " ")
	}
	b.WriteString(r.Prefix.String())
	if r.Via.IsValid() {
		fmt.Fprintf(&b, " via %v", r.Via)
	}
	word := func(name, value string) {
		if value != "" && value != "0" {
			b.WriteString(" " + name + " " + value)
		}
	}
	word("dev", r.Interface)
	if r.Table != MainTable {
		word("table", fmt.Sprint(r.Table))
	}
	word("metric", fmt.Sprint(r.Metric))
	if r.Source.IsValid() {
		word("src", r.Source.String())
	}
	word("scope", r.Scope)
	word("mtu", fmt.Sprint(r.MTU))
	if r.OnLink {
		b.WriteString(" onlink")
	}
	return b.String()
}

// Lookup is the type of a rule that sends to a table. The others are those of routes.
const Lookup = "lookup"

// Rule chooses a routing table for packets (ip-rule(8)). Two are the same if all their fields are.
type Rule struct {
	// IPv6 tells the family.
	IPv6 bool
	// Priority is the place in the list of rules, the least first: 1 to 4294967295.
	Priority uint32
	// From and To are the packets' addresses; invalid for all.
	From, To netip.Prefix
	// In is the interface that they came by, Out the one that the sender's socket is bound to; empty for all.
	In, Out string
	// Mark of the packets under Mask; both 0 for all.
	Mark, Mask uint32
	// Type is Lookup, Blackhole, Unreachable or Prohibit.
	Type string
	// Table number where Type is Lookup.
	Table uint32
}

// String is the rule as ip-rule(8) writes it. Two rules differ in it as well.
func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule %d:", r.Priority)
	if r.IPv6 {
		b.WriteString(" IPv6")
	}
	from := "all"
	if r.From.IsValid() {
		from = r.From.String()
	}
	b.WriteString(" from " + from)
	if r.To.IsValid() {
		fmt.Fprintf(&b, " to %v", r.To)
	}
	if r.Mask != 0 {
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	if r.In != "" {
		b.WriteString(" iif " + r.In)
	}
	if r.Out != "" {
		b.WriteString(" oif " + r.Out)
	}
	b.WriteString(" " + r.Type)
	if r.Type == Lookup {
		fmt.Fprintf(&b, " %d", r.Table)
	}
	return b.String()
}
