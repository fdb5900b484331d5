package kernel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// A group of addresses is one service by a firewall mark. A check of one server through such an address has the server's mark, which
// must not become that of the service on the way out.
func TestPacketsOfAProbeKeepTheirMark(t *testing.T) {
	h := newHost(t)
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip("10.0.0.1/24")) })
	m := NewMarkings(TableOptions{Logger: quiet()})
	h.start(m.Run)
	vip := netip.MustParseAddr("10.0.0.100")
	m.Set([]desired.Marking{{Mark: 7, Protocol: desired.UDP, First: vip, Last: vip, FirstPort: 80, LastPort: 80}})
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := m.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		mark    int
		counted string
	}{
		{"that of a probe is kept", desired.ProbeMarks | 5, "packets 0"},
		{"others get the mark of the service", 0, "packets 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.send("10.0.0.100:80", c.mark)
			_, output, _ := strings.Cut(h.ruleset(), "chain output")
			if !strings.Contains(output, "counter "+c.counted+" ") {
				t.Errorf("the rules are %s, want %s", output, c.counted)
			}
		})
	}
}

// send sends a datagram with a mark.
func (h *host) send(to string, mark int) {
	h.Helper()
	h.do(func() error {
		d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			var failed error
			return errors.Join(c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark) }), failed)
		}}
		c, err := d.Dial("udp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	})
}
