package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
)

const (
	probes     = 3
	probePause = 150 * time.Millisecond // a host on the same network answers within a millisecond
)

// arpProbe asks for addresses as RFC 5227 section 2.1.1 does, with the sender 0.0.0.0, which changes nobody's cache.
func arpProbe(ctx context.Context, iface string, addresses []netip.Addr) (map[netip.Addr]string, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, err
	}
	conn, err := packet.Listen(ifi, packet.Raw, int(ethernet.EtherTypeARP), nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers := map[netip.Addr]string{}
	for range probes {
		for _, a := range addresses {
			if err := ask(conn, ifi, a); err != nil {
				return nil, fmt.Errorf("ask for %v: %w", a, err)
			}
		}
		if err := listen(ctx, conn, ifi, addresses, answers); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func ask(conn *packet.Conn, ifi *net.Interface, a netip.Addr) error {
	p, err := arp.NewPacket(arp.OperationRequest, ifi.HardwareAddr, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), a)
	if err != nil {
		return err
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return err
	}
	frame := &ethernet.Frame{Destination: ethernet.Broadcast, Source: ifi.HardwareAddr, EtherType: ethernet.EtherTypeARP, Payload: payload}
	wire, err := frame.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = conn.WriteTo(wire, &packet.Addr{HardwareAddr: ethernet.Broadcast})
	return err
}

// listen takes note of who answers, or asks for the address as one that has it does, until the pause is over. A frame that is no
// ARP is somebody else's fault.
func listen(ctx context.Context, conn *packet.Conn, ifi *net.Interface, addresses []netip.Addr, answers map[netip.Addr]string) error {
	if err := conn.SetReadDeadline(time.Now().Add(probePause)); err != nil {
		return err
	}
	buffer := make([]byte, 1600)
	for {
		n, _, err := conn.ReadFrom(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ctx.Err()
		case err != nil:
			return err
		}
		var frame ethernet.Frame
		var p arp.Packet
		if frame.UnmarshalBinary(buffer[:n]) != nil || p.UnmarshalBinary(frame.Payload) != nil {
			continue
		}
		if slices.Contains(addresses, p.SenderIP) && !bytes.Equal(p.SenderHardwareAddr, ifi.HardwareAddr) {
			answers[p.SenderIP] = p.SenderHardwareAddr.String()
		}
	}
}
