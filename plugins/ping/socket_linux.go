package ping

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/sdk"
)

// errNoPermission is what an operator has to mend.
var errNoPermission = errors.New("no permission for ICMP: give the plugin the capability NET_RAW, " +
	"or put its group into the sysctl net.ipv4.ping_group_range")

// errNoDatagram says that the kernel makes no datagram socket for this process.
var errNoDatagram = errors.New("no datagram socket for ICMP")

// open makes a socket that is connected to an address: a datagram socket, which net.ipv4.ping_group_range permits (icmp(7)),
// else a raw one, which takes CAP_NET_RAW.
func open(ctx context.Context, t sdk.Target, addr netip.Addr) (socket, error) {
	s, err := datagram(t, addr)
	if !errors.Is(err, errNoDatagram) {
		return s, err
	}
	s, err = raw(ctx, t, addr)
	if e := (*os.SyscallError)(nil); errors.As(err, &e) && e.Syscall == "socket" && e.Err == unix.EPERM {
		return s, errNoPermission
	}
	return s, err
}

// datagram makes an ICMP socket of the kernel's, as IPPROTO_ICMP with SOCK_DGRAM, which package net cannot.
func datagram(t sdk.Target, addr netip.Addr) (socket, error) {
	network, family, protocol := "udp4", unix.AF_INET, unix.IPPROTO_ICMP
	if addr.Is6() {
		network, family, protocol = "udp6", unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	switch err {
	case nil:
	case unix.EACCES, unix.EPROTONOSUPPORT:
		return socket{}, errNoDatagram
	default:
		return socket{}, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "icmp")
	defer f.Close() // FileConn has its own
	c, err := f.SyscallConn()
	if err != nil {
		return socket{}, err
	}
	if err := t.Control(network, "", c); err != nil {
		return socket{}, err
	}
	if t.Source().IsValid() {
		if err := unix.Bind(fd, sockaddr(t.Source())); err != nil {
			return socket{}, fmt.Errorf("from %s: %w", t.Source(), err)
		}
	}
	if err := unix.Connect(fd, sockaddr(addr)); err != nil {
		return socket{}, os.NewSyscallError("connect", err)
	}
	conn, err := net.FileConn(f)
	if err != nil {
		return socket{}, err
	}
	return socket{conn.(*net.UDPConn)}, nil // FileConn goes by SOCK_DGRAM
}

// raw makes a raw socket that takes nothing but echo replies.
func raw(ctx context.Context, t sdk.Target, addr netip.Addr) (socket, error) {
	network := "ip4:1"
	if addr.Is6() {
		network = "ip6:58"
	}
	conn, err := t.DialContext(ctx, network, addr.String())
	if err != nil {
		return socket{}, err
	}
	s := socket{conn.(*net.IPConn)}
	if err := s.filter(addr); err != nil {
		s.conn.Close()
		return s, err
	}
	return s, nil
}

// filter keeps all messages but echo replies from a raw socket, which would see those of the whole host.
func (s socket) filter(addr netip.Addr) error {
	if addr.Is6() {
		var f ipv6.ICMPFilter
		f.SetAll(true)
		f.Accept(ipv6.ICMPTypeEchoReply)
		return ipv6.NewPacketConn(s.conn).SetICMPFilter(&f)
	}
	var f ipv4.ICMPFilter
	f.SetAll(true)
	f.Accept(ipv4.ICMPTypeEchoReply)
	return ipv4.NewPacketConn(s.conn).SetICMPFilter(&f)
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), ZoneId: zone(a.Zone())}
}

// zone is the number of an interface, which may stand as its name; 0 for none.
func zone(name string) uint32 {
	if ifi, err := net.InterfaceByName(name); err == nil {
		return uint32(ifi.Index)
	}
	n, _ := strconv.ParseUint(name, 10, 32)
	return uint32(n)
}
