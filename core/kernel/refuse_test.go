package kernel

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// refusals runs an applier in the namespace.
func (h *host) refusals() *Table[netip.Addr] {
	r := NewRefusals(TableOptions{Logger: quiet(), Report: func(why string) { h.Errorf("reported %q", why) }})
	h.start(r.Run)
	return r
}

func (h *host) refuse(r *Table[netip.Addr], addrs ...string) {
	h.Helper()
	var list []netip.Addr
	for _, a := range addrs {
		list = append(list, netip.MustParseAddr(a))
	}
	r.Set(list)
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := r.Wait(ctx); err != nil {
		h.Fatal(err)
	}
}

func (h *host) ruleset() string {
	h.Helper()
	var out []byte
	h.do(func() (err error) { out, err = exec.Command("nft", "list", "ruleset").CombinedOutput(); return err })
	return string(out)
}

// dualStack gives the host two addresses of each family that it reaches itself.
func (h *host) dualStack() {
	h.Helper()
	h.ipv6("on")
	for _, a := range []string{"10.0.0.1/32", "10.0.0.2/32", "2001:db8::1/128", "2001:db8::2/128"} {
		h.change(func(l netlink.Link) error {
			addr := ip(a)
			if addr.IP.To4() == nil {
				addr.Flags = unix.IFA_F_NODAD
			}
			return netlink.AddrAdd(l, addr)
		})
	}
	h.do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	h.eventually("the kernel, which takes its time with IPv6, has routes to its addresses", func() bool {
		var routes []netlink.Route
		h.do(func() (err error) {
			local := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}
			routes, err = netlink.RouteListFiltered(netlink.FAMILY_V6, local, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
			return err
		})
		n := 0
		for _, r := range routes {
			if strings.HasPrefix(r.Dst.String(), "2001:db8::") {
				n++
			}
		}
		return n == 2
	})
}

// reaches tells whether a datagram to an address of this host comes in.
func (h *host) reaches(addr string) bool {
	h.Helper()
	var arrived bool
	h.do(func() error {
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 0))
		l, err := net.ListenUDP("udp", to)
		if err != nil {
			return err
		}
		defer l.Close()
		c, err := net.DialUDP("udp", nil, l.LocalAddr().(*net.UDPAddr))
		if err != nil {
			return err
		}
		defer c.Close()
		_, _ = c.Write([]byte("x")) // one that is dropped does not arrive
		if err := l.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return err
		}
		_, err = l.Read(make([]byte, 1))
		arrived = err == nil
		return nil
	})
	return arrived
}

func TestPacketsToARefusedAddressAreDropped(t *testing.T) {
	h := newHost(t)
	h.dualStack()
	r := h.refusals()
	h.refuse(r)
	if s := h.ruleset(); s != "" {
		t.Errorf("without a refused address there is %s", s)
	}
	h.refuse(r, "10.0.0.1", "2001:db8::1")
	want := map[string]bool{"10.0.0.1": false, "2001:db8::1": false, "10.0.0.2": true, "2001:db8::2": true}
	for a, arrives := range want {
		if got := h.reaches(a); got != arrives {
			t.Errorf("a datagram to %s arrives: %v, want %v\n%s", a, got, arrives, h.ruleset())
		}
	}
	if s := h.ruleset(); !strings.Contains(s, "ip6 daddr 2001:db8::1") || !strings.Contains(s, "icmpv6 type") && !strings.Contains(s, "nd-neighbor-solicit") {
		t.Errorf("neighbour discovery does not pass:\n%s", s)
	}
	h.refuse(r, "10.0.0.2")
	if !h.reaches("10.0.0.1") || h.reaches("10.0.0.2") {
		t.Errorf("a new wish did not replace the old one:\n%s", h.ruleset())
	}
	h.refuse(r)
	if s := h.ruleset(); s != "" {
		t.Errorf("the last address left %s", s)
	}
}

func TestTheTableOfARunThatWasKilledGoes(t *testing.T) {
	h := newHost(t)
	r := h.refusals()
	h.do(func() error { return r.replace([]netip.Addr{netip.MustParseAddr("10.0.0.1")}) })
	h.refuse(r)
	if s := h.ruleset(); s != "" {
		t.Errorf("a run that refuses nothing left %s", s)
	}
}

func TestSomebodyElsesTableStays(t *testing.T) {
	h := newHost(t)
	h.do(func() error { return exec.Command("nft", "add table inet firewall").Run() })
	r := h.refusals()
	h.refuse(r, "10.0.0.1")
	h.refuse(r)
	if s := h.ruleset(); !strings.Contains(s, "table inet firewall") || strings.Contains(s, "vipward") {
		t.Errorf("the ruleset is %s, want the table of the firewall alone", s)
	}
}
