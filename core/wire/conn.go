package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/vrrp"
)

const (
	// receiveBuffer holds about a thousand adverts, each of which the kernel accounts with its own overhead.
	receiveBuffer = 1 << 20
	// maxPacket is what is read of a packet: the longest IPv4 header, and more than any advert has.
	maxPacket = 60 + maxMessage + 1
	// priority is TC_PRIO_INTERACTIVE (tc-prio(8)), the most that needs no capability.
	priority = 6
	// errorPause is how long a reader waits after an error that is not the end of the socket, such as ENETDOWN.
	errorPause = 100 * time.Millisecond
)

// conn is one raw socket of one family bound to one interface.
type conn struct {
	sock   *socket.Conn
	six    bool
	index  int           // of the interface
	done   chan struct{} // closed when the reader has ended
	stop   chan struct{} // closed to end it
	member atomic.Bool   // of VRRP's group
	frames *socket.Conn  // for messages with a hardware address of their own; nil for none
	reader *reader
}

// open makes a socket that receives from one interface only. Between its creation and its binding it would collect packets
// of every interface, so it starts with a filter that drops all, and ends by throwing away what came before the filter.
func open(name string, index int, six, multicast bool) (*conn, error) {
	family := unix.AF_INET
	if six {
		family = unix.AF_INET6
	}
	s, err := socket.Socket(family, unix.SOCK_RAW, protocolVRRP, "vrrp", nil)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket on %s: %w", name, err)
	}
	c := &conn{sock: s, six: six, index: index, done: make(chan struct{}), stop: make(chan struct{})}
	err = c.setUp(name)
	if err == nil && multicast {
		err = c.join(true)
	}
	if err == nil {
		err = listen(s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up the socket on %s: %w", name, err), s.Close())
	}
	return c, nil
}

// setUp binds the socket to its interface and sets its options.
func (c *conn) setUp(name string) error {
	s := c.sock
	if err := deafen(s); err != nil {
		return err
	}
	if err := s.SetsockoptString(unix.SOL_SOCKET, unix.SO_BINDTODEVICE, name); err != nil {
		return err
	}
	for _, o := range c.options() {
		if err := s.SetsockoptInt(o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return s.SetReadBuffer(receiveBuffer)
}

type option struct{ level, name, value int }

// options of the socket. Over IPv6 the kernel is not asked for checksums (IPV6_CHECKSUM): what it refuses could not be counted
// by its virtual router. core/vrrp makes and checks them.
func (c *conn) options() []option {
	both := []option{{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}, {unix.SOL_SOCKET, unix.SO_PRIORITY, priority}}
	if !c.six {
		return append(both,
			option{unix.IPPROTO_IP, unix.IP_HDRINCL, 1}, // the source address is ours to say
			option{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
			option{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		)
	}
	return append(both,
		option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		option{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
		option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
		option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, c.index},
		option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, ttl},
		option{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, ttl},
		option{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos},
	)
}

// join makes the socket a member of VRRP's group on the interface, or ends that.
func (c *conn) join(member bool) error {
	level, option := unix.IPPROTO_IP, unix.IP_DROP_MEMBERSHIP
	switch {
	case c.six && member:
		level, option = unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP
	case c.six:
		level, option = unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP
	case member:
		option = unix.IP_ADD_MEMBERSHIP
	}
	if err := c.sock.SetsockoptBytes(level, option, c.membership()); err != nil {
		return fmt.Errorf("join or leave %v: %w", c.group(), err)
	}
	c.member.Store(member)
	return nil
}

// deafen has the socket receive nothing.
func deafen(s *socket.Conn) error {
	none, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return err
	}
	return s.SetBPF(none)
}

// listen throws away what the socket has collected, and lets everything in from now on.
func listen(s *socket.Conn) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Control(func(fd uintptr) {
		for err := error(nil); err == nil; {
			_, _, err = unix.Recvfrom(int(fd), nil, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		}
	})
	return errors.Join(err, s.RemoveBPF())
}

// group is the multicast address of VRRP (RFC 9568 sections 5.1.1.2 and 5.1.2.2).
func (c *conn) group() netip.Addr {
	if c.six {
		return vrrp.Group(netip.IPv6Unspecified())[0]
	}
	return vrrp.Group(netip.IPv4Unspecified())[0]
}

// membership is a struct ip_mreqn (ip(7)): the group, no local address, and the interface's index in the machine's order; or a
// struct ipv6_mreq (ipv6(7)), which has no local address.
func (c *conn) membership() []byte {
	b := c.group().AsSlice()
	if !c.six {
		b = append(b, 0, 0, 0, 0)
	}
	return binary.NativeEndian.AppendUint32(b, uint32(c.index))
}

// hand gives one datagram to the kernel, to the address that the socket is connected to where to is nil.
func hand(s *socket.Conn, b, oob []byte, to unix.Sockaddr) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		sent = unix.Sendmsg(int(fd), b, oob, to, unix.MSG_DONTWAIT)
	})
	return errors.Join(err, sent)
}

// close ends the socket and waits for the reader.
func (c *conn) close() {
	close(c.stop)
	_ = c.sock.Close() // closing a raw socket cannot lose anything
	if c.frames != nil {
		_ = c.frames.Close()
	}
	<-c.done
}

// read delivers packets until the socket is closed. Other errors pass: an interface that is down comes up again.
func (c *conn) read(p *port) {
	defer close(c.done)
	for failing := false; ; {
		count, err := c.reader.next()
		switch {
		case err == nil:
			failing = false
			c.reader.moderate(count)
			continue
		case c.stopped():
			return
		case !failing:
			failing = true
			p.log.Warn("adverts cannot be received for now", "error", err)
		}
		select {
		case <-c.stop:
			return
		case <-time.After(errorPause):
		}
	}
}

func (c *conn) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// parse tells the header from the message, given the beginning of a packet of that length. Over IPv6 the kernel gives the message
// alone, without padding.
func (c *conn) parse(b, oob []byte, length int, from netip.Addr) (vrrp.Header, []byte, error) {
	if !c.six {
		return parse(b, length)
	}
	h, err := header6(from, oob)
	return h, b, err
}

// drops is how many packets the kernel threw away because the socket's buffer was full: SK_MEMINFO_DROPS, the last of the
// nine numbers of SO_MEMINFO (linux/sock_diag.h).
func drops(s *socket.Conn) uint64 {
	var info [9 * 4]byte
	n, err := s.GetsockoptBytes(unix.SOL_SOCKET, unix.SO_MEMINFO, info[:])
	if err != nil || n < len(info) {
		return 0
	}
	return uint64(binary.NativeEndian.Uint32(info[8*4:]))
}
