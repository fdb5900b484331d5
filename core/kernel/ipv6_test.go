package kernel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// The frames of testdata/announce.json were captured from keepalived.
func TestAnnouncementsAreThoseOfKeepalived(t *testing.T) {
	b, err := os.ReadFile("testdata/announce.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name  string `json:"name"`
			Frame string `json:"frame_hex"`
		}
	}
	if err := json.Unmarshal(b, &file); err != nil || len(file.Vectors) != 3 {
		t.Fatalf("%d vectors, %v; want 3", len(file.Vectors), err)
	}
	physical := net.HardwareAddr{2, 0, 0, 0, 0, 0xa}
	from := map[string]struct {
		mac net.HardwareAddr
		vip string
	}{
		"garp-phys-mac":     {physical, "192.0.2.100"},
		"garp-vmac":         {net.HardwareAddr{0, 0, 0x5e, 0, 1, 0x33}, "192.0.2.100"},
		"unsolicited-na-ka": {physical, "fe80::100"},
	}
	for _, v := range file.Vectors {
		c := from[v.Name]
		both, err := announcements(link{mac: c.mac}, netip.MustParseAddr(c.vip))
		frame := both[0]
		want, _ := hex.DecodeString(v.Frame)
		if err != nil || !bytes.Equal(bytes.TrimRight(frame[len(want):], "\x00"), nil) || !bytes.Equal(frame[:len(want)], want) {
			t.Errorf("%s: announcements begin with %x, %v, want %x", v.Name, frame, err, want)
		}
	}
}

func TestAForwardingHostSaysThatItIsARouter(t *testing.T) {
	vip := netip.MustParseAddr("2001:db8::100")
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	host, err := unsolicited(mac, vip, false)
	router, err2 := unsolicited(mac, vip, true)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	const flags = 14 + 40 + 4 // Ethernet, IPv6, and the first word of ICMPv6
	if host[flags] != 0x20 || router[flags] != 0xa0 {
		t.Errorf("flags %#x and %#x, want override alone and with router", host[flags], router[flags])
	}
}

func TestNeighbourAdvertisementOnTheCable(t *testing.T) {
	h := newHost(t)
	h.ipv6("on")
	var listener *packet.Conn
	h.do(func() error {
		eth1, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		listener, err = packet.Listen(eth1, packet.Raw, unix.ETH_P_IPV6, nil)
		return err
	})
	defer listener.Close()
	if err := listener.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := h.ns.Sysctl("ipv6/conf/eth0/forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	a, _, _ := h.addresses()
	k := key("eth0", "2001:db8::100/128")
	a.Set(&desired.State{Addresses: []desired.Address{{AddressKey: k}}, Announcements: []desired.Announcement{{AddressKey: k, Epoch: 1, Garp: desired.Garp{Repeat: 5}}}})
	l, err := h.table.link("eth0")
	if err != nil {
		t.Fatal(err)
	}
	want, err := unsolicited(l.mac, k.Prefix.Addr(), true)
	if err != nil {
		t.Fatal(err)
	}
	for found := 0; found < 5; { // the kernel has things to say too
		b := make([]byte, 2000)
		n, _, err := listener.ReadFrom(b)
		if err != nil {
			t.Fatalf("%d of 5 were on the cable: %v", found, err)
		}
		if bytes.Equal(b[:n], want) {
			found++
		}
	}
}

func TestIPv6AddressIsUsableAtOnceAndNeverASource(t *testing.T) {
	h := newHost(t)
	h.ipv6("on")
	a, _, _ := h.addresses()
	h.wish(a, leased("eth0", "2001:db8::100/64", time.Minute))
	h.change(func(l netlink.Link) error {
		list, err := netlink.AddrList(l, netlink.FAMILY_V6)
		for _, one := range list {
			if one.IP.Equal(net.ParseIP("2001:db8::100")) && (one.Flags&unix.IFA_F_TENTATIVE != 0 || one.Flags&unix.IFA_F_DEPRECATED == 0) {
				t.Errorf("its flags are %#x, want deprecated and not tentative", one.Flags)
			}
		}
		return err
	})
	if e, ok := h.find("2001:db8::100/64"); !ok || e.valid < 58*time.Second || e.unusable {
		t.Errorf("the kernel holds %+v, %v", e, ok)
	}
}

func TestKernelRemovesIPv6AddressThatNobodyRenews(t *testing.T) {
	h := newHost(t)
	h.ipv6("on")
	a, _, stop := h.addresses()
	h.wish(a, leased("eth0", "2001:db8::100/128", time.Minute))
	if _, ok := h.find("2001:db8::100/128"); !ok {
		t.Fatal("the address is not there")
	}
	h.wish(a, leased("eth0", "2001:db8::100/128", time.Second)) // a renewal may shorten it
	stop()
	h.eventually("the kernel has removed the address", func() bool { _, ok := h.find("2001:db8::100/128"); return !ok })
}

// A source that is not known to be unique cannot be used yet.
func TestMonitorTellsOfIPv6AddressesThatCanBeUsed(t *testing.T) {
	h := newHost(t)
	h.ipv6("on")
	for _, s := range [][2]string{{"accept_dad", "1"}, {"dad_transmits", "1"}} {
		if err := h.ns.Sysctl("ipv6/conf/eth0/"+s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	known := make(chan node.Links, 100)
	h.start(NewLinks(LinkOptions{Logger: quiet(), Changed: func(l node.Links) { known <- l }, Drift: func() {}}).Run)
	slow := netip.MustParsePrefix("2001:db8::9/64")
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip(slow.String())) })
	for end := time.After(patience); ; {
		select {
		case l := <-known:
			e, ok := h.find(slow.String())
			if told := slices.Contains(l["eth0"].Addresses, slow); told && ok && e.unusable {
				t.Fatal("it was told while the kernel was still looking for duplicates")
			} else if told {
				return
			}
		case <-end:
			t.Fatal("the address was never told")
		}
	}
}

// What comes between the announcement and the route would be lost, so the route comes first.
func TestIPv6AddressTakesPacketsInWhenItIsAnnounced(t *testing.T) {
	h := newHost(t)
	h.ipv6("on")
	h.change(func(l netlink.Link) error {
		a := ip("2001:db8::9/64")
		a.Flags = unix.IFA_F_NODAD
		return netlink.AddrAdd(l, a)
	})
	l, err := h.table.link("eth0")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 14: 1, 15: byte(n)}), 128)
		e := entry{index: l.index, prefix: p, mark: mark}
		if err := errors.Join(h.table.replace([]entry{e})...); err != nil {
			t.Fatal(err)
		}
		h.table.settle(e, patience)
		h.do(func() error {
			routes, err := netlink.RouteGet(p.Addr().AsSlice())
			if err == nil && (len(routes) != 1 || routes[0].Type != unix.RTN_LOCAL) {
				t.Errorf("the route to %v is %v, want a local one", p.Addr(), routes)
			}
			return err
		})
	}
}
