package kernel

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
	"github.com/vipward/vipward/tests/lab/netns"
)

// silence bounds each wait for something that must not come.
const silence = 150 * time.Millisecond

// street is two machines on one cable: the host, which asks from lan0, and a neighbour, who has 10.0.0.1 and 2001:db8::1 there.
type street struct {
	*host
	neighbour *netns.NS
	part      *Neighbours
	got       chan node.Input
	mac       [6]byte // of the neighbour
}

func newStreet(t *testing.T) *street {
	t.Helper()
	s := &street{host: newHost(t), got: make(chan node.Input, 100)}
	var err error
	if s.neighbour, err = netns.New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.neighbour.Close() })
	s.ipv6("on")
	s.cable()
	s.part = NewNeighbours(NeighbourOptions{Logger: quiet(), Report: func(in node.Input) { s.got <- in }})
	s.start(s.part.Run)
	return s
}

// cable makes lan0 of both.
func (s *street) cable() {
	s.Helper()
	s.do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "lan0"}, PeerName: "lan0", PeerNamespace: netlink.NsFd(s.neighbour.FD()),
		})
	})
	s.at(s.neighbour, func(l netlink.Link) error {
		s.mac = [6]byte(l.Attrs().HardwareAddr)
		six := ip("2001:db8::1/64")
		six.Flags = unix.IFA_F_NODAD
		return errors.Join(netlink.LinkSetUp(l), netlink.AddrAdd(l, ip("10.0.0.1/24")), netlink.AddrAdd(l, six))
	})
	s.at(s.ns, netlink.LinkSetUp)
	for _, ns := range []*netns.NS{s.ns, s.neighbour} {
		s.eventually("lan0 has carrier", func() (up bool) {
			s.at(ns, func(l netlink.Link) error { up = l.Attrs().OperState == netlink.OperUp; return nil })
			return up
		})
	}
}

func (s *street) at(ns *netns.NS, f func(netlink.Link) error) {
	s.Helper()
	err := ns.Do(func() error {
		l, err := netlink.LinkByName("lan0")
		if err != nil {
			return err
		}
		return f(l)
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *street) watch(interfaceName string, addresses ...netip.Addr) {
	s.Helper()
	var want []desired.Watch
	for _, a := range addresses {
		want = append(want, desired.Watch{Interface: interfaceName, Address: a})
	}
	s.part.Set(want)
}

// reports is the next input that satisfies.
func (s *street) reports(what string, is func(node.Input) bool) {
	s.Helper()
	for end := time.After(patience); ; {
		select {
		case in := <-s.got:
			if is(in) {
				return
			}
			s.Logf("passed over: %+v", in)
		case <-end:
			s.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func (s *street) sees(a netip.Addr, mac [6]byte) {
	s.Helper()
	s.reports(a.String()+" is seen", func(in node.Input) bool { return seen(in, a, mac) })
}

// seen tells whether that was seen at lan0, lately.
func seen(in node.Input, a netip.Addr, mac [6]byte) bool {
	x, ok := in.(node.Seen)
	return ok && x.Interface == "lan0" && x.Address == a && x.MAC == mac && time.Since(x.At) < patience && !x.At.After(time.Now())
}

func (s *street) reportsNothing() {
	s.Helper()
	select {
	case in := <-s.got:
		s.Errorf("reported %+v", in)
	case <-time.After(silence):
	}
}

// send puts a frame on the neighbour's end of the cable.
func (s *street) send(frame []byte) {
	s.Helper()
	s.at(s.neighbour, func(l netlink.Link) error {
		c, err := packet.Listen(&net.Interface{Index: l.Attrs().Index}, packet.Raw, unix.ETH_P_LOOP, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]})
		return err
	})
}

func TestNeighbourAnswersQuestions(t *testing.T) {
	s := newStreet(t)
	absent := netip.MustParseAddr("10.0.0.2")
	s.watch("lan0", vip4, vip6, absent)
	s.eventually("the neighbour has its IPv6 address", func() bool {
		s.part.Ask(node.Ask{Interface: "lan0", Address: vip6})
		select {
		case <-s.got:
			return true
		case <-time.After(20 * time.Millisecond):
			return false
		}
	})
	before := s.part.Stats().Asked
	for range 3 { // no answer is folded into the one before
		for _, a := range []netip.Addr{vip4, vip6} {
			s.part.Ask(node.Ask{Interface: "lan0", Address: a})
			s.sees(a, s.mac)
		}
	}
	s.part.Ask(node.Ask{Interface: "lan0", Address: absent})
	s.eventually("the question for the absent one was sent", func() bool { return s.part.Stats().Asked >= before+7 })
	s.reportsNothing()
}

// What has arrived and no reader has come to is told by a drain, with the time at which it came.
func TestDrainTellsTheAnswersThatHaveArrived(t *testing.T) {
	s := newStreet(t)
	own := &ownMACs{}
	own.Store(&map[[6]byte]bool{})
	got := make(chan node.Input, 100)
	part := NewNeighbours(NeighbourOptions{Logger: quiet(), Report: func(in node.Input) { got <- in }})
	var w *watcher // as refresh makes it, without a reader
	s.at(s.ns, func(l netlink.Link) (err error) {
		w, err = openWatcher(part, watchKey{"lan0", false}, l.Attrs().Index, own)
		return err
	})
	t.Cleanup(func() { w.sock.Close() })
	if err := w.set([]netip.Addr{vip4}); err != nil {
		t.Fatal(err)
	}
	part.heard.Store(&[]*watcher{w})
	s.eventually("an answer that waits in the socket is told, as of when it came", func() bool { // the kernel begins to stamp a moment later
		w.ask(vip4)
		sent := time.Now()
		s.send(must(gratuitous(strangeMAC, vip4)))
		read := time.Now()
		time.Sleep(5 * time.Millisecond) // the process is late
		part.Drain()
		select {
		case in := <-got:
			return seen(in, vip4, [6]byte(strangeMAC)) && !in.(node.Seen).At.Before(sent.Add(-time.Millisecond)) && in.(node.Seen).At.Before(read.Add(time.Millisecond))
		default:
			return false
		}
	})
}

func TestQuestionsChangeNoCache(t *testing.T) {
	s := newStreet(t)
	s.watch("lan0", vip4)
	s.part.Ask(node.Ask{Interface: "lan0", Address: vip4})
	s.sees(vip4, s.mac)
	out, err := s.neighbour.Output("ip", "-4", "neighbour", "show")
	if err != nil || out != "" {
		t.Errorf("the neighbour knows %q, %v, want nothing", out, err)
	}
}

// Both nodes have the interface of the virtual MAC address, whether or not ours bears its mark yet: what the other one answers must not
// be taken for our own.
func TestTheVirtualMACOfThePeerIsSeenBesideOurs(t *testing.T) {
	s := newStreet(t)
	mac := vrrp.VirtualMAC(51, false)
	s.do(func() error {
		lan, err := netlink.LinkByName("lan0")
		if err != nil {
			return err
		}
		return netlink.LinkAdd(&netlink.Macvlan{
			LinkAttrs: netlink.LinkAttrs{Name: "vrrp4.51", ParentIndex: lan.Attrs().Index, HardwareAddr: mac[:]}, Mode: netlink.MACVLAN_MODE_BRIDGE,
		})
	})
	s.watch("lan0", vip4)
	for end := time.Now().Add(patience); ; {
		s.send(must(gratuitous(mac[:], vip4)))
		select {
		case in := <-s.got:
			if !seen(in, vip4, mac) {
				t.Errorf("reported %+v", in)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal("the virtual MAC address of the peer is not seen")
		}
	}
}

func TestClaimsAreSeenUnasked(t *testing.T) {
	s := newStreet(t)
	s.watch("lan0", vip4)
	other := netip.MustParseAddr("10.0.0.77")
	s.eventually("a gratuitous ARP is seen", func() bool {
		s.send(must(gratuitous(strangeMAC, other))) // not watched
		s.send(must(gratuitous(strangeMAC, vip4)))
		select {
		case in := <-s.got:
			return seen(in, vip4, [6]byte(strangeMAC))
		case <-time.After(5 * time.Millisecond):
			return false
		}
	})
	s.reportsNothing()
	before := s.part.Stats().Seen
	for range 50 {
		s.send(must(gratuitous(strangeMAC, vip4)))
	}
	s.eventually("bursts are folded", func() bool { return s.part.Stats().Folded > 30 })
	if told := s.part.Stats().Seen - before; told > glimpseMost {
		t.Errorf("%d of 50 told", told)
	}
}

func TestOwnFramesAreNotSeen(t *testing.T) {
	s := newStreet(t)
	s.watch("lan0", vip4)
	var own, eth0 net.HardwareAddr
	s.at(s.ns, func(l netlink.Link) error { own = l.Attrs().HardwareAddr; return nil })
	s.change(func(l netlink.Link) error { eth0 = l.Attrs().HardwareAddr; return nil })
	s.part.Ask(node.Ask{Interface: "lan0", Address: vip4})
	s.sees(vip4, s.mac)
	for _, mac := range []net.HardwareAddr{own, eth0} { // echoed by a switch; another interface of this host
		s.send(must(gratuitous(mac, vip4)))
	}
	s.reportsNothing()
}

func TestWhatCannotBeAskedIsSaid(t *testing.T) {
	s := newStreet(t)
	unwatched := netip.MustParseAddr("10.0.0.3")
	s.part.Set([]desired.Watch{{Interface: "lan0", Address: vip4}, {Interface: "lo", Address: vip4}, {Interface: "nowhere", Address: vip4}})
	for _, c := range []struct {
		ask    node.Ask
		reason string
	}{
		{node.Ask{Interface: "lo", Address: vip4}, "nobody can be asked on lo: there are no hardware addresses on it to ask for"},
		{node.Ask{Interface: "nowhere", Address: vip4}, "interface nowhere does not exist"},
		{node.Ask{Interface: "lan0", Address: unwatched}, "answers for it are not watched on lan0"},
	} {
		s.part.Ask(c.ask)
		want := node.Unasked{Interface: c.ask.Interface, Address: c.ask.Address, Reason: c.reason}
		s.reports(c.reason, func(in node.Input) bool { return in == want })
	}
	s.at(s.ns, netlink.LinkSetDown)
	s.part.Refresh()
	s.eventually("the question is refused because lan0 is down", func() bool {
		s.part.Ask(node.Ask{Interface: "lan0", Address: vip4})
		u, ok := (<-s.got).(node.Unasked)
		return ok && u.Reason == "nobody can be asked on lan0: it is down"
	})
}

func TestInterfaceThatIsMadeAgainIsWatchedAgain(t *testing.T) {
	s := newStreet(t)
	s.watch("lan0", vip4)
	ask := func() { s.part.Ask(node.Ask{Interface: "lan0", Address: vip4}) }
	ask()
	s.sees(vip4, s.mac)
	s.at(s.ns, netlink.LinkDel)
	s.part.Refresh()
	s.eventually("the question is refused", func() bool {
		ask()
		return s.part.Stats().Unasked > 0
	})
	s.cable()
	s.part.Refresh()
	was := s.part.Stats().Seen
	s.eventually("the neighbour is seen again", func() bool {
		ask()
		return s.part.Stats().Seen > was
	})
}

func TestDefaultGatewaysOfInterfacesAreKnown(t *testing.T) {
	s := newStreet(t)
	known := make(chan node.Links, 100)
	s.at(s.ns, func(l netlink.Link) error { return netlink.AddrAdd(l, ip("10.0.0.8/24")) })
	for _, args := range [][]string{
		{"-4", "route", "add", "default", "via", "10.0.0.1", "dev", "lan0"},
		{"-6", "route", "add", "default", "via", "fe80::1", "dev", "lan0", "metric", "1"},
		{"-4", "route", "add", "default", "via", "10.0.0.2", "dev", "lan0", "metric", "5", "proto", "118"}, // ours, and no reference
		{"-4", "address", "add", "10.1.0.8/24", "dev", "eth0"},
		{"-4", "route", "add", "default", "metric", "7", "nexthop", "via", "10.1.0.1", "dev", "eth0", "nexthop", "via", "10.0.0.3", "dev", "lan0"},
		{"-4", "route", "add", "192.0.2.0/28", "via", "10.1.0.9", "dev", "eth0"}, // is no default route
	} {
		if out, err := s.ns.Output("ip", args...); err != nil {
			s.Fatalf("ip %q: %v, %s", args, err, out)
		}
	}
	s.start(NewLinks(LinkOptions{Logger: quiet(), Changed: func(l node.Links) { known <- l }, Drift: func() {}}).Run)
	want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1")}
	for end := time.After(patience); ; {
		select {
		case l := <-known:
			if slices.Equal(l["lan0"].Gateways, want) && len(l["eth0"].Gateways) == 0 {
				return
			}
			t.Logf("gateways %v and %v", l["lan0"].Gateways, l["eth0"].Gateways)
		case <-end:
			t.Fatalf("not within %v: the gateways %v of lan0 and none of eth0", patience, want)
		}
	}
}
