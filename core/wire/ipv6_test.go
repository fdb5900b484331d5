package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/node"
)

var (
	left6      = netip.MustParseAddr("fe80::1")
	right6     = netip.MustParseAddr("fe80::2")
	multicast6 = netip.MustParseAddr("ff02::12")
)

// pair6 is a pair whose interfaces have IPv6 addresses that can be used at once.
func pair6(t *testing.T) (a, b *host) {
	t.Helper()
	a, b = pair(t)
	for n, addrs := range map[*host][]string{a: {"fe80::1/64", "2001:db8::1/64"}, b: {"fe80::2/64", "2001:db8::2/64"}} {
		for _, addr := range addrs {
			n.addNoDAD(addr)
		}
	}
	return a, b
}

func (n *host) addNoDAD(addr string) {
	n.t.Helper()
	n.do(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		ip, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		ip.Flags = unix.IFA_F_NODAD
		return netlink.AddrAdd(l, ip)
	})
}

func port6(multicast bool) Port { return Port{Interface: "eth0", IPv6: true, Multicast: multicast} }

func (n *host) send6(src, dst netip.Addr, payload string) {
	n.t.Helper()
	if err := n.try(node.Advert{Interface: "eth0", Source: src, Destination: dst, Payload: []byte(payload)}); err != nil {
		n.t.Fatal(err)
	}
}

func TestIPv6MulticastArrivesAsItWasSent(t *testing.T) {
	a, b := pair6(t)
	a.set(port6(true))
	b.set(port6(true))
	a.send6(left6, multicast6, "hello")
	p := b.receive("hello")
	if p.Interface != "eth0" || p.Header.Source != left6 || p.Header.Destination != multicast6 || p.Header.TTL != 255 {
		t.Errorf("received %+v on %s", p.Header, p.Interface)
	}
	a.receiveNothing() // not even its own
	if s := b.wire.Stats()[0]; s != (Stats{Interface: "eth0", IPv6: true, Open: true, Received: 1}) {
		t.Errorf("the receiver counts %+v", s)
	}
}

func TestIPv6UnicastPortHearsNoMulticast(t *testing.T) {
	a, b := pair6(t)
	a.set(port6(true))
	b.set(port6(false))
	other := New(Options{Logger: b.wire.opt.Logger, Receive: func([]Packet) {}}) // of the same machine
	b.do(func() error { other.Set([]Port{port6(true)}); return nil })
	defer b.do(other.Close)
	a.send6(left6, multicast6, "to all")
	a.send6(left6, right6, "to you")
	if p := b.receive("to you"); p.Header.Destination != right6 || p.Header.TTL != 255 {
		t.Errorf("received %+v", p.Header)
	}
	global, peer := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	a.send6(global, peer, "to your other address")
	if p := b.receive("to your other address"); p.Header.Source != global || p.Header.Destination != peer {
		t.Errorf("received %+v", p.Header)
	}
	b.receiveNothing()
}

// The poller tells once of what has come, however many reads it takes.
func TestWhatIsForOthersDoesNotDelayTheRest(t *testing.T) {
	a, b := pair6(t)
	a.set(port6(true))
	held, release := make(chan struct{}), make(chan struct{})
	b.wire.opt.Receive = func(all []Packet) {
		if string(all[0].Payload) == "hold" {
			close(held)
			<-release
			all = all[1:]
		}
		for _, p := range all {
			b.got <- p
		}
	}
	b.set(port6(false))
	other := New(Options{Logger: b.wire.opt.Logger, Receive: func([]Packet) {}}) // of the same machine
	b.do(func() error { other.Set([]Port{port6(true)}); return nil })
	defer b.do(other.Close)
	a.send6(left6, right6, "hold")
	<-held
	for range 5 * maxBatch {
		a.send6(left6, multicast6, "to all")
	}
	a.send6(left6, right6, "to you")
	close(release)
	b.receive("to you")
}

// A VIP is an address of the interface too, and the kernel might choose it.
func TestTheIPv6SourceIsTheOneGiven(t *testing.T) {
	a, b := pair6(t)
	a.addNoDAD("fe80::100/128")
	a.set(port6(true))
	b.set(port6(true))
	for _, src := range []netip.Addr{left6, netip.MustParseAddr("fe80::100"), left6} {
		a.send6(src, multicast6, "x")
		if p := b.receive("x"); p.Header.Source != src {
			t.Errorf("it came from %v, want %v", p.Header.Source, src)
		}
	}
	strange := netip.MustParseAddr("fe80::99")
	if err := a.try(node.Advert{Interface: "eth0", Source: strange, Destination: multicast6}); err == nil {
		t.Error("an advert was sent from an address that the interface does not have")
	}
}

func TestBothFamiliesOnOneInterface(t *testing.T) {
	a, b := pair6(t)
	four := Port{Interface: "eth0", Multicast: true}
	a.set(four, port6(true))
	b.set(four, port6(true))
	a.send(multicast, "four")
	b.receive("four")
	a.send6(left6, multicast6, "six")
	b.receive("six")
	stats := b.wire.Stats()
	if len(stats) != 2 || stats[0].IPv6 || !stats[1].IPv6 || stats[0].Received != 1 || stats[1].Received != 1 {
		t.Errorf("the receiver counts %+v, want one for each family, IPv4 first", stats)
	}
	b.set(port6(true))
	a.send(multicast, "four again")
	b.receiveNothing()
	if err := b.try(node.Advert{Interface: "eth0", Source: right, Destination: multicast}); !errors.Is(err, ErrClosed) {
		t.Errorf("Send over the family that is gone: %v, want %v", err, ErrClosed)
	}
}

func TestIPv6InterfaceIsDeletedAndMadeAgain(t *testing.T) {
	a, b := newNode(t), newNode(t)
	a.set(port6(true))
	b.set(port6(true))
	for _, message := range []string{"first", "second"} {
		cable(a, b, "eth0")
		a.addNoDAD("fe80::1/64")
		b.addNoDAD("fe80::2/64")
		a.refresh()
		b.refresh()
		a.send6(left6, multicast6, message)
		b.receive(message)
		a.unplug()
	}
}

// What was forwarded, or has a wrong checksum, is for core/vrrp to count.
func TestIPv6WhatOnlyTheCodecCanJudgeIsDelivered(t *testing.T) {
	a, b := pair6(t)
	a.set(port6(true))
	b.set(port6(true))
	c := (*a.wire.ports.Load())[key{"eth0", true}].conn.Load()
	if err := c.sock.SetsockoptInt(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 254); err != nil {
		t.Fatal(err)
	}
	a.send6(left6, multicast6, "no checksum at all")
	if p := b.receive("no checksum at all"); p.Header.TTL != 254 {
		t.Errorf("hop limit %d, want 254", p.Header.TTL)
	}
}

func TestHeader6NeedsWhatTheKernelTells(t *testing.T) {
	info := unix.PktInfo6(&unix.Inet6Pktinfo{Addr: multicast6.As16(), Ifindex: 2})
	limit := make([]byte, unix.CmsgSpace(4))
	binary.NativeEndian.PutUint64(limit, uint64(unix.CmsgLen(4)))
	binary.NativeEndian.PutUint32(limit[8:], unix.IPPROTO_IPV6)
	binary.NativeEndian.PutUint32(limit[12:], unix.IPV6_HOPLIMIT)
	binary.NativeEndian.PutUint32(limit[16:], 255)
	both := append(append([]byte(nil), info...), limit...)
	for _, c := range []struct {
		name string
		from netip.Addr
		oob  []byte
		ok   bool
	}{
		{"both", left6, both, true},
		{"no hop limit", left6, info, false},
		{"no destination", left6, limit, false},
		{"nothing", left6, nil, false},
		{"a message that is cut", left6, both[:20], false},
		{"an IPv4 address in disguise", netip.MustParseAddr("::ffff:192.0.2.1"), both, false},
	} {
		h, err := header6(c.from, c.oob)
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v, want none: %v", c.name, err, c.ok)
		}
		if c.ok && (h.Source != left6 || h.Destination != multicast6 || h.TTL != 255) {
			t.Errorf("%s: %+v", c.name, h)
		}
	}
}
