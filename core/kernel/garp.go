package kernel

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"
)

// gratuitous is the Ethernet frame of an ARP request for the address itself (RFC 5227 section 2.3), with the broadcast address
// as the target's hardware address as keepalived and FRR have it; RFC 9568 section 6.4.1 with errata 7947 asks for the rest.
func gratuitous(mac net.HardwareAddr, vip netip.Addr) ([]byte, error) {
	return everybody(arp.OperationRequest, mac, vip, ethernet.Broadcast)
}

// unasked is the frame of an answer that nobody asked for (RFC 5227 section 3), to everybody.
func unasked(mac net.HardwareAddr, vip netip.Addr) ([]byte, error) {
	return everybody(arp.OperationReply, mac, vip, mac)
}

// everybody is a broadcast frame of ARP in which the address speaks of itself.
func everybody(op arp.Operation, mac net.HardwareAddr, vip netip.Addr, target net.HardwareAddr) ([]byte, error) {
	return arpFrame(op, mac, vip, target, vip)
}

// arpFrame is a broadcast frame of ARP.
func arpFrame(op arp.Operation, mac net.HardwareAddr, sender netip.Addr, target net.HardwareAddr, asked netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(op, mac, sender, target, asked)
	if err != nil {
		return nil, fmt.Errorf("make an ARP packet for %v: %w", asked, err)
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("make an ARP packet for %v: %w", asked, err)
	}
	f := ethernet.Frame{Destination: ethernet.Broadcast, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}
	b, err := f.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("make an ARP packet for %v: %w", asked, err)
	}
	return b[:ethernetHeader+len(payload)], nil // a short frame is padded by the interface
}

// ethernetHeader is the length of a frame's header: two addresses and the type of what follows.
const ethernetHeader = 14

// packetSocket sends frames on any interface (packet(7)). It receives nothing, since it is bound to no protocol.
type packetSocket struct{ conn *socket.Conn }

func openPacket() (*packetSocket, error) {
	c, err := socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "packet", nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	return &packetSocket{c}, nil
}

func (p *packetSocket) close() { _ = p.conn.Close() }

// send hands a frame to the kernel, or fails at once.
func (p *packetSocket) send(index int, frame []byte) error {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return err
	}
	if len(frame) < ethernetHeader {
		return fmt.Errorf("send a frame of %d bytes: %w", len(frame), unix.EINVAL)
	}
	to := &unix.SockaddrLinklayer{Ifindex: index, Halen: 6, Protocol: networkOrder(binary.BigEndian.Uint16(frame[12:]))}
	copy(to.Addr[:], frame[:6]) // its destination
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), frame, unix.MSG_DONTWAIT, to) }); err != nil {
		return err
	}
	return sent
}

// networkOrder is a protocol number as a packet socket wants it.
func networkOrder(v uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v))
}
