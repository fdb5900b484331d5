package node

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/vrrp"
)

// refusing lets time pass while the kernel of lb1 refuses the VIP, and counts how often lb1 has become master.
func (p *pair) refusing(d time.Duration) (masters int) {
	k := desired.AddressKey{Interface: "eth0", Prefix: netip.PrefixFrom(pairVIP, 32)}
	for end := p.now.Add(d); p.now.Before(end); {
		p.run(250 * time.Millisecond)
		if p.held[0] && p.nodes[0].instances[0].isMaster() {
			masters++
			p.step(0, Applied{Failed: map[desired.AddressKey]string{k: "file exists"}})
		}
	}
	return masters
}

func TestANodeWhoseKernelRefusesTheVIPLeavesItsPeerAlone(t *testing.T) {
	for name, edit := range map[string]func(k int, c *Config){
		"a better one": nil,
		"the owner": func(k int, c *Config) {
			if k == 0 {
				c.Instances[0].VRRP.Priority, c.Instances[0].VRRP.Preempt = 255, false
			}
		},
	} {
		t.Run(name, func(t *testing.T) { leavesAlone(t, newPair(t, edit)) })
	}
}

func leavesAlone(t *testing.T, p *pair) {
	if n := p.refusing(20 * time.Second); n != 1 {
		t.Errorf("lb1 was master %d times within 20 s, want once", n)
	}
	p.want("BACKUP MASTER")
	p.wantEvent(0, "address.refused", "file exists; it takes part again in 5s, and for 1m0s only where there is no other master")
	if s := p.nodes[0].Snapshot(p.now).Instances[0]; !strings.Contains(s.Reason, "does not preempt 10.0.0.2 since the kernel has refused what web needs") {
		t.Errorf("the status says %q", s.Reason)
	}
	if n := p.refusing(20 * time.Minute); n < 3 || n > 4 {
		t.Errorf("lb1 took the VIP %d times within 20 minutes, want 4: after 1, 2, 4 and 8 minutes", n)
	}
	p.want("BACKUP MASTER")
}

func TestANodeWhoseKernelHasRefusedTheVIPTakesItFromADeadPeer(t *testing.T) {
	p := newPair(t, nil)
	p.refusing(20 * time.Second)
	p.dead[1] = true
	p.run(10 * time.Second)
	p.want("MASTER -")
	p.step(0, Applied{})
	p.dead[1] = false
	p.run(5 * time.Second)
	if p.want("MASTER BACKUP"); !p.nodes[0].instances[0].shy.IsZero() {
		t.Error("it still hesitates though the kernel has taken the VIP")
	}
}

// Somebody else's address was in the way, and an operator has removed it.
func TestARefusedVIPIsTriedAtOnceWhenAnAddressIsGone(t *testing.T) {
	p := newPair(t, nil)
	own := netip.PrefixFrom(pairAddr(0), 24)
	p.step(0, Links{"eth0": {Index: 2, Up: true, Addresses: []netip.Prefix{own, netip.MustParsePrefix("10.0.0.77/24")}}})
	p.refusing(20 * time.Second)
	p.want("BACKUP MASTER")
	p.step(0, Links{"eth0": {Index: 2, Up: true, Addresses: []netip.Prefix{own}}})
	p.run(5 * time.Second)
	p.want("MASTER BACKUP")
}

// All members of a sync group hesitate together, else the rest would wait for one of them.
func TestASyncGroupHesitatesTogether(t *testing.T) {
	d := masterDuo(t, nil)
	n := d.nodes[0]
	n.instances[0].shy = d.now.Add(time.Minute)
	if a, b := n.deferral(n.instances[0]), n.deferral(n.instances[1]); !a.Equal(b) || a.IsZero() {
		t.Errorf("one waits until %v, the other until %v", a, b)
	}
	if n.instances[1].router.State() != vrrp.Master {
		t.Errorf("it is %s", n.instances[1].router.State())
	}
}
