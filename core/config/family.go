package config

import (
	"net/netip"

	"github.com/hashicorp/hcl/v2"
)

// relative is an address that must be of the family of the adverts.
type relative struct {
	addr netip.Addr
	at   hcl.Range
	what string
}

// related notes an address of the instance, whose family is checked when all have been read.
func (i *instance) related(a netip.Addr, at hcl.Range, what string) netip.Addr {
	if a.IsValid() {
		i.relatives = append(i.relatives, relative{a, at, what})
	}
	return a
}

// checkFamily checks what depends on the family, which is that of the first advertised address.
func (i *instance) checkFamily() {
	v, b := &i.VRRP, i.block
	if len(v.Addresses) == 0 {
		return
	}
	first, at := v.Addresses[0], i.advertisedAt[0]
	family, other := "IPv4", "IPv6"
	if first.Is6() {
		family, other = other, family
	}
	for _, r := range i.relatives {
		if r.addr.Is6() != first.Is6() {
			b.fault(r.at, "%s is an %s address, and the adverts go over %s", r.what, other, family).because(
				"The family of a virtual router is that of its first virtual_address, %v. The addresses of the other family are held with advertised = false, "+
					"or by a vrrp_instance of their own.", first)
		}
	}
	if first.Is4() {
		return
	}
	if v.Version == 2 {
		b.fault(at, "version 2 has no IPv6").because("Write version = 3 on all nodes (RFC 9568).")
	}
	if v.Source.IsValid() && len(v.Peers) == 0 && !v.Source.IsLinkLocalUnicast() {
		b.fault(b.at, "the source of multicast adverts over IPv6 is not link-local").because(
			"It is an address of fe80::/10 (RFC 9568 section 5.1.2.1); this is %v. Without source_address it is the interface's own.", v.Source)
	}
	if first.IsLinkLocalUnicast() {
		return
	}
	const rule = "RFC 9568 section 5.2.9 wants a link-local one there. Put virtual_address \"fe80::100/128\" {}, or another of fe80::/10, first."
	if v.StrictAddresses {
		b.fault(at, "the first virtual_address over IPv6 is not link-local").because("With strict_addresses the peer would discard every advert. " + rule)
		return
	}
	b.warn(at, "the first virtual_address over IPv6 is not link-local").because("vipward, keepalived and FRR take it so, strict routers do not. " + rule)
}
