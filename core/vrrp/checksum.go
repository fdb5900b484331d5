package vrrp

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// ChecksumRule tells whether the checksum of version 3 over IPv4 covers a pseudo-header. RFC 9568 section 5.2.8 says no; the
// ambiguous RFC 5798 was read as yes by keepalived and FRR. Version 2 never has one, IPv6 always has.
type ChecksumRule uint8

// The rules.
const (
	// ChecksumAuto accepts both. It sends the pseudo-header until a peer is heard that does without, and copies the peer from
	// then on: keepalived up to 2.4, the commonest peer, refuses adverts without it unless it is told otherwise.
	ChecksumAuto ChecksumRule = iota
	// ChecksumRFC9568 covers the message alone.
	ChecksumRFC9568
	// ChecksumPseudo covers a pseudo-header of source, destination, protocol and length as well.
	ChecksumPseudo
)

// String is the rule as the configuration names it.
func (c ChecksumRule) String() string {
	switch c {
	case ChecksumAuto:
		return "auto"
	case ChecksumRFC9568:
		return "rfc9568"
	case ChecksumPseudo:
		return "pseudo"
	}
	return "checksum rule " + strconv.Itoa(int(c))
}

// protocol is the IP protocol number of VRRP.
const protocol = 112

// verify tells whether the checksum in b is right under the rule, and for version 3 which rule it follows. Over IPv6 the sum
// covers the trailer as well, for keepalived leaves it to the kernel.
func verify(h Header, b, trailer []byte, rule ChecksumRule) (ChecksumRule, bool) {
	s, length := sum(b), len(b)
	plain := fold(s) == 0xffff
	if b[0]>>4 == 2 {
		return ChecksumAuto, plain
	}
	if h.Source.Is4() {
		if plain && rule != ChecksumPseudo {
			return ChecksumRFC9568, true
		}
		if rule == ChecksumRFC9568 {
			return rule, false
		}
	} else {
		s, length = s+sum(trailer), length+len(trailer)
	}
	if fold(s+pseudo(h.Source, h.Destination, length)) == 0xffff {
		return ChecksumPseudo, true
	}
	// keepalived before 1.3.7 put the multicast group into the pseudo-header of a unicast advert.
	old := h.Source.Is4() && fold(s+pseudo(h.Source, group(h.Source), length)) == 0xffff
	return ChecksumPseudo, old
}

// checksum is that of a message whose checksum field is 0.
func checksum(b []byte, src, dst netip.Addr, rule ChecksumRule) uint16 {
	s := sum(b)
	if b[0]>>4 == 3 && (!src.Is4() || rule != ChecksumRFC9568) {
		s += pseudo(src, dst, len(b))
	}
	return ^fold(s)
}

// pseudo is the sum over the pseudo-header, which for both families comes to the same terms (RFC 8200 section 8.1).
func pseudo(src, dst netip.Addr, length int) uint64 {
	return sumAddr(src) + sumAddr(dst) + protocol + uint64(length) // a length is not negative
}

func sumAddr(a netip.Addr) uint64 {
	b := a.As16()
	if a.Is4() {
		return sum(b[12:])
	}
	return sum(b[:])
}

// sum adds the 16-bit words of b, which has an even length: every VRRP message does.
func sum(b []byte) (s uint64) {
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	return s
}

// fold is the one's complement sum in 16 bits (RFC 1071).
func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s) // folded to 16 bits by the loop
}
