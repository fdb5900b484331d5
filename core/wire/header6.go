package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/vrrp"
)

var errControl = errors.New("the kernel did not tell the destination and the hop limit of a packet")

// header6 is the header of a packet that came over IPv6: the kernel gives the source with the packet, and the rest beside it
// (ipv6(7), IPV6_RECVPKTINFO and IPV6_RECVHOPLIMIT).
func header6(from netip.Addr, oob []byte) (vrrp.Header, error) {
	h := vrrp.Header{Source: from.WithZone("")}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return h, errControl
	}
	limited := false
	for _, m := range messages {
		switch {
		case m.Header.Level != unix.IPPROTO_IPV6:
		case m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			h.Destination = netip.AddrFrom16([16]byte(m.Data[:16]))
		case m.Header.Type == unix.IPV6_HOPLIMIT && len(m.Data) >= 4:
			limit := binary.NativeEndian.Uint32(m.Data)
			h.TTL, limited = uint8(limit), limit <= 255 // checked on this line
		}
	}
	if !h.Destination.IsValid() || !limited || !from.Is6() || from.Is4In6() || h.Destination.Is4In6() {
		return h, errControl
	}
	return h, nil
}

// source6 is the control message that has the kernel send from an address of the interface: of several it might choose a VIP
// (RFC 3542 section 6.2).
func source6(src netip.Addr, index int) []byte {
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: src.As16(), Ifindex: uint32(index)})
}
