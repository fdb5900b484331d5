package kernel

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
	"github.com/vipward/vipward/tests/lab/netns"
)

func vmac(name string, vrid uint8, up bool) desired.VMAC {
	return desired.VMAC{Name: name, Parent: "eth0", MAC: vrrp.VirtualMAC(vrid, strings.HasPrefix(name, "vrrp6")), Up: up}
}

// wishAll sets a whole wish, whose leases are confirmed now, and waits until it was tried.
func (h *host) wishAll(a *Addresses, s desired.State) {
	h.Helper()
	for i := range s.Addresses {
		s.Addresses[i].Renewed = time.Now()
	}
	a.Set(&s)
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := a.Wait(ctx); err != nil {
		h.Fatal(err)
	}
}

// link finds an interface of the host.
func (h *host) link(name string) (link, bool) {
	h.Helper()
	l, err := h.table.link(name)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		h.Fatal(err)
	}
	return l, err == nil
}

// parameter reads one below /proc/sys/net.
func (h *host) parameter(path string) (text string) {
	h.Helper()
	h.do(func() error {
		b, err := os.ReadFile(filepath.Join("/proc/sys/net", path))
		text = strings.TrimSpace(string(b))
		return err
	})
	return text
}

func (h *host) parameters(want map[string]string) {
	h.Helper()
	for path, value := range want {
		if got := h.parameter(path); got != value {
			h.Errorf("%s = %s, want %s", path, got, value)
		}
	}
}

// untouched are the parameters of an interface without virtual ones.
var untouched = map[string]string{"ipv4/conf/eth0/arp_ignore": "0", "ipv4/conf/eth0/arp_announce": "0"}

func TestVirtualMACIsThereAsLongAsItIsWishedAndUpWhileMaster(t *testing.T) {
	h := newHost(t)
	h.ipv6("on")
	a, _, _ := h.addresses()
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{vmac("vrrp.51", 51, false)}})
	l, ok := h.link("vrrp.51")
	if !ok || l.mac.String() != "00:00:5e:00:01:33" || l.raised() {
		t.Errorf("before this node is master the interface is %+v, %v; want it with its address, and down", l, ok)
	}
	h.parameters(map[string]string{
		"ipv4/conf/eth0/arp_ignore": "1", "ipv4/conf/eth0/arp_announce": "2",
		"ipv4/conf/vrrp.51/arp_ignore": "1", "ipv4/conf/vrrp.51/arp_announce": "2", "ipv4/conf/vrrp.51/rp_filter": "0",
		"ipv4/conf/vrrp.51/promote_secondaries": "1",
		"ipv6/conf/vrrp.51/addr_gen_mode":       "1", "ipv6/conf/vrrp.51/accept_ra": "0",
	})
	vip, six := leased("vrrp.51", "192.0.2.100/24", time.Minute), leased("vrrp.51", "2001:db8::100/128", time.Minute)
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{vmac("vrrp.51", 51, true)}, Addresses: []desired.Address{vip, six}})
	if l, _ := h.link("vrrp.51"); !l.raised() {
		t.Error("the interface is down while this node is master")
	}
	for _, p := range []string{"192.0.2.100/24", "2001:db8::100/128"} {
		if e, ok := h.find(p); !ok || e.index != mustLink(h, "vrrp.51").index || e.valid == 0 || e.unusable {
			t.Errorf("%s is held as %+v, %v; want it on vrrp.51 with a lease", p, e, ok)
		}
	}
	h.only("vrrp.51", 2)
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{vmac("vrrp.51", 51, false)}})
	if l, ok := h.link("vrrp.51"); !ok || l.raised() {
		t.Errorf("after it was master the interface is %+v, %v; want it down", l, ok)
	}
	if e, ok := h.find("192.0.2.100/24"); ok {
		t.Errorf("%+v is still held", e)
	}
	h.wishAll(a, desired.State{})
	if l, ok := h.link("vrrp.51"); ok {
		t.Errorf("%+v was not removed", l)
	}
	h.parameters(untouched)
}

func mustLink(h *host, name string) link {
	h.Helper()
	l, ok := h.link(name)
	if !ok {
		h.Fatalf("there is no interface %s", name)
	}
	return l
}

// only checks how many addresses an interface has: the kernel must have given it none.
func (h *host) only(name string, want int) {
	h.Helper()
	all, err := h.table.list()
	if err != nil {
		h.Fatal(err)
	}
	got := 0
	for _, e := range all {
		if e.index == mustLink(h, name).index {
			got++
		}
	}
	if got != want {
		h.Errorf("%s has %d addresses, want %d: %+v", name, got, want, all)
	}
}

func TestTwoVirtualMACsShareTheSettingsOfTheirParent(t *testing.T) {
	h := newHost(t)
	if err := h.ns.Sysctl("ipv4/conf/eth0/arp_announce", "1"); err != nil {
		t.Fatal(err)
	}
	a, _, _ := h.addresses()
	one, two := vmac("vrrp.51", 51, false), vmac("vrrp.52", 52, true)
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{one, two}})
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{two}})
	if _, ok := h.link("vrrp.51"); ok {
		t.Error("vrrp.51 was not removed")
	}
	h.parameters(map[string]string{"ipv4/conf/eth0/arp_ignore": "1", "ipv4/conf/eth0/arp_announce": "2"})
	h.wishAll(a, desired.State{})
	h.parameters(map[string]string{"ipv4/conf/eth0/arp_ignore": "0", "ipv4/conf/eth0/arp_announce": "1"})
}

func TestVirtualMACOfAFormerRunIsAdoptedOrRemoved(t *testing.T) {
	h := newHost(t)
	a, _, stop := h.addresses()
	both := []desired.VMAC{vmac("vrrp.51", 51, true), vmac("vrrp.52", 52, true)}
	h.wishAll(a, desired.State{VMACs: both, Addresses: []desired.Address{leased("vrrp.51", "192.0.2.100/24", time.Minute)}})
	before := mustLink(h, "vrrp.51").index
	stop() // as if it had been killed
	b, _, _ := h.addresses()
	held, _, err := b.Held()
	if err != nil || len(held) != 1 || held[0] != key("vrrp.51", "192.0.2.100/24") {
		t.Errorf("Held = %v, %v, want the VIP on vrrp.51", held, err)
	}
	h.wishAll(b, desired.State{VMACs: both[:1], Addresses: []desired.Address{leased("vrrp.51", "192.0.2.100/24", time.Minute)}})
	if after := mustLink(h, "vrrp.51").index; after != before {
		t.Errorf("the interface was made anew: number %d, want %d", after, before)
	}
	if _, ok := h.link("vrrp.52"); ok {
		t.Error("vrrp.52, which nobody wishes for any more, was not removed")
	}
	h.wishAll(b, desired.State{})
	h.parameters(untouched)
}

func TestVirtualMACThatSomebodyChangesIsPutRight(t *testing.T) {
	h := newHost(t)
	a, reports, _ := h.addresses()
	known := make(chan node.Links, 100)
	h.start(NewLinks(LinkOptions{Logger: quiet(), Changed: func(l node.Links) { known <- l }, Drift: a.Drift}).Run)
	<-known
	vip := leased("vrrp.51", "192.0.2.100/24", time.Minute)
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{vmac("vrrp.51", 51, true)}, Addresses: []desired.Address{vip}})
	<-reports
	by := func(f func(netlink.Link) error) {
		t.Helper()
		h.do(func() error {
			l, err := netlink.LinkByName("vrrp.51")
			if err != nil {
				return err
			}
			return f(l)
		})
	}
	by(netlink.LinkSetDown)
	h.eventually("it is up again", func() bool { l, ok := h.link("vrrp.51"); return ok && l.raised() })
	before := mustLink(h, "vrrp.51").index
	by(netlink.LinkDel)
	h.eventually("it is back with its VIP", func() bool {
		l, ok := h.link("vrrp.51")
		e, held := h.find("192.0.2.100/24")
		return ok && l.raised() && l.index != before && held && e.index == l.index
	})
	r := <-reports
	if len(r.Repaired) != 1 || len(r.Failed) != 0 {
		t.Errorf("reported %+v, want the VIP as repaired", r)
	}
}

// The parent takes its virtual interface along when it goes.
func TestVirtualMACComesBackWithItsParent(t *testing.T) {
	h := newHost(t)
	a, _, _ := h.addresses()
	h.start(NewLinks(LinkOptions{Logger: quiet(), Changed: func(node.Links) {}, Drift: a.Drift}).Run)
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{vmac("vrrp.51", 51, false)}})
	h.change(netlink.LinkDel)
	h.eventually("it is gone", func() bool { _, ok := h.link("vrrp.51"); return !ok })
	h.plug()
	h.eventually("it is back", func() bool { _, ok := h.link("vrrp.51"); return ok })
}

func TestInterfaceOfSomebodyElseIsLeftAlone(t *testing.T) {
	h := newHost(t)
	h.do(func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "vrrp.51"}, PeerName: "its-peer"})
	})
	before := mustLink(h, "vrrp.51").index
	a, reports, _ := h.addresses()
	vip := leased("vrrp.51", "192.0.2.100/24", time.Minute)
	h.wishAll(a, desired.State{VMACs: []desired.VMAC{vmac("vrrp.51", 51, true)}, Addresses: []desired.Address{vip}})
	want := "add 192.0.2.100/24 to vrrp.51: make the interface vrrp.51 of 00:00:5e:00:01:33 on eth0: " + errForeign.Error()
	if r := <-reports; r.Failed[vip.AddressKey] != want {
		t.Errorf("reported %q, want %q", r.Failed[vip.AddressKey], want)
	}
	h.wishAll(a, desired.State{})
	if l, ok := h.link("vrrp.51"); !ok || l.index != before || l.raised() {
		t.Errorf("it is %+v, %v now", l, ok)
	}
}

// neighbour is the other end of the host's cable, in a namespace of its own, with an address.
func (h *host) neighbour(address string) *host {
	h.Helper()
	ns, err := netns.New()
	if err != nil {
		h.Fatal(err)
	}
	n := &host{T: h.T, ns: ns}
	n.do(func() (err error) { n.table, err = dialRoute(); return err })
	h.Cleanup(func() {
		n.table.close()
		if err := ns.Close(); err != nil {
			h.Error(err)
		}
	})
	h.do(func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		return netlink.LinkSetNsFd(l, ns.FD())
	})
	n.do(func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		return errors.Join(netlink.AddrAdd(l, ip(address)), netlink.LinkSetUp(l))
	})
	h.eventually("the cable is up", func() bool { return mustLink(n, "eth1").up() && mustLink(h, "eth0").up() })
	return n
}

// say sends a datagram from an address of the host; an empty one is the kernel's to choose.
func (h *host) say(from, to string) {
	h.Helper()
	h.do(func() error {
		var local *net.UDPAddr
		if from != "" {
			local = &net.UDPAddr{IP: net.ParseIP(from)}
		}
		c, err := net.DialUDP("udp4", local, &net.UDPAddr{IP: net.ParseIP(to), Port: 9})
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("x"))
		return errors.Join(err, c.Close())
	})
}

// knows is the hardware address that the host has for a neighbour; empty for none.
func (h *host) knows(who string) (mac string) {
	h.Helper()
	h.do(func() error {
		all, err := netlink.NeighList(0, unix.AF_INET)
		for _, n := range all {
			if n.IP.String() == who && n.State&(unix.NUD_REACHABLE|unix.NUD_STALE|unix.NUD_DELAY) != 0 {
				mac = n.HardwareAddr.String()
			}
		}
		return err
	})
	return mac
}

// TestNeighboursLearnTheVirtualMAC watches the cable: what is announced, what is answered, and what the host asks.
func TestNeighboursLearnTheVirtualMAC(t *testing.T) {
	for name, own := range map[string]string{"beside an address of the same network": "192.0.2.1/24", "without an address": ""} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			if own != "" {
				h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip(own)) })
			}
			n := h.neighbour("192.0.2.9/24")
			cable := n.listenARP("eth1")
			a, _, _ := h.addresses()
			vip := leased("vrrp.51", "192.0.2.100/24", time.Minute)
			h.wishAll(a, desired.State{
				VMACs: []desired.VMAC{vmac("vrrp.51", 51, true)}, Addresses: []desired.Address{vip},
				Announcements: []desired.Announcement{{AddressKey: vip.AddressKey, Epoch: 1, Garp: desired.Garp{Repeat: 1}}},
			})
			const virtual = "00:00:5e:00:01:33"
			if p := nextARP(t, cable); p.SenderIP.String() != "192.0.2.100" || p.SenderHardwareAddr.String() != virtual {
				t.Errorf("announced was %v at %v, want the VIP at %v", p.SenderIP, p.SenderHardwareAddr, virtual)
			}
			n.say("", "192.0.2.100")
			n.eventually("the neighbour knows the VIP at its virtual address", func() bool { return n.knows("192.0.2.100") == virtual })
			h.say("192.0.2.100", "192.0.2.77") // nobody, so the host asks and asks
			asked := false
			for !asked {
				p := nextARP(t, cable)
				asked = p.Operation == arp.OperationRequest && p.TargetIP.String() == "192.0.2.77"
				if p.SenderIP.String() == "192.0.2.100" && p.SenderHardwareAddr.String() != virtual {
					t.Errorf("%v is announced at %v, want %v", p.SenderIP, p.SenderHardwareAddr, virtual)
				}
			}
			if got := n.knows("192.0.2.100"); got != virtual {
				t.Errorf("after that the neighbour has the VIP at %q, want %q", got, virtual)
			}
		})
	}
}

// listenARP hears all ARP of an interface.
func (h *host) listenARP(name string) (c *packet.Conn) {
	h.Helper()
	h.do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		c, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ARP, nil)
		return err
	})
	h.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		h.Fatal(err)
	}
	return c
}

// nextARP is the next packet on the cable.
func nextARP(t *testing.T, c *packet.Conn) *arp.Packet {
	t.Helper()
	b := make([]byte, 100)
	n, _, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	p := &arp.Packet{}
	if err := p.UnmarshalBinary(b[14:n]); err != nil {
		t.Fatal(err)
	}
	return p
}
