package node

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// crowd is a node with so many instances, 250 on an interface, in MASTER or in BACKUP of a master of priority 200.
func crowd(size int, masters bool) (*Node, time.Time) {
	cfg := Config{Name: "lb1", Checkers: []Checker{{Name: "local", Check: "checker/local", Health: health.Config{Rise: 1, Fall: 2}}}}
	all := Links{}
	for k := range size {
		iface := fmt.Sprintf("eth%d", k/250)
		all[iface] = Link{Index: k/250 + 1, Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}
		vip := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(k / 250), byte(k%250 + 1)}), 32)
		cfg.Instances = append(cfg.Instances, Instance{
			Name: fmt.Sprintf("i%d", k), Interface: iface, PeerPriority: 100, Lease: Lease{Auto: true}, Garp: desired.Garp{Repeat: 5},
			VRRP: vrrp.Config{
				VRID: uint8(k%250 + 1), Version: 3, Priority: 150, Interval: 100 * time.Millisecond, Preempt: true, Addresses: []netip.Addr{vip.Addr()},
			},
			Addresses: []VirtualAddress{{Prefix: vip, Interface: iface}},
			Tracks:    []Track{{Kind: TrackChecker, Name: "local", Weighted: true, Weight: -60}},
		})
	}
	n, now := New(cfg), time.Unix(1000, 0)
	n.Step(now, all)
	n.Step(now, Start{})
	n.Step(now, Observed{Check: "checker/local", Observation: health.Observation{Outcome: health.Pass}})
	for end := now.Add(10 * time.Second); masters && n.Deadline().Before(end); {
		now = n.Deadline()
		n.Step(now, Timeout{})
	}
	return n, now
}

// advert is what the peer of instance k sends.
func (n *Node) advert(k int) Received {
	i, src := n.instances[k], netip.MustParseAddr("10.0.0.2")
	a := vrrp.Advert{Version: 3, VRID: i.cfg.VRRP.VRID, Priority: 200, Interval: 100 * time.Millisecond, Addresses: i.cfg.VRRP.Addresses, Rule: vrrp.ChecksumPseudo}
	dst := vrrp.Group(src)[0]
	return Received{Interface: i.cfg.Interface, Header: vrrp.Header{Source: src, Destination: dst, TTL: 255}, Payload: a.Append(nil, src, dst)}
}

func BenchmarkStep(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("master of %d advertises", size), func(b *testing.B) {
			n, _ := crowd(size, true)
			b.ReportAllocs()
			for b.Loop() {
				n.Step(n.Deadline(), Timeout{})
			}
		})
		b.Run(fmt.Sprintf("backup of %d hears its master", size), func(b *testing.B) {
			n, now := crowd(size, false)
			var in Input = n.advert(size - 1)
			b.ReportAllocs()
			for b.Loop() {
				n.Step(now, in)
				n.Deadline()
			}
		})
		b.Run(fmt.Sprintf("a check of a node with %d passes again", size), func(b *testing.B) {
			n, now := crowd(size, false)
			var in Input = Observed{Check: "checker/local", Observation: health.Observation{Outcome: health.Pass}}
			b.ReportAllocs()
			for b.Loop() {
				n.Step(now, in)
				n.Deadline()
			}
		})
	}
}
