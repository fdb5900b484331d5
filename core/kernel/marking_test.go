package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/core/desired"
)

func (h *host) mark(m *Table[desired.Marking], want ...desired.Marking) {
	h.Helper()
	m.Set(want)
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := m.Wait(ctx); err != nil {
		h.Fatal(err)
	}
}

func marked(mark uint32, p desired.Protocol, first, last string, firstPort, lastPort uint16) desired.Marking {
	return desired.Marking{
		Mark: mark, Protocol: p, First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last), FirstPort: firstPort, LastPort: lastPort,
	}
}

func TestPacketsGetTheirMark(t *testing.T) {
	h := newHost(t)
	m := NewMarkings(TableOptions{Logger: quiet(), Report: func(why string) { t.Errorf("reported %q", why) }})
	h.start(m.Run)
	h.mark(m)
	if got := h.ruleset(); strings.Contains(got, markingTable) {
		t.Errorf("a wish for nothing has made\n%s", got)
	}
	h.mark(m,
		marked(7, desired.TCP, "10.0.0.1", "10.0.0.9", 80, 89),
		marked(8, desired.UDP, "2001:db8::1", "2001:db8::1", 53, 53),
		marked(9, desired.SCTP, "10.0.0.1", "10.0.0.1", 1, 65535),
	)
	got := h.ruleset()
	for _, want := range []string{
		"table inet vipward-marks",
		"type filter hook prerouting priority mangle; policy accept;",
		"type route hook output priority mangle; policy accept;",
		"ip daddr 10.0.0.1-10.0.0.9 tcp dport 80-89 meta mark set 0x00000007",
		"ip6 daddr 2001:db8::1-2001:db8::1 udp dport 53-53 meta mark set 0x00000008",
		"sctp dport 1-65535 meta mark set 0x00000009",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	h.do(func() error { return exec.Command("nft", "add", "table", "inet", "others").Run() })
	h.mark(m)
	if got := h.ruleset(); strings.Contains(got, markingTable) || !strings.Contains(got, "table inet others") {
		t.Errorf("after a wish for nothing there is\n%s", got)
	}
}

func TestPacketsThatAreSentHaveTheirMark(t *testing.T) {
	h := newHost(t)
	m := NewMarkings(TableOptions{Logger: quiet(), Report: func(why string) { t.Errorf("reported %q", why) }})
	h.start(m.Run)
	h.mark(m, marked(7, desired.UDP, "10.0.0.1", "10.0.0.9", 80, 89))
	h.do(func() error { // one counter after the rules in each of the two hooks, for packets with the mark and for all
		const count = "add table ip count; add chain ip count o { type filter hook output priority 0; }; add chain ip count p { type filter hook prerouting priority 0; }; " +
			"add rule ip count o udp dport 1-65535 counter; add rule ip count o udp dport 1-65535 meta mark 7 counter; " +
			"add rule ip count p udp dport 1-65535 counter; add rule ip count p udp dport 1-65535 meta mark 7 counter"
		lo, err := netlink.LinkByName("lo")
		a, more := netlink.ParseAddr("10.0.0.5/32")
		return errors.Join(err, more, netlink.LinkSetUp(lo), netlink.AddrAdd(lo, a), exec.Command("nft", count).Run())
	})
	for port, n := range map[int]int{79: 1, 80: 2, 89: 3, 90: 4} {
		for range n { // each from a socket of its own, since nobody listens, which the next packet would be told of
			h.do(func() error {
				c, err := net.Dial("udp", fmt.Sprintf("10.0.0.5:%d", port))
				if err != nil {
					return err
				}
				_, err = c.Write([]byte("x"))
				return errors.Join(err, c.Close())
			})
		}
	}
	got := h.ruleset()
	for want, times := range map[string]int{"counter packets 10 ": 2, "mark 0x00000007 counter packets 5 ": 2} {
		if strings.Count(got, want) != times {
			t.Errorf("not %d times %q in\n%s", times, want, got)
		}
	}
}

func TestMarkingsOfAKilledRunAreRemoved(t *testing.T) {
	h := newHost(t)
	m := NewMarkings(TableOptions{Logger: quiet(), Report: func(why string) { t.Errorf("reported %q", why) }})
	h.do(func() error {
		return m.replace([]desired.Marking{marked(7, desired.TCP, "10.0.0.1", "10.0.0.1", 80, 80)})
	})
	h.start(m.Run)
	h.mark(m)
	if got := h.ruleset(); strings.Contains(got, markingTable) {
		t.Errorf("still there:\n%s", got)
	}
}
