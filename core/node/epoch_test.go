package node

import (
	"net/netip"
	"testing"
	"time"
)

// An epoch is on the disk a moment after the ownership that it stands for: what a crash may lose of it costs no second owner.
func TestALostEpochLeavesOneOwner(t *testing.T) {
	for name, remembered := range map[string]Memory{
		"the epoch of the last ownership is lost": {},
		"it is known": {Terms: []Term{{Interface: "eth0", VRID: 51, Epoch: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			edit := func(_ int, c *Config) {
				c.Instances[0].VRRP.Preempt, c.Guard.References, c.Guard.ProbeVIP = false, nil, false
			}
			p := healthyPair(t, edit)
			p.dead[0] = true
			p.run(5 * time.Second)
			p.want("- MASTER")
			cfg := p.nodes[0].cfg
			cfg.Guard.Boot++
			p.nodes[0] = New(cfg)
			p.dead[0], p.deaf, p.silent = false, [2]bool{true, true}, true
			p.step(0, Links{"eth0": {Index: 2, Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(pairAddr(0), 24)}}})
			p.step(0, Start{Memory: remembered})
			p.run(20 * time.Second)
			p.want("MASTER MASTER")
			p.deaf, p.silent = [2]bool{}, false
			p.run(3 * time.Second)
			masters := 0
			for _, n := range p.nodes {
				if n.instances[0].isMaster() {
					masters++
				}
			}
			if masters != 1 {
				t.Errorf("%d masters; events of lb1:\n%s\nof lb2:\n%s", masters, eventLines(p.events[0]), eventLines(p.events[1]))
			}
		})
	}
}
