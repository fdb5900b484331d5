package kernel

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"
)

// allNodes is the group of every IPv6 node on the link (RFC 4291 section 2.7.1), with its Ethernet address.
var (
	allNodes    = netip.MustParseAddr("ff02::1")
	allNodesMAC = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
)

// unsolicited is the Ethernet frame of an unsolicited neighbour advertisement of the address to everybody on the link, with the
// override flag, so that it replaces what caches know (RFC 9568 section 6.4.1, RFC 4861 section 4.4). The router flag says
// whether this host forwards, as keepalived has it: a host that says so and does not is dropped as a router by its neighbours,
// and the reverse.
func unsolicited(mac net.HardwareAddr, vip netip.Addr, forwards bool) ([]byte, error) {
	na := &ndp.NeighborAdvertisement{
		Router: forwards, Override: true, TargetAddress: vip,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac}},
	}
	message, err := ndp.MarshalMessageChecksum(na, vip, allNodes)
	if err != nil {
		return nil, fmt.Errorf("make the announcement of %v: %w", vip, err)
	}
	f := ethernet.Frame{
		Destination: allNodesMAC, Source: mac, EtherType: ethernet.EtherTypeIPv6,
		Payload: append(header6(vip, allNodes, len(message)), message...),
	}
	return f.MarshalBinary()
}

// header6 is the IPv6 header of an ICMPv6 message of that length, with the hop limit that neighbour discovery demands
// (RFC 4861 section 7.1.2).
func header6(src, dst netip.Addr, length int) []byte {
	b := make([]byte, 8, 40+length)
	b[0], b[4], b[5], b[6], b[7] = 6<<4, byte(length>>8), byte(length), unix.IPPROTO_ICMPV6, 255
	b = append(b, src.AsSlice()...)
	return append(b, dst.AsSlice()...)
}
