package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"
)

var errNoFrames = errors.New("the port does not send frames")

// openFrames opens the socket that messages with a hardware address of their own leave by (packet(7)). It receives nothing, since
// it is bound to no protocol. Where it fails, the connection is closed.
func (c *conn) openFrames() error {
	s, err := socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "packet", nil)
	if err != nil {
		return errors.Join(fmt.Errorf("open a packet socket: %w", err), c.sock.Close())
	}
	if err := s.SetsockoptInt(unix.SOL_SOCKET, unix.SO_PRIORITY, priority); err != nil {
		return errors.Join(fmt.Errorf("set up a packet socket: %w", err), s.Close(), c.sock.Close())
	}
	c.frames = s
	return nil
}

func (p *port) sendFrame(mac [6]byte, src, dst netip.Addr, payload []byte) error {
	c := p.conn.Load()
	switch {
	case c == nil:
		return ErrClosed
	case c.frames == nil:
		return errNoFrames
	}
	b, err := frame(mac, src, dst, payload)
	if err != nil {
		return err
	}
	raw, err := c.frames.SyscallConn()
	if err != nil {
		return err
	}
	to := &unix.SockaddrLinklayer{Ifindex: c.index, Halen: 6, Protocol: networkOrder(binary.BigEndian.Uint16(b[12:]))}
	copy(to.Addr[:], b[:6]) // its destination
	var sent error
	err = raw.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, to) })
	return errors.Join(err, sent)
}

// networkOrder is a protocol number as a packet socket wants it.
func networkOrder(v uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v))
}

// frame is the Ethernet frame of a message to a multicast group.
func frame(mac [6]byte, src, dst netip.Addr, payload []byte) ([]byte, error) {
	f := ethernet.Frame{Source: mac[:], EtherType: ethernet.EtherTypeIPv4}
	var err error
	switch {
	case !dst.IsMulticast() || src.Is6() != dst.Is6():
		return nil, fmt.Errorf("from %v to %v: the destination must be a group of the same family", src, dst)
	case dst.Is4():
		to := dst.As4()
		f.Destination = net.HardwareAddr{0x01, 0x00, 0x5e, to[1] & 0x7f, to[2], to[3]} // RFC 1112 section 6.4
		if f.Payload, err = packet(src, dst, payload); err == nil {
			complete(f.Payload)
		}
	default:
		to := dst.As16()
		f.Destination = append(net.HardwareAddr{0x33, 0x33}, to[12:]...) // RFC 2464 section 7
		f.EtherType = ethernet.EtherTypeIPv6
		f.Payload = packet6(src, dst, payload)
	}
	if err != nil {
		return nil, err
	}
	return f.MarshalBinary()
}

// complete fills in what the kernel fills in for a raw socket. A packet that must not be fragmented needs no identification
// (RFC 6864 section 4.1).
func complete(b []byte) {
	const dontFragment = 0x40
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[6] = dontFragment
	binary.BigEndian.PutUint16(b[10:], headerSum(b[:headerLen]))
}

// headerSum is the checksum of an IPv4 header whose own field is 0 (RFC 1071).
func headerSum(b []byte) uint16 {
	var sum uint32
	for k := 0; k < len(b); k += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[k:]))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}

// packet6 puts an IPv6 header before the payload.
func packet6(src, dst netip.Addr, payload []byte) []byte {
	b := make([]byte, 8, 40+len(payload))
	binary.BigEndian.PutUint32(b, 6<<28|tos<<20)
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b[6], b[7] = protocolVRRP, ttl
	from, to := src.As16(), dst.As16()
	return append(append(append(b, from[:]...), to[:]...), payload...)
}
