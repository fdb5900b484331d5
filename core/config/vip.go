package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/vipward/vipward/core/node"
)

// maxAddresses is what the count of an advert can hold (RFC 9568 section 5.2.5). 255 IPv4 addresses fit into one packet.
const maxAddresses = 255

// readAddresses reads the VIPs.
func (i *instance) readAddresses() {
	for _, b := range i.block.nested("virtual_address", virtualAddressSpec()) {
		p, hint := parseVIP(b.labels[0])
		if hint != "" {
			b.fault(b.label, "%q is no virtual address", b.labels[0]).because("%s", hint)
			continue
		}
		if !b.ipv4(p.Addr(), b.label, "virtual_address").IsValid() {
			continue
		}
		a := node.VirtualAddress{Prefix: p, Interface: b.interfaceName("interface", i.Interface), Scope: b.scope()}
		a.Label = b.addressLabel(a.Interface)
		i.Addresses, i.addressAt = append(i.Addresses, a), append(i.addressAt, b.label)
		i.VRRP.Addresses = append(i.VRRP.Addresses, p.Addr())
	}
	b := i.block
	switch n := len(i.VRRP.Addresses); {
	case n == 0 && !b.has("virtual_address"):
		b.fault(b.at, "%s has no virtual_address", b.name).because("Add a block like virtual_address \"10.0.0.100/32\" {}")
	case n > maxAddresses:
		b.fault(i.addressAt[maxAddresses], "more addresses than an advert can carry").because(
			"An advert names up to %d addresses; these are %d. Put the rest into another vrrp_instance with its own virtual_router_id.", maxAddresses, n)
	}
}

// has tells whether there is a nested block of a type.
func (b *block) has(blockType string) bool {
	for _, k := range b.kids {
		if k.Type == blockType {
			return true
		}
	}
	return false
}

// parseVIP reads an address with its prefix length; where it is none, the hint says what to write.
func parseVIP(text string) (p netip.Prefix, hint string) {
	if a, err := netip.ParseAddr(text); err == nil {
		return p, fmt.Sprintf("The prefix length is missing. Write \"%s/%d\" for the address alone, which is mostly right, or the length of its network.",
			text, a.BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, "Write an address with a prefix length, like \"10.0.0.100/32\"."
	}
	switch a := p.Addr(); {
	case a.IsMulticast(), a.IsUnspecified(), a.IsLoopback(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return p, "No host can hold this address. Write that of the service, like \"10.0.0.100/32\"."
	case a.Is4() && p.Bits() < 31 && a == p.Masked().Addr():
		return p, fmt.Sprintf("This is the address of the network itself. Write that of the service, like \"%v/%d\".", a.Next(), p.Bits())
	}
	return p, ""
}

// scope takes the scope of an address.
func (b *block) scope() string {
	s := b.text("scope", "global")
	n, err := strconv.Atoi(s)
	if s != "global" && s != "link" && s != "host" && (err != nil || n < 0 || n > 254) {
		b.fault(b.where("scope"), "scope cannot be %q", s).because(`It is "global", "link", "host" or a number from 0 to 254.`)
		return "global"
	}
	return s
}

// addressLabel takes the label of an address, under which old tools show it as an interface of its own.
func (b *block) addressLabel(iface string) string {
	s := b.text("label", "")
	switch {
	case s == "":
	case len(s) > 15:
		b.fault(b.where("label"), "label %q is too long", s).because("The kernel takes up to 15 bytes; this has %d.", len(s))
	case iface != "" && s != iface && !strings.HasPrefix(s, iface+":"):
		b.fault(b.where("label"), "label %q does not begin with the interface", s).because("Write \"%s:%s\".", iface, strings.TrimLeft(s, ":"))
	}
	return s
}

// readTracks reads what the instance depends on.
func (i *instance) readTracks() {
	for _, b := range i.block.nested("track", trackSpec()) {
		kind := node.TrackKind(b.labels[0])
		switch kind {
		case node.TrackChecker, node.TrackInterface:
		case "script", "file", "process", "virtual_server":
			b.notYet(b.label, "track \""+b.labels[0]+"\"", "Declare a checker \"exec\" that finds it out, and track \"checker\".")
			continue
		default:
			b.fault(b.label, "cannot track a %q", b.labels[0]).because("It is track \"checker\" or track \"interface\".%s",
				suggest(b.labels[0], []string{string(node.TrackChecker), string(node.TrackInterface)}))
			continue
		}
		b.required("name", `"…"`)
		t := node.Track{Kind: kind, Name: b.text("name", ""), Reverse: b.flag("reverse", false)}
		if _, t.Weighted = b.take("weight"); t.Weighted {
			t.Weight = b.integer("weight", -253, -253, 253,
				"A weight is -253 to 253, without 0: a negative one lowers the priority while down, a positive one raises it while up.")
		}
		if t.Weighted && t.Weight == 0 {
			b.fault(b.where("weight"), "a weight of 0 does nothing").because(
				"Leave weight out to let the instance go to FAULT and hand over, or write one that is more than the difference of the priorities, like -60.")
		}
		if kind == node.TrackChecker {
			b.useChecker(t.Name)
		}
		i.Tracks, i.trackAt = append(i.Tracks, t), append(i.trackAt, b.at)
	}
}

// useChecker looks a checker up.
func (b *block) useChecker(name string) {
	if !b.given("name") {
		return
	}
	if c, ok := b.checkers[name]; ok {
		c.used = true
		return
	}
	known := sorted(b.checkers)
	b.fault(b.where("name"), "no checker %q", name).because("The checkers are %s.%s Declare it with a block checker \"KIND\" %q.",
		list(known), suggest(name, known), name)
}
