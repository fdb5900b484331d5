package kernel

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/tests/lab/netns"
)

// patience bounds each wait for something that must come.
const patience = 10 * time.Second

// host is a network namespace of the kernel that the tests run on, with an interface eth0 whose other end is eth1.
type host struct {
	*testing.T
	ns    *netns.NS
	table *rtnl
}

func newHost(t *testing.T) *host {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("this test needs root: %v", err)
	}
	h := &host{T: t, ns: ns}
	h.do(func() (err error) { h.table, err = dialRoute(); return err })
	t.Cleanup(func() {
		h.table.close()
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	h.ipv6("off") // its own addresses come by themselves, which is a change too
	h.plug()
	for _, name := range []string{"eth0", "eth1"} {
		h.eventually(name+" has carrier", func() bool { l, err := h.table.link(name); return err == nil && l.up() })
	}
	return h
}

func (h *host) do(f func() error) {
	h.Helper()
	if err := h.ns.Do(f); err != nil {
		h.Fatal(err)
	}
}

func (h *host) ipv6(state string) {
	h.Helper()
	disable := map[string]string{"on": "0", "off": "1"}[state]
	for _, which := range []string{"all", "default"} {
		if err := h.ns.Sysctl("ipv6/conf/"+which+"/disable_ipv6", disable); err != nil {
			h.Fatal(err)
		}
	}
}

func (h *host) plug() {
	h.Helper()
	h.do(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		peer, err := netlink.LinkByName("eth1")
		return errors.Join(err, netlink.LinkSetUp(veth), netlink.LinkSetUp(peer))
	})
}

// change does something to eth0.
func (h *host) change(f func(netlink.Link) error) {
	h.Helper()
	h.do(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return f(l)
	})
}

func ip(prefix string) *netlink.Addr {
	a, err := netlink.ParseAddr(prefix)
	if err != nil {
		panic(err)
	}
	return a
}

// start runs f in the namespace until the test ends.
func (h *host) start(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.ns.Do(func() error { return f(ctx) }) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.Error(err)
		}
	})
	h.Cleanup(stop)
	return stop
}

func (h *host) eventually(what string, ok func() bool) {
	h.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// find is the IPv4 address of an interface that the kernel holds.
func (h *host) find(prefix string) (entry, bool) {
	h.Helper()
	all, err := h.table.list()
	if err != nil {
		h.Fatal(err)
	}
	i := slices.IndexFunc(all, func(e entry) bool { return e.prefix == netip.MustParsePrefix(prefix) })
	if i < 0 {
		return entry{}, false
	}
	return all[i], true
}

// addresses runs an applier, and gives its reports.
func (h *host) addresses() (a *Addresses, reports chan node.Applied, stop func()) {
	h.Helper()
	reports = make(chan node.Applied, 100)
	h.do(func() (err error) {
		a, err = NewAddresses(AddressOptions{Logger: quiet(), Report: func(r node.Applied) { reports <- r }})
		return err
	})
	return a, reports, h.start(a.Run)
}

func (h *host) wish(a *Addresses, want ...desired.Address) {
	h.Helper()
	for i := range want {
		want[i].Renewed = time.Now()
	}
	a.Set(&desired.State{Addresses: want})
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := a.Wait(ctx); err != nil {
		h.Fatal(err)
	}
}

func TestKernelHoldsAddressAsWished(t *testing.T) {
	h := newHost(t)
	h.ipv6("on")
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip("10.0.0.9/24")) })
	a, _, _ := h.addresses()
	want := leased("eth0", "10.0.0.1/32", time.Minute)
	want.Label, want.Scope = "eth0:vip", "link"
	six := address("eth0", "2001:db8::1/128")
	h.wish(a, want, six)
	e, ok := h.find("10.0.0.1/32")
	if !ok || e.label != "eth0:vip" || e.scope != unix.RT_SCOPE_LINK || e.mark != mark || e.valid < 58*time.Second || e.valid > time.Minute {
		t.Errorf("the kernel holds %+v, %v", e, ok)
	}
	if e, ok := h.find("2001:db8::1/128"); !ok || e.mark != mark || e.valid != 0 || e.unusable {
		t.Errorf("the kernel holds %+v, %v", e, ok)
	}
	want.Label, want.Scope, want.Lease = "", "", 0
	h.wish(a, want)
	if e, ok := h.find("10.0.0.1/32"); !ok || e.label != "eth0" || e.scope != unix.RT_SCOPE_UNIVERSE || e.valid != 0 {
		t.Errorf("after the change the kernel holds %+v, %v", e, ok)
	}
	if _, ok := h.find("2001:db8::1/128"); ok {
		t.Error("what is no longer wished is still held")
	}
	h.wish(a)
	if e, ok := h.find("10.0.0.9/24"); !ok {
		t.Errorf("the address of the host itself was removed: %+v", e)
	}
}

func TestKernelRemovesAddressThatNobodyRenews(t *testing.T) {
	h := newHost(t)
	a, _, stop := h.addresses()
	h.wish(a, leased("eth0", "10.0.0.1/32", time.Second))
	stop() // as if it had been killed: the wish stays in force
	if _, ok := h.find("10.0.0.1/32"); !ok {
		t.Fatal("the address is gone already")
	}
	h.eventually("the kernel has removed the address", func() bool { _, ok := h.find("10.0.0.1/32"); return !ok })
}

func TestKernelKeepsAddressThatIsRenewed(t *testing.T) {
	h := newHost(t)
	a, reports, _ := h.addresses()
	for range 8 {
		h.wish(a, leased("eth0", "10.0.0.1/32", time.Second))
		time.Sleep(250 * time.Millisecond)
		if _, ok := h.find("10.0.0.1/32"); !ok {
			t.Fatal("the address is gone")
		}
	}
	if len(reports) != 1 {
		t.Errorf("%d reports, want one of the addition", len(reports))
	}
}

func TestKernelLeavesToTheNextRunWhatItAdopts(t *testing.T) {
	h := newHost(t)
	a, _, stop := h.addresses()
	h.wish(a, leased("eth0", "10.0.0.1/32", time.Minute), address("eth0", "10.0.0.2/32"))
	stop()
	b, _, _ := h.addresses()
	held, ages, err := b.Held()
	for k, age := range ages {
		if age > 30*time.Second {
			t.Errorf("the age of %v is %v", k, age)
		}
	}
	if want := []desired.AddressKey{key("eth0", "10.0.0.1/32"), key("eth0", "10.0.0.2/32")}; err != nil || !slices.Equal(held, want) {
		t.Errorf("Held = %v, %v, want %v", held, err, want)
	}
	h.wish(b, leased("eth0", "10.0.0.1/32", 30*time.Second))
	if e, ok := h.find("10.0.0.1/32"); !ok || e.valid > 30*time.Second {
		t.Errorf("the adopted address is %+v, %v", e, ok)
	}
	if _, ok := h.find("10.0.0.2/32"); ok {
		t.Error("what was not adopted is still held")
	}
}

func TestKernelSaysWhyAnAddressIsRefused(t *testing.T) {
	h := newHost(t)
	a, reports, _ := h.addresses()
	long := address("eth0", "10.0.0.1/32")
	long.Label = "eth0:longer-than-the-kernel-takes"
	h.wish(a, address("eth9", "10.0.0.1/32"), long)
	r := <-reports
	for k, want := range map[desired.AddressKey]string{
		key("eth9", "10.0.0.1/32"): "add 10.0.0.1/32 to eth9: find interface eth9: no such device",
		key("eth0", "10.0.0.1/32"): "add 10.0.0.1/32 to eth0: numerical result out of range: Attribute failed policy validation",
	} {
		if r.Failed[k] != want {
			t.Errorf("%v failed with %q, want %q", k, r.Failed[k], want)
		}
	}
}

// TestDriftIsRepairedThroughTheMonitor joins both halves as the engine does.
func TestDriftIsRepairedThroughTheMonitor(t *testing.T) {
	h := newHost(t)
	a, reports, _ := h.addresses()
	known := make(chan node.Links, 100)
	h.start(NewLinks(LinkOptions{Logger: quiet(), Changed: func(l node.Links) { known <- l }, Drift: a.Drift}).Run)
	<-known
	h.wish(a, leased("eth0", "10.0.0.1/32", time.Minute))
	<-reports
	h.change(func(l netlink.Link) error { return netlink.AddrDel(l, ip("10.0.0.1/32")) })
	select {
	case r := <-reports:
		if !slices.Equal(r.Repaired, []desired.AddressKey{key("eth0", "10.0.0.1/32")}) {
			t.Errorf("reported %+v", r)
		}
	case <-time.After(patience):
		t.Fatal("the removal was not noticed")
	}
	if e, ok := h.find("10.0.0.1/32"); !ok || e.valid == 0 {
		t.Errorf("the kernel holds %+v, %v", e, ok)
	}
}

func TestAnnouncementOnTheCable(t *testing.T) {
	h := newHost(t)
	var listener *packet.Conn
	h.do(func() error {
		eth1, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		listener, err = packet.Listen(eth1, packet.Raw, unix.ETH_P_ARP, nil)
		return err
	})
	defer listener.Close()
	if err := listener.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	a, _, _ := h.addresses()
	k := key("eth0", "192.0.2.100/32")
	a.Set(&desired.State{Addresses: []desired.Address{{AddressKey: k}}, Announcements: []desired.Announcement{{AddressKey: k, Epoch: 1, Garp: desired.Garp{Repeat: 5}}}})
	l, err := h.table.link("eth0")
	if err != nil {
		t.Fatal(err)
	}
	want, err := announcements(l, k.Prefix.Addr()) // requests and answers in turn
	if err != nil {
		t.Fatal(err)
	}
	if op := want[1][21]; op != byte(arp.OperationReply) {
		t.Errorf("the second form has operation %d, want an answer", op)
	}
	for n := range 5 {
		b := make([]byte, 100)
		length, _, err := listener.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b[:length], want[n%2]) {
			t.Errorf("on the cable was %x, want %x", b[:length], want[n%2])
		}
	}
}

func TestMonitorTellsOfInterfaces(t *testing.T) {
	h := newHost(t)
	h.change(func(l netlink.Link) error {
		return errors.Join(netlink.AddrAdd(l, ip("10.0.0.9/24")), netlink.AddrAdd(l, ip("10.0.0.8/24")))
	})
	states := make(chan node.Links, 100)
	drifts := make(chan struct{}, 1000)
	h.start(NewLinks(LinkOptions{
		Logger: quiet(), Changed: func(l node.Links) { states <- l }, Drift: func() { drifts <- struct{}{} },
	}).Run)
	await := func(what string, ok func(node.Link, bool) bool) {
		t.Helper()
		for end := time.After(patience); ; {
			select {
			case l := <-states:
				if eth0, there := l["eth0"]; ok(eth0, there) {
					return
				}
			case <-end:
				t.Fatalf("not told within %v: %s", patience, what)
			}
		}
	}
	both := []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24"), netip.MustParsePrefix("10.0.0.8/24")}
	await("the state at the start", func(l node.Link, ok bool) bool { return ok && l.Up && l.Index > 0 && slices.Equal(l.Addresses, both) })

	drain := func() (n int) {
		for ; len(drifts) > 0; n++ {
			<-drifts
		}
		return n
	}
	drain()
	a, _, _ := h.addresses()
	h.wish(a, leased("eth0", "10.0.0.1/24", time.Minute))
	h.wish(a, leased("eth0", "10.0.0.1/24", time.Minute))
	h.change(func(l netlink.Link) error { return netlink.AddrDel(l, ip("10.0.0.8/24")) })
	await("an address is gone, and a VIP is none of the host's", func(l node.Link, _ bool) bool { return slices.Equal(l.Addresses, both[:1]) })
	if n := drain(); n != 1 {
		t.Errorf("%d looks at the addresses were asked for, want 1: our own additions and renewals ask for none", n)
	}

	h.change(netlink.LinkSetDown)
	await("eth0 is down", func(l node.Link, ok bool) bool { return ok && !l.Up })
	h.change(netlink.LinkSetUp)
	await("eth0 is up", func(l node.Link, ok bool) bool { return ok && l.Up })
	h.do(func() error {
		l, err := netlink.LinkByName("eth1")
		return errors.Join(err, netlink.LinkSetDown(l))
	})
	await("the carrier is lost", func(l node.Link, ok bool) bool { return ok && !l.Up })
	drain()
	h.change(netlink.LinkDel)
	await("eth0 is gone", func(_ node.Link, ok bool) bool { return !ok })
	if drain() == 0 {
		t.Error("nobody was told to look at the addresses")
	}
}

// TestMonitorSurvivesLostNotifications lets a small buffer overflow while the reader is held up.
func TestMonitorSurvivesLostNotifications(t *testing.T) {
	h := newHost(t)
	states := make(chan node.Links, 1000)
	hold := make(chan struct{}, 1) // full while the reader is held up
	l := NewLinks(LinkOptions{
		Logger: quiet(), Changed: func(l node.Links) { states <- l },
		Drift: func() { hold <- struct{}{}; <-hold },
	})
	l.buffer = 2048
	h.start(l.Run)
	<-states
	add := func(i int) {
		h.change(func(l netlink.Link) error {
			return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 0, 1, byte(i)), Mask: net.CIDRMask(32, 32)}})
		})
	}
	hold <- struct{}{}
	for i := range 100 {
		add(i)
	}
	<-hold
	h.eventually("it is noticed that something was lost", func() bool { return l.Lost() > 0 })
	add(100)
	for end := time.After(patience); ; {
		select {
		case s := <-states:
			if len(s["eth0"].Addresses) == 101 {
				return
			}
		case <-end:
			t.Fatal("the last state was not told")
		}
	}
}
