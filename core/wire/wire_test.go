package wire

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/tests/lab/netns"
)

// patience bounds each wait for something that must come; silence, each wait for something that must not.
const (
	patience = 5 * time.Second
	silence  = 100 * time.Millisecond
)

// host is one network namespace with a Wire in it.
type host struct {
	t    testing.TB
	ns   *netns.NS
	wire *Wire
	got  chan Packet
	log  bytes.Buffer // to be read after the wire was closed
}

func newNode(t testing.TB) *host {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("this test needs root: %v", err)
	}
	n := &host{t: t, ns: ns, got: make(chan Packet, 100)}
	n.wire = New(Options{Logger: slog.New(slog.NewTextHandler(&n.log, nil)), Receive: func(all []Packet) {
		for _, p := range all {
			n.got <- p
		}
	}})
	t.Cleanup(func() {
		n.do(n.wire.Close)
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *host) do(f func() error) {
	n.t.Helper()
	if err := n.ns.Do(f); err != nil {
		n.t.Fatal(err)
	}
}

func (n *host) set(ports ...Port) {
	n.t.Helper()
	n.do(func() error { n.wire.Set(ports); return nil })
}

func (n *host) refresh() {
	n.t.Helper()
	n.do(func() error { n.wire.Refresh(); return nil })
}

func (n *host) send(dst netip.Addr, payload string) {
	n.t.Helper()
	if err := n.try(node.Advert{Interface: "eth0", Source: left, Destination: dst, Payload: []byte(payload)}); err != nil {
		n.t.Fatal(err)
	}
}

// try sends one advert.
func (n *host) try(a node.Advert) (err error) {
	n.wire.Send([]node.Advert{a}, func(_ node.Advert, e error) { err = e })
	return err
}

func (n *host) receive(payload string) Packet {
	n.t.Helper()
	select {
	case p := <-n.got:
		if string(p.Payload) != payload {
			n.t.Fatalf("received %q, want %q", p.Payload, payload)
		}
		return p
	case <-time.After(patience):
		n.t.Fatalf("%q was not received", payload)
		return Packet{}
	}
}

func (n *host) receiveNothing() {
	n.t.Helper()
	select {
	case p := <-n.got:
		n.t.Fatalf("received %q from %v", p.Payload, p.Header.Source)
	case <-time.After(silence):
	}
}

// cable connects an interface of a, with the address left, to one of b, with right. Both are up.
func cable(a, b *host, name string) {
	a.t.Helper()
	a.do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name, PeerNamespace: netlink.NsFd(b.ns.FD()),
		})
	})
	for n, addr := range map[*host]netip.Addr{a: left, b: right} {
		n.do(func() error {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			ip, err := netlink.ParseAddr(addr.String() + "/24")
			if err != nil {
				return err
			}
			return errors.Join(netlink.AddrAdd(l, ip), netlink.LinkSetUp(l))
		})
	}
	a.awaitCarrier(name)
	b.awaitCarrier(name)
}

// awaitCarrier waits until frames pass: the kernel may take a second to notice that the other end is up.
func (n *host) awaitCarrier(name string) {
	n.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var l netlink.Link
		n.do(func() (err error) { l, err = netlink.LinkByName(name); return err })
		if l.Attrs().OperState == netlink.OperUp {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("%s has no carrier: %v", name, l.Attrs().OperState)
		}
	}
}

func (n *host) unplug() {
	n.t.Helper()
	n.do(func() error { return netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}}) })
}

func pair(t testing.TB) (a, b *host) {
	t.Helper()
	a, b = newNode(t), newNode(t)
	cable(a, b, "eth0")
	return a, b
}

func TestMulticastArrivesAsItWasSent(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	before := time.Now()
	a.send(multicast, "hello")
	p := b.receive("hello")
	if p.Interface != "eth0" || p.Header.Source != left || p.Header.Destination != multicast || p.Header.TTL != 255 {
		t.Errorf("received %+v on %s", p.Header, p.Interface)
	}
	if p.At.Before(before) || p.At.After(time.Now()) {
		t.Errorf("it came at %v, sent at %v", p.At, before)
	}
	a.receiveNothing() // not even its own
	if s := a.wire.Stats()[0]; s != (Stats{Interface: "eth0", Open: true, Sent: 1}) {
		t.Errorf("the sender counts %+v", s)
	}
	if s := b.wire.Stats()[0]; s != (Stats{Interface: "eth0", Open: true, Received: 1}) {
		t.Errorf("the receiver counts %+v", s)
	}
}

func TestTheSourceNeedNotBeAnAddressOfTheInterface(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	strange := netip.MustParseAddr("192.0.2.99")
	if err := a.try(node.Advert{Interface: "eth0", Source: strange, Destination: multicast, Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if p := b.receive("x"); p.Header.Source != strange {
		t.Errorf("it came from %v, want %v", p.Header.Source, strange)
	}
}

func TestUnicastPortHearsNoMulticast(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0"})
	other := New(Options{Logger: b.wire.opt.Logger, Receive: func([]Packet) {}}) // of the same machine
	b.do(func() error { other.Set([]Port{{Interface: "eth0", Multicast: true}}); return nil })
	defer b.do(other.Close)
	a.send(multicast, "to all")
	a.send(right, "to you")
	if p := b.receive("to you"); p.Header.Destination != right || p.Header.TTL != 255 {
		t.Errorf("received %+v", p.Header)
	}
	b.receiveNothing()
}

func TestJoiningAndLeavingKeepsTheSocket(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0"})
	socket := (*b.wire.ports.Load())[key{"eth0", false}].conn.Load()
	b.set(Port{Interface: "eth0"}, Port{Interface: "eth0", Multicast: true}) // named twice: multicast if either says so
	a.send(multicast, "joined")
	b.receive("joined")
	b.set(Port{Interface: "eth0"})
	a.send(multicast, "left")
	b.receiveNothing()
	if (*b.wire.ports.Load())[key{"eth0", false}].conn.Load() != socket {
		t.Error("the socket was opened anew")
	}
}

func TestWhatOnlyTheCodecCanJudgeIsDelivered(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	raw, err := packet(left, multicast, nil) // an empty message that a router has forwarded
	if err != nil {
		t.Fatal(err)
	}
	raw[8] = 254
	if err := hand((*a.wire.ports.Load())[key{"eth0", false}].conn.Load().sock, raw, nil, &unix.SockaddrInet4{Addr: multicast.As4()}); err != nil {
		t.Fatal(err)
	}
	if p := b.receive(""); p.Header.TTL != 254 {
		t.Errorf("TTL %d, want 254", p.Header.TTL)
	}
}

func TestOtherInterfacesAreNotHeard(t *testing.T) {
	a, b := pair(t)
	cable(a, b, "eth1")
	a.set(Port{Interface: "eth0", Multicast: true}, Port{Interface: "eth1", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	if err := a.try(node.Advert{Interface: "eth1", Source: left, Destination: right, Payload: []byte("other")}); err != nil {
		t.Fatal(err)
	}
	b.receiveNothing()
	a.send(multicast, "this")
	b.receive("this")
}

func TestInterfaceIsDeletedAndMadeAgain(t *testing.T) {
	a, b := newNode(t), newNode(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true}) // it does not exist yet
	if err := a.try(node.Advert{Interface: "eth0", Source: left, Destination: multicast}); !errors.Is(err, ErrClosed) {
		t.Errorf("Send without an interface: %v, want %v", err, ErrClosed)
	}
	for _, message := range []string{"first", "second"} {
		cable(a, b, "eth0")
		a.refresh()
		b.refresh()
		a.send(multicast, message)
		b.receive(message)
		a.unplug() // the first time without a call of Refresh before it is there again
	}
	a.refresh()
	b.refresh()
	if b.wire.Stats()[0].Open {
		t.Error("the socket outlived its interface")
	}
	if s := b.wire.Stats()[0]; s.Received != 2 {
		t.Errorf("%d received over both interfaces, want 2", s.Received)
	}
}

func TestInterfaceGoesDownAndUp(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	turn := func(change func(netlink.Link) error) {
		a.do(func() error {
			l, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			return change(l)
		})
	}
	turn(netlink.LinkSetDown)
	if err := a.try(node.Advert{Interface: "eth0", Source: left, Destination: multicast}); !errors.Is(err, unix.ENETDOWN) && !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("Send on an interface that is down: %v", err)
	}
	if s := a.wire.Stats()[0]; s.SendErrors != 1 {
		t.Errorf("%d errors of sending counted, want 1", s.SendErrors)
	}
	turn(netlink.LinkSetUp)
	a.awaitCarrier("eth0")
	b.awaitCarrier("eth0")
	a.send(multicast, "back")
	b.receive("back")
	if err := b.try(node.Advert{Interface: "eth0", Source: right, Destination: multicast, Payload: []byte("and back")}); err != nil {
		t.Fatal(err)
	}
	a.receive("and back")
}

func TestFullSocketDropsAndCounts(t *testing.T) {
	a, b := pair(t)
	release := make(chan struct{})
	b.wire.opt.Receive = func([]Packet) { <-release }
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	for range 5000 {
		a.send(multicast, "flood")
	}
	s := b.wire.Stats()[0]
	close(release)
	if s.Drops == 0 || s.Drops > 5000 {
		t.Errorf("%d drops counted of 5000", s.Drops)
	}
	a.unplug()
	b.refresh()
	if after := b.wire.Stats()[0].Drops; after < s.Drops {
		t.Errorf("%d drops counted after the socket was closed, %d before", after, s.Drops)
	}
}

func TestCloseWaitsForTheReceiver(t *testing.T) {
	a, b := pair(t)
	received, release := make(chan struct{}), make(chan struct{})
	b.wire.opt.Receive = func([]Packet) { close(received); <-release }
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	a.send(multicast, "hold")
	<-received
	closed := make(chan struct{})
	go func() { defer close(closed); b.do(b.wire.Close) }()
	select {
	case <-closed:
		t.Error("Close returned while a packet was being received")
	case <-time.After(silence):
	}
	close(release)
	<-closed
}

func TestClosingIsNoFault(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	a.send(multicast, "x")
	b.receive("x")
	b.do(b.wire.Close)
	if b.log.Len() > 0 {
		t.Errorf("closing an open socket logged %s", b.log.String())
	}
}

func TestNothingIsReceivedAfterClose(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	b.do(b.wire.Close)
	a.send(multicast, "late")
	b.receiveNothing()
	if err := b.try(node.Advert{Interface: "eth0", Source: right, Destination: multicast}); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v, want %v", err, ErrClosed)
	}
}
