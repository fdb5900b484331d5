package node

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
)

// poolsOf is a configuration of services, each with so many servers that have a check of their own.
func poolsOf(services, servers int) Config {
	cfg := config()
	cfg.Services = nil
	for k := range services {
		s := Service{Name: fmt.Sprintf("s%d", k), Quorum: 1, Service: desired.Service{
			ServiceKey: desired.ServiceKey{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(k >> 8), byte(k)}), 80), Protocol: desired.TCP},
		}}
		for m := range servers {
			s.RealServers = append(s.RealServers, realServer(fmt.Sprintf("10.%d.%d.%d:80", 2+k%200, m>>8, m&255)))
			r := &s.RealServers[m]
			r.Checks[0].Check = fmt.Sprintf("%d/%d", k, m)
		}
		cfg.Services = append(cfg.Services, s)
	}
	return cfg
}

// BenchmarkServices shows what twenty thousand servers cost the loop: a reload that changes nothing, the first results of all checks, the
// change of one, and a lease that is renewed.
func BenchmarkServices(b *testing.B) {
	for _, c := range []struct{ services, servers int }{{1, 20000}, {2000, 10}} {
		cfg := poolsOf(c.services, c.servers)
		fresh := func() (*Node, time.Time) {
			n, now := New(cfg), time.Unix(1000, 0)
			n.Step(now, links(true))
			n.Step(now, Start{})
			return n, now
		}
		all := func(n *Node, now time.Time, o health.Outcome) {
			var batch Observations
			for k, s := range cfg.Services {
				for m := range s.RealServers {
					batch = append(batch, Observed{Check: fmt.Sprintf("%d/%d", k, m), Observation: health.Observation{Outcome: o, Weight: -1}})
					if len(batch) == 512 {
						n.Step(now, batch)
						batch = nil
					}
				}
			}
			n.Step(now, batch)
		}
		name := fmt.Sprintf("%dx%d", c.services, c.servers)
		b.Run(name+"/results", func(b *testing.B) {
			n, now := fresh()
			for k := 0; b.Loop(); k++ {
				all(n, now, []health.Outcome{health.Pass, health.Fail}[k%2])
			}
		})
		b.Run(name+"/reload", func(b *testing.B) {
			n, now := fresh()
			all(n, now, health.Pass)
			for b.Loop() {
				n.Configure(now, cfg)
			}
		})
		b.Run(name+"/change", func(b *testing.B) {
			n, now := fresh()
			all(n, now, health.Pass)
			for k := 0; b.Loop(); k++ {
				o := health.Observation{Outcome: []health.Outcome{health.Fail, health.Pass}[k%2], Weight: -1}
				n.Step(now, Observed{Check: "0/7", Observation: o})
			}
		})
		b.Run(name+"/renewal", func(b *testing.B) {
			n, now := fresh()
			all(n, now, health.Pass)
			last := n.wish(now)
			for b.Loop() {
				s := n.wish(now)
				if !last.SameIPVS(s) {
					b.Fatal("it differs")
				}
			}
		})
	}
}
