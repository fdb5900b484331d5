package vrrp

import (
	"net/netip"
	"time"
)

// Config of one virtual router. [NewRouter] expects it to be valid: the ranges below are checked by core/config.
type Config struct {
	// VRID is the virtual router identifier, 1 to 255 (RFC 9568 section 5.2.3).
	VRID uint8
	// Priority is the base priority, 1 to 255. 255 is the owner of the addresses (RFC 9568 section 6.1).
	Priority uint8
	// Version of the protocol on the wire, 2 or 3. Other versions are discarded.
	Version uint8
	// Interval between adverts: whole seconds, 1 s to 255 s, in version 2; hundredths of a second, 10 ms to 40.95 s, in version 3.
	Interval time.Duration
	// Preempt lets the router take over from a master of lower priority. The owner always does.
	Preempt bool
	// PreemptDelay is how long a master of lower priority is left alone, from its first advert on. 0 for not at all.
	PreemptDelay time.Duration
	// Gated leaves the last word to somebody else, who knows the rest of a sync group and more than adverts tell: where the router
	// would become master it stays in BACKUP and says so by [Router.Wants], until it gets a [Promote]. It never becomes master of its
	// own accord, but to adopt what a former run held.
	Gated bool
	// Announced says that a new master announces its addresses before its first advert. Then who yields lets go at once: packets do not
	// come here any more. Else it holds the addresses for a moment longer. A router of another make costs its clients that moment.
	Announced bool
	// StartMaster shortens the first wait to a little over one interval, as `state MASTER` does in keepalived.
	StartMaster bool
	// Source is the primary address that adverts are sent from. Invalid while unknown: then the router waits for a [Source].
	Source netip.Addr
	// Addresses are the advertised virtual addresses, 1 to 255 of the family of Source, in the order on the wire. Over IPv6 the
	// first one should be link-local (RFC 9568 section 5.2.9).
	Addresses []netip.Addr
	// Password is the simple text password of version 2 (RFC 2338 section 5.3.6), at most 8 bytes; empty for none.
	Password string
	// Auth authenticates adverts of both versions by a keyed digest.
	Auth Auth
	// Checksum is the rule for version 3 over IPv4.
	Checksum ChecksumRule
	// StrictAddresses discards adverts with other addresses than Addresses, unless the owner sent them (RFC 3768 section 7.1), and
	// over IPv6 those whose first address is not link-local (RFC 9568 section 5.2.9 and erratum 8300).
	StrictAddresses bool
	// Peers are the other routers for unicast operation; empty for multicast. Nobody else is then listened to.
	Peers []netip.Addr
	// MinTTL is the least TTL of a unicast advert, 1 to 255; 0 for 255. Over multicast it is always 255.
	MinTTL uint8
}

// IPv6 tells the family of the adverts: that of the source, or of the addresses while it is not known.
func (c Config) IPv6() bool {
	if c.Source.IsValid() {
		return c.Source.Is6()
	}
	return len(c.Addresses) > 0 && c.Addresses[0].Is6()
}

// Group is the multicast group of the family of src, as the one destination of multicast operation (RFC 9568 section 5.1).
func Group(src netip.Addr) []netip.Addr { return []netip.Addr{group(src)} }

func group(src netip.Addr) netip.Addr {
	if src.Is4() {
		return netip.AddrFrom4([4]byte{224, 0, 0, 18})
	}
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
}
