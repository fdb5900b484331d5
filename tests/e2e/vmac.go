package e2e

import (
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/topology"
)

// virtualRouter is what a virtual MAC address is called in one family (RFC 9568 section 7.3).
type virtualRouter struct {
	mac, link string
	spare     int // datagrams that may be lost in a hand-over
}

var (
	virtual4 = virtualRouter{"00:00:5e:00:01:33", "vrrp.51", 0}
	// With a new IPv6 address the kernel joins its group, and the report of that, from the virtual MAC address, may move the switch some
	// milliseconds before the address is there.
	virtual6 = virtualRouter{"00:00:5e:00:02:33", "vrrp6.51", 20}
)

// useVMAC gives the virtual router a hardware address of its own.
func useVMAC() edit {
	return edit{"  advert_interval ", "  use_vmac          = true\n  advert_interval "}
}

// vmac moves the VIP by a hand-over and by a crash: its clients never hear of another hardware address.
func vmac(t *T) { newPair(t, useVMAC()).keepsMAC(virtual4) }

// vmac6 does so with a VIP of IPv6.
func vmac6(t *T) {
	l := newNet6(t)
	l.vip = vip6
	l.echoes()
	only6 := edit{"  virtual_address \"10.77.0.100/32\" {\n    advertised = false\n    label      = \"eth0:web\"\n  }\n", ""}
	l.directors("pair-v6.hcl", useVMAC(), only6)
	l.keepsMAC(virtual6)
}

func (l *lab) keepsMAC(v virtualRouter) {
	l.up()
	// A question that the former master answers in the milliseconds between the announcement and its end sends the switch back to it,
	// and what follows to nowhere, until the new one says something. The usual probe asks as often as nobody does.
	stop := l.measure(probe.Config{UDP: time.Millisecond, Ask: 400 * time.Millisecond})
	time.Sleep(500 * time.Millisecond)
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	time.Sleep(time.Second)
	l.alone(topology.LB2)
	r := stop()
	l.lost("failover", r, "lb1", "lb2", v.spare)
	l.sameMAC(v, r)

	stop = l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb2.kill()
	l.Figure("takeover after", l.lb1.await("MASTER", down+slack))
	l.alone(topology.LB1)
	l.lb2.start() // it removes what it had left
	l.lb2.await("BACKUP", notice+slack)
	time.Sleep(time.Second)
	l.sameMAC(v, stop())

	l.lb1.terminate()
	l.lb2.await("MASTER", slack)
	l.nothingLeft(l.lb1)
	if out, err := l.Node(topology.LB1).Output("ip", "-o", "link"); err != nil || strings.Contains(out, v.link) {
		l.Errorf("lb1 left its virtual interface (%v): %s", err, out)
	}
}

// sameMAC asserts that all that the client has heard of the VIP is its virtual hardware address.
func (l *lab) sameMAC(v virtualRouter, r probe.Report) {
	if len(r.Wire.Replies) == 0 || len(r.Wire.Gratuitous) == 0 {
		l.Errorf("the client heard %d answers and %d announcements, want some of each", len(r.Wire.Replies), len(r.Wire.Gratuitous))
	}
	for _, c := range append(r.Wire.Replies, r.Wire.Gratuitous...) {
		if c.MAC != v.mac {
			l.Errorf("the VIP was said to be at %s, want %s", c.MAC, v.mac)
			break
		}
	}
	out, err := l.Node(topology.Client).Output("ip", "neighbour", "show", l.vip.String())
	if err != nil || !strings.Contains(out, v.mac) {
		l.Errorf("the client has the VIP as %q (%v), want it at %s", strings.TrimSpace(out), err, v.mac)
	}
}

// interopVMAC plays with a keepalived that has the same hardware address.
func interopVMAC(t *T) {
	l := newNet(t)
	l.echoes()
	l.lb1 = l.director(topology.LB1, configuration(t, "pair-vip.hcl", useVMAC()))
	l.weReturn(l.keepalived(topology.LB2, router.Settings{Version: 3, VMAC: true}))
}
