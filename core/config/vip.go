package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/node"
)

// maxAddresses is what the count of an advert can hold (RFC 9568 section 5.2.5). 255 IPv4 addresses fit into one packet; of
// IPv6 so many fit into the 1500 bytes of Ethernet, with the headers and a signature.
const (
	maxAddresses  = 255
	maxAddresses6 = (1500 - 40 - 8 - 28) / 16
)

// readAddresses reads the VIPs.
func (i *instance) readAddresses() {
	var blocks []*block
	for _, b := range i.block.nested("virtual_address", virtualAddressSpec()) {
		p, hint := parseVIP(b.labels[0])
		if hint != "" {
			b.fault(b.label, "%q is no virtual address", b.labels[0]).because("%s", hint)
			continue
		}
		a := node.VirtualAddress{Prefix: p, Scope: b.scope(), Silent: !b.flag("advertised", true)}
		blocks, i.Addresses, i.addressAt = append(blocks, b), append(i.Addresses, a), append(i.addressAt, b.label)
		if !a.Silent {
			i.advertise(p.Addr(), b.label)
		}
	}
	i.checkCount()
	i.readVMAC()
	for k, b := range blocks {
		i.holder(k, b)
		if a := i.Addresses[k]; a.Prefix.Addr().Is6() && a.Label != "" {
			b.fault(b.where("label"), "an IPv6 address has no label").because("The kernel keeps labels of IPv4 addresses only. Remove it.")
		}
	}
}

// advertise puts an address into the adverts.
func (i *instance) advertise(a netip.Addr, at hcl.Range) {
	if len(i.VRRP.Addresses) > 0 {
		i.related(a, at, "virtual_address")
	}
	i.VRRP.Addresses, i.advertisedAt = append(i.VRRP.Addresses, a), append(i.advertisedAt, at)
}

// checkCount checks how many addresses the adverts name.
func (i *instance) checkCount() {
	b, most := i.block, maxAddresses
	if i.VRRP.IPv6() {
		most = maxAddresses6
	}
	switch n := len(i.VRRP.Addresses); {
	case n == 0 && !b.has("virtual_address"):
		b.fault(b.at, "%s has no virtual_address", b.name).because("Add a block like virtual_address \"10.0.0.100/32\" {}")
	case n == 0 && len(i.Addresses) > 0:
		b.fault(i.addressAt[0], "%s advertises no address", b.name).because("An advert names at least one. Remove advertised = false here.")
	case n > most:
		b.fault(i.advertisedAt[most], "more addresses than an advert can carry").because(
			"An advert names up to %d addresses; these are %d. Write advertised = false for the rest: they are held just the same.", most, n)
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
