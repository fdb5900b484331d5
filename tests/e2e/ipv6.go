package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/topology"
)

// The IPv6 addresses of the laboratory: the VIPs of pair-v6.hcl, and those of the nodes, whose last part is that of IPv4.
var (
	vip6      = netip.MustParseAddr("2001:db8:77::100")
	localVIP6 = netip.MustParseAddr("fe80::77:100")
)

const network6 = "2001:db8:77::"

// unicast6 has the adverts go to the global addresses of the nodes.
const unicast6 = "  unicast { peers = [\"2001:db8:77::1\", \"2001:db8:77::2\"] }\n  advert_interval "

// ipv6 is the pair over IPv6: who is master by priority holds all addresses, a hand-over loses nothing in either family, and a
// dead node is succeeded within the down interval.
func ipv6(edits ...edit) func(*T) {
	return func(t *T) {
		l := newNet6(t)
		l.echoes()
		for _, name := range []string{topology.LB1, topology.LB2} {
			l.Background(func(ctx context.Context) error {
				return probe.Echo(ctx, l.Node(name).NS, netip.AddrPortFrom(vip6, probe.Port), name)
			})
		}
		l.directors("pair-v6.hcl", edits...)
		l.up()
		t.Must(l.owner6(topology.LB1))
		if i := l.lb1.status().Instances[0]; i.Family != "ipv6" {
			t.Errorf("the family of the instance is %q, want ipv6", i.Family)
		}
		l.handover6()
		l.crash6()
	}
}

// newNet6 is the network with IPv6 addresses.
func newNet6(t *T) *lab {
	l := newNet(t)
	for _, name := range []string{topology.Client, topology.LB1, topology.LB2} {
		l.number6(name)
	}
	return l
}

// number6 gives a node its global address, at once.
func (l *lab) number6(name string) {
	n := l.Node(name)
	last := n.Addr.As4()[3]
	_, err := n.Output("ip", "-6", "address", "add", fmt.Sprintf("%s%d/64", network6, last), "dev", "eth0", "nodad")
	l.Must(err)
}

// owner6 says what is wrong when not just that node holds both IPv6 VIPs.
func (l *lab) owner6(name string) error {
	return errors.Join(l.holds(vip6, name), l.holds(localVIP6, name))
}

// both is the probe of a datagram each millisecond in each family.
func both() probe.Config { return probe.Config{UDP: time.Millisecond, VIP6: vip6} }

func (l *lab) handover6() {
	stop := l.measure(both())
	time.Sleep(500 * time.Millisecond)
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	time.Sleep(time.Second)
	l.alone(topology.LB2)
	l.Must(l.owner6(topology.LB2))
	r := stop()
	l.lossless("failover", r, "lb1", "lb2")
	if lost, by := r.UDP6.Lost(), r.UDP6.By(); len(lost) > 0 || by["lb1"] == 0 || by["lb2"] == 0 {
		l.Errorf("over IPv6 %d datagrams were lost, and the answers came from %v; want none, and both", len(lost), by)
	}
	for _, a := range r.Wire.Adverts {
		if !a.Source.IsLinkLocalUnicast() {
			l.Errorf("an advert to everybody came from %v, want a link-local address", a.Source)
			break
		}
	}
}

// crash6 kills the master, which is lb2 by now.
func (l *lab) crash6() {
	stop := l.measure(both())
	time.Sleep(500 * time.Millisecond)
	l.lb2.kill()
	l.Figure("takeover after", l.lb1.await("MASTER", down+slack))
	l.Eventually("lb1 holds the IPv6 VIPs alone", slack, func() error { return l.owner6(topology.LB1) })
	l.alone(topology.LB1)
	time.Sleep(time.Second)
	r := stop()
	for family, flow := range map[string]probe.Flow{"IPv4": r.UDP, "IPv6": r.UDP6} {
		silence, _ := flow.Silence()
		l.Figure("outage over "+family, silence)
		if silence > down+slack || flow.By()["lb1"] == 0 {
			l.Errorf("the outage over %s was %v, and the answers came from %v; want at most the down interval %v", family, silence, flow.By(), down)
		}
	}
	l.one(r.Wire, 0)
}
