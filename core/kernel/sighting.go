package kernel

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"
)

// The offsets in a frame.
const (
	frameHead = ethernetHeader
	ip6Head   = 40
	icmpAt    = frameHead + ip6Head
	targetAt  = icmpAt + 8 // of a solicitation or advertisement (RFC 4861 sections 4.3 and 4.4)
	arpSender = frameHead + 14
)

// The types of neighbour discovery.
const (
	solicitation  = 135
	advertisement = 136
)

// sighting is what a frame says of an address: that the machine with this hardware address has it, or wants it.
type sighting struct {
	address netip.Addr
	mac     [6]byte
}

// readSighting reads an Ethernet frame as it came from the network. It is not ok for what is no well-formed ARP packet (RFC 826) or
// neighbour advertisement (RFC 4861 section 7.1.2), and for what claims nothing: questions of others, and probes, whose sender is
// 0.0.0.0 (RFC 5227 section 1.1). A solicitation with the unspecified source claims its target: its sender is about to use it (RFC
// 4862 section 5.4.3).
func readSighting(frame []byte) (s sighting, ok bool) {
	if len(frame) < frameHead {
		return sighting{}, false
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		s, ok = readARP(frame[frameHead:])
	case unix.ETH_P_IPV6:
		s, ok = readNeighbour(frame)
	}
	const group = 1 // in the first byte: an address of many, which no single machine has
	return s, ok && s.mac != [6]byte{} && s.mac[0]&group == 0
}

func readARP(b []byte) (sighting, bool) {
	const ethernet = 1 // ar$hrd
	var p arp.Packet
	if len(b) < 28 || binary.BigEndian.Uint16(b) != ethernet || binary.BigEndian.Uint16(b[2:]) != unix.ETH_P_IP || b[4] != 6 || b[5] != 4 {
		return sighting{}, false
	}
	if p.UnmarshalBinary(b) != nil || p.Operation != arp.OperationRequest && p.Operation != arp.OperationReply {
		return sighting{}, false
	}
	return sighting{p.SenderIP, [6]byte(p.SenderHardwareAddr)}, !p.SenderIP.IsUnspecified() && !p.SenderIP.IsMulticast()
}

// readNeighbour reads an IPv6 packet in its frame. Extension headers are not looked behind: nobody sends them here.
func readNeighbour(frame []byte) (sighting, bool) {
	b := frame[frameHead:]
	if len(b) < ip6Head || b[0]>>4 != 6 || b[6] != unix.IPPROTO_ICMPV6 || b[7] != 255 {
		return sighting{}, false
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < ip6Head+size || size < 24 {
		return sighting{}, false
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	message := b[ip6Head : ip6Head+size]
	const code = 1 // always 0
	if message[code] != 0 || !sound(src, dst, message) {
		return sighting{}, false
	}
	parsed, err := ndp.ParseMessage(message)
	if err != nil {
		return sighting{}, false
	}
	s := sighting{mac: [6]byte(frame[6:12])}
	switch m := parsed.(type) {
	case *ndp.NeighborAdvertisement:
		s.address = m.TargetAddress
		for _, o := range m.Options {
			if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == ndp.Target && len(l.Addr) == 6 {
				s.mac = [6]byte(l.Addr)
			}
		}
		return s, !s.address.IsMulticast() && !(dst.IsMulticast() && m.Solicited)
	case *ndp.NeighborSolicitation:
		s.address = m.TargetAddress
		return s, src.IsUnspecified() && dst.IsMulticast() && !s.address.IsMulticast()
	}
	return sighting{}, false
}

// sound tells whether the checksum of an ICMPv6 message is right (RFC 4443 section 2.3).
func sound(src, dst netip.Addr, message []byte) bool {
	sum := uint32(len(message)) + unix.IPPROTO_ICMPV6
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(src.AsSlice())
	add(dst.AsSlice())
	add(message)
	for sum>>16 > 0 {
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}
