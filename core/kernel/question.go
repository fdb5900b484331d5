package kernel

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

// question is the Ethernet frame that asks everybody on the link who has an address: an ARP probe, which claims nothing and changes
// no cache (RFC 5227 section 1.1), or a neighbour solicitation (RFC 4861 section 4.3). Source is the link-local address to ask from
// over IPv6; without one the answer goes to everybody.
func question(mac net.HardwareAddr, address, source netip.Addr) ([]byte, error) {
	if address.Is4() {
		return arpFrame(arp.OperationRequest, mac, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), address)
	}
	ns := &ndp.NeighborSolicitation{TargetAddress: address}
	if source.IsValid() {
		ns.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}
	} else {
		source = netip.IPv6Unspecified()
	}
	group, err := ndp.SolicitedNodeMulticast(address)
	if err != nil {
		return nil, fmt.Errorf("ask for %v: %w", address, err)
	}
	message, err := ndp.MarshalMessageChecksum(ns, source, group)
	if err != nil {
		return nil, fmt.Errorf("ask for %v: %w", address, err)
	}
	to := group.As16()
	f := ethernet.Frame{
		Destination: append(net.HardwareAddr{0x33, 0x33}, to[12:]...), Source: mac, EtherType: ethernet.EtherTypeIPv6, // RFC 2464 section 7
		Payload: append(header6(source, group, len(message)), message...),
	}
	return f.MarshalBinary()
}
