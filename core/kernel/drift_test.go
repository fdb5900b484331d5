package kernel

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// watched is a host with an applier and the monitor, joined as the engine does.
func watched(t *testing.T) (h *host, a *Addresses, reports chan node.Applied) {
	h = newHost(t)
	a, reports, _ = h.addresses()
	known := make(chan node.Links, 1000)
	h.start(NewLinks(LinkOptions{Logger: quiet(), Changed: func(l node.Links) { known <- l }, Drift: a.Drift}).Run)
	<-known
	return h, a, reports
}

// repaired waits for the report that an address was put back.
func repaired(t *testing.T, reports chan node.Applied, k desired.AddressKey) {
	t.Helper()
	for end := time.After(patience); ; {
		select {
		case r := <-reports:
			if slices.Contains(r.Repaired, k) {
				return
			}
		case <-end:
			t.Fatalf("%v was not reported as repaired", k)
		}
	}
}

// A network manager that takes over an interface flushes it, and with it our addresses and those of the host.
func TestVIPsThatAreFlushedArePutBack(t *testing.T) {
	h, a, reports := watched(t)
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip("192.0.2.1/24")) })
	one, two := leased("eth0", "192.0.2.100/32", time.Minute), leased("eth0", "192.0.2.101/24", time.Minute)
	h.wish(a, one, two)
	for range 5 {
		if _, err := h.ns.Output("ip", "address", "flush", "dev", "eth0"); err != nil {
			t.Fatal(err)
		}
		h.eventually("both VIPs are back", func() bool {
			_, first := h.find("192.0.2.100/32")
			_, second := h.find("192.0.2.101/24")
			return first && second
		})
	}
	repaired(t, reports, one.AddressKey)
}

// An interface of a VIP that is not the instance's own: nobody else waits for it to come back.
func TestVIPComesBackWithItsInterface(t *testing.T) {
	h, a, reports := watched(t)
	vip := leased("eth0", "192.0.2.100/32", time.Minute)
	h.wish(a, vip)
	h.change(netlink.LinkDel)
	h.eventually("the VIP cannot be held", func() bool {
		select {
		case r := <-reports:
			return r.Failed[vip.AddressKey] != ""
		default:
			return false
		}
	})
	h.plug()
	h.eventually("the VIP is back", func() bool { _, ok := h.find("192.0.2.100/32"); return ok })
}

func TestVIPComesBackWhenItsInterfaceHasItsNameAgain(t *testing.T) {
	h, a, _ := watched(t)
	h.wish(a, leased("eth0", "192.0.2.100/32", time.Minute))
	rename := func(from, to string) {
		t.Helper()
		h.do(func() error {
			l, err := netlink.LinkByName(from)
			if err != nil {
				return err
			}
			return errors.Join(netlink.LinkSetDown(l), netlink.LinkSetName(l, to), netlink.LinkSetUp(l))
		})
	}
	rename("eth0", "lan0")
	h.eventually("the interface of another name holds no VIP", func() bool { _, ok := h.find("192.0.2.100/32"); return !ok })
	rename("lan0", "eth0")
	h.eventually("the VIP is back", func() bool { _, ok := h.find("192.0.2.100/32"); return ok })
}

// Without promote_secondaries the kernel removes the other addresses of the subnet with the primary one.
func TestVIPThatIsTheFirstOfItsSubnetTakesNoOtherAlong(t *testing.T) {
	h := newHost(t)
	if err := h.ns.Sysctl("ipv4/conf/eth0/promote_secondaries", "0"); err != nil {
		t.Fatal(err)
	}
	a, reports, _ := h.addresses()
	first, second := leased("eth0", "192.0.2.100/24", time.Minute), leased("eth0", "192.0.2.101/24", time.Minute)
	h.wish(a, first)
	h.wish(a, first, second)
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip("192.0.2.1/24")) })
	for len(reports) > 0 {
		<-reports
	}
	h.wish(a, second)
	for _, p := range []string{"192.0.2.101/24", "192.0.2.1/24"} {
		if _, ok := h.find(p); !ok {
			t.Errorf("%s has gone with the VIP", p)
		}
	}
	if _, ok := h.find("192.0.2.100/24"); ok {
		t.Error("the VIP is still there")
	}
	if r := <-reports; len(r.Repaired) > 0 {
		t.Errorf("reported %+v, want nothing that had to be repaired", r)
	}
}

func TestVIPsAloneDoNotTouchTheParametersOfTheInterface(t *testing.T) {
	h := newHost(t)
	if err := h.ns.Sysctl("ipv4/conf/eth0/promote_secondaries", "0"); err != nil {
		t.Fatal(err)
	}
	a, _, _ := h.addresses()
	h.wish(a, leased("eth0", "192.0.2.100/32", time.Minute)) // no subnet, so nothing to take along
	h.parameters(map[string]string{"ipv4/conf/eth0/promote_secondaries": "0"})
}

// Address, label and scope of an interface that is not the instance's own, announced there with its hardware address.
func TestVIPOnAnotherInterfaceIsHeldAndAnnouncedThere(t *testing.T) {
	h := newHost(t)
	h.do(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan0"}, PeerName: "lan1"}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		peer, err := netlink.LinkByName("lan1")
		return errors.Join(err, netlink.LinkSetUp(veth), netlink.LinkSetUp(peer))
	})
	h.eventually("lan0 has carrier", func() bool { return mustLink(h, "lan0").up() })
	cable := h.listenARP("lan1")
	a, _, _ := h.addresses()
	vip := leased("lan0", "192.0.2.100/32", time.Minute)
	vip.Label, vip.Scope = "lan0:web", "link"
	h.wishAll(a, desired.State{
		Addresses:     []desired.Address{vip},
		Announcements: []desired.Announcement{{AddressKey: vip.AddressKey, Epoch: 1, Garp: desired.Garp{Repeat: 1}}},
	})
	e, ok := h.find("192.0.2.100/32")
	if !ok || e.index != mustLink(h, "lan0").index || e.label != "lan0:web" || e.scope != 253 || e.valid == 0 {
		t.Errorf("it is held as %+v, %v", e, ok)
	}
	p := nextARP(t, cable)
	if p.SenderIP != addrOf("192.0.2.100") || !slices.Equal(p.SenderHardwareAddr, net.HardwareAddr(mustLink(h, "lan0").mac)) || p.Operation != arp.OperationRequest {
		t.Errorf("announced was %+v", p)
	}
}
