package vrrp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Header is what the IP header says about a packet.
type Header struct {
	// Source and Destination have one family, and no IPv4 address is mapped into IPv6.
	Source, Destination netip.Addr
	// TTL is the hop limit in IPv6.
	TTL uint8
}

// Advert is one ADVERTISEMENT (RFC 9568 section 5.1, RFC 3768 section 5.1).
type Advert struct {
	// Version is 2 or 3.
	Version uint8
	VRID    uint8
	// Priority of the sender, 1 to 255; 0 says that the sender resigns.
	Priority uint8
	// Interval between the sender's adverts: whole seconds in version 2, hundredths of a second in version 3.
	Interval time.Duration
	// Addresses of the virtual router, at most 255.
	Addresses []netip.Addr
	// AuthType and Auth exist in version 2 only: 0 for none, 1 for a password in Auth (RFC 2338 section 5.3.6).
	AuthType uint8
	Auth     [8]byte
	// Key signs the advert as sent, and Sequence numbers it; without an ID it is not signed. As received only the ID is known.
	Key      Key
	Sequence Sequence
	// Rule is the checksum's in version 3. As received it is never [ChecksumAuto]; to send, that means [ChecksumPseudo].
	Rule ChecksumRule
}

// Same tells whether two adverts without signatures are the same message.
func (a Advert) Same(b Advert) bool {
	return a.Version == b.Version && a.VRID == b.VRID && a.Priority == b.Priority && a.Interval == b.Interval && a.Rule == b.Rule &&
		a.AuthType == b.AuthType && a.Auth == b.Auth && a.Key.ID == 0 && b.Key.ID == 0 && slices.Equal(a.Addresses, b.Addresses)
}

// Types of authentication in version 2.
const (
	authNone = 0
	authPass = 1
)

const (
	headerLen = 8 // up to the addresses
	authLen   = 8 // the authentication data of version 2
	advertise = 1 // the only type of message
	centi     = 10 * time.Millisecond
	maxCenti  = 1<<12 - 1 // Max Advertise Interval has 12 bits
)

// Parse reads what follows the IP header, cut to the IP length. It checks everything that the message alone can tell: version,
// type, count, exact length, checksum by either rule, and that the interval is not 0 (RFC 9568 section 7.1, errata 8299 and
// 8301). The TTL and what depends on the configuration is checked by the [Router]. Every error is a [*Discard].
func Parse(h Header, b []byte) (Advert, error) {
	a, reason := parse(h, b, nil, ChecksumAuto, nil)
	if reason != "" {
		return Advert{}, &Discard{Reason: reason}
	}
	return a, nil
}

// parse is [Parse] of a message with a trailer, which may be empty, under one checksum rule, with addrs as the space for the
// addresses. An empty reason means valid.
func parse(h Header, b, trailer []byte, rule ChecksumRule, addrs []netip.Addr) (Advert, Reason) {
	if reason := checkShape(h, b); reason != "" {
		return Advert{}, reason
	}
	rule, ok := verify(h, b, trailer, rule)
	if !ok {
		return Advert{}, ReasonChecksum
	}
	a := Advert{Version: b[0] >> 4, VRID: b[1], Priority: b[2], Rule: rule}
	if a.Version == 2 {
		a.AuthType, a.Interval = b[4], time.Duration(b[5])*time.Second
		a.Auth = [authLen]byte(b[len(b)-authLen:])
	} else {
		// The four bits before the interval are reserved and ignored (section 5.2.6).
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&maxCenti) * centi
	}
	if a.Interval == 0 {
		return Advert{}, ReasonInterval
	}
	a.Addresses = addrs[:0]
	size := addrSize(h.Source)
	for rest := b[headerLen : headerLen+int(b[3])*size]; len(rest) > 0; rest = rest[size:] {
		addr, _ := netip.AddrFromSlice(rest[:size])
		a.Addresses = append(a.Addresses, addr)
	}
	return a, ""
}

// checkShape checks the fields that say how to read the rest.
func checkShape(h Header, b []byte) Reason {
	if len(b) < headerLen {
		return ReasonLength
	}
	if v := b[0] >> 4; v != 3 && (v != 2 || !h.Source.Is4()) {
		return ReasonVersion
	}
	want := messageLen(h, b)
	switch {
	case b[0]&0xf != advertise:
		return ReasonType
	case b[3] == 0:
		return ReasonCount
	case len(b) == want+trailerLen && hasTrailer(b[want:]):
		return ReasonAuthType
	case len(b) != want:
		return ReasonLength
	}
	return ""
}

// messageLen is what the message should have by its count and version.
func messageLen(h Header, b []byte) int {
	n := headerLen + int(b[3])*addrSize(h.Source)
	if b[0]>>4 == 2 {
		n += authLen
	}
	return n
}

// split parts a message from its trailer, which is told by the length alone.
func split(h Header, b []byte) (message, trailer []byte) {
	if len(b) < headerLen {
		return b, nil
	}
	if n := messageLen(h, b); len(b) == n+trailerLen {
		return b[:n], b[n:]
	}
	return b, nil
}

// addrSize is the length of the addresses in a message of this sender.
func addrSize(src netip.Addr) int {
	if src.Is4() {
		return 4
	}
	return 16
}

// Append adds the message, as sent from src to dst, to b. Addresses of another family than src and those after the 255th do
// not fit the format and are left out. The checksum covers the trailer over IPv6 only, since keepalived's is the kernel's there.
func (a Advert) Append(b []byte, src, dst netip.Addr) []byte {
	start := len(b)
	b = append(b, a.Version<<4|advertise, a.VRID, a.Priority, 0, 0, 0, 0, 0)
	m := b[start:]
	if a.Version == 2 {
		m[4], m[5] = a.AuthType, uint8(min(a.Interval/time.Second, 255)) // capped on this line
	} else {
		binary.BigEndian.PutUint16(m[4:], uint16(min(a.Interval/centi, maxCenti))) // capped on this line
	}
	count := uint8(0)
	for _, addr := range a.Addresses {
		if addr.Is4() == src.Is4() && count < 255 {
			b = append(b, addr.AsSlice()...)
			count++
		}
	}
	if a.Version == 2 {
		b = append(b, a.Auth[:]...)
	}
	end := len(b)
	b[start+3] = count
	if a.Key.ID != 0 {
		b = append(b[:start], appendTrailer(b[start:end:end], src, a.Key, a.Sequence)...)
	}
	if src.Is4() {
		m = b[start:end]
	} else {
		m = b[start:]
	}
	binary.BigEndian.PutUint16(m[6:], checksum(m, src, dst, a.Rule))
	return b
}
