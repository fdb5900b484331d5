package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vipward/vipward/core/vrrp"
)

const (
	protocolVRRP = 112  // RFC 9568 section 5.1.1.4
	ttl          = 255  // RFC 9568 section 5.1.1.3
	tos          = 0xc0 // Internetwork Control, as RFC 791 names it: DSCP CS6 of RFC 2474
	headerLen    = 20
)

var (
	errShort    = errors.New("packet is shorter than its IP header says")
	errVersion  = errors.New("packet is of another version of IP")
	errProtocol = errors.New("packet is not VRRP")
	errFragment = errors.New("packet is a fragment")
)

// parse reads an IPv4 packet as a raw socket delivers it and cuts the payload to the IP length, which leaves out the padding
// of short Ethernet frames. The payload is a part of b, which is the beginning of a packet of that length.
func parse(b []byte, length int) (vrrp.Header, []byte, error) {
	if len(b) < headerLen {
		return vrrp.Header{}, nil, errShort
	}
	ihl, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[0]>>4 != 4:
		return vrrp.Header{}, nil, errVersion
	case ihl < headerLen || ihl > len(b) || total < ihl || total > length:
		return vrrp.Header{}, nil, errShort
	case b[9] != protocolVRRP:
		return vrrp.Header{}, nil, errProtocol
	case binary.BigEndian.Uint16(b[6:])&0x3fff != 0: // more fragments, or an offset (RFC 791 section 3.1)
		return vrrp.Header{}, nil, errFragment
	}
	h := vrrp.Header{
		Source:      netip.AddrFrom4([4]byte(b[12:16])),
		Destination: netip.AddrFrom4([4]byte(b[16:20])),
		TTL:         b[8],
	}
	return h, b[ihl:min(total, len(b))], nil
}

// packet puts an IPv4 header before the payload.
func packet(src, dst netip.Addr, payload []byte) ([]byte, error) {
	if err := both4(src, dst); err != nil {
		return nil, err
	}
	b := make([]byte, headerLen, headerLen+len(payload))
	header((*[headerLen]byte)(b), src, dst)
	return append(b, payload...), nil
}

func both4(src, dst netip.Addr) error {
	if !src.Is4() || !dst.Is4() {
		return fmt.Errorf("from %v to %v: both must be IPv4 addresses", src, dst)
	}
	return nil
}

// header makes an IPv4 header. The kernel fills in the length, the identification and the checksum (raw(7), IP_HDRINCL).
func header(b *[headerLen]byte, src, dst netip.Addr) {
	*b = [headerLen]byte{0: 4<<4 | headerLen/4, 1: tos, 8: ttl, 9: protocolVRRP}
	from, to := src.As4(), dst.As4()
	copy(b[12:], from[:])
	copy(b[16:], to[:])
}
