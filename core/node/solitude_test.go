package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// stalled has a master of 10 ms adverts stopped for 40 ms, with what came meanwhile.
func (p *pair) stalled(missed ...Input) {
	p.now = p.now.Add(40 * time.Millisecond)
	p.step(0, append(Backlog(missed), Timeout{}))
}

func quickPair(t *testing.T) *pair {
	return healthyPair(t, func(_ int, c *Config) { c.Instances[0].VRRP.Interval = 10 * time.Millisecond })
}

func TestAStallMovesNothingWhereNobodyIsNear(t *testing.T) {
	p := quickPair(t)
	p.stalled()
	if p.nodes[0].instances[0].isMaster() {
		t.Error("it stays MASTER though its peer is there")
	}

	p = quickPair(t)
	p.dead[1] = true
	p.run(longAfter + time.Second)
	p.stalled()
	p.want("MASTER -")
	if !p.held[0] {
		t.Error("it has let go of the VIP")
	}
}

// A member that has stopped in order is away at once, and not only when it was silent for long.
func TestAStallMovesNothingWhereThePeerHasStopped(t *testing.T) {
	p := quickPair(t)
	p.run(time.Millisecond)
	p.step(1, Stop{})
	p.run(10 * time.Millisecond)
	p.stalled()
	p.want("MASTER INIT")
	p.now = p.now.Add(1100 * time.Millisecond) // longer than its lease
	p.step(0, Timeout{})
	p.want("BACKUP INIT")

	p = quickPair(t)
	p.step(0, Stop{}) // a master hands over
	p.run(100 * time.Millisecond)
	p.want("INIT MASTER")
	p.now = p.now.Add(40 * time.Millisecond)
	p.step(1, Timeout{})
	p.want("INIT MASTER")
}

// A member that has come back while this process was stopped may have taken over.
func TestAStallCountsWhereSomebodyHasComeBackMeanwhile(t *testing.T) {
	p := quickPair(t)
	p.dead[1] = true
	p.run(longAfter + time.Second)
	p.dead[1], p.asleep[0] = false, true
	p.run(300 * time.Millisecond)
	p.asleep[0] = false
	p.step(0, append(p.missed, Timeout{}))
	if got := p.nodes[0].instances[0].router.State(); got != vrrp.Backup {
		t.Errorf("lb1 is %s, want BACKUP", got)
	}
	p.run(10 * time.Second)
	p.want("MASTER BACKUP")
}

func TestAStallOfALoneNode(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(c *Config)
		met  bool
		want vrrp.State
	}{
		"alone":                         {func(c *Config) { c.Lone = true }, false, vrrp.Master},
		"another router has been heard": {func(c *Config) { c.Lone = true }, true, vrrp.Backup},
		"one is named as unicast peer": {func(c *Config) {
			c.Lone = true
			c.Instances[0].VRRP.Peers = []netip.Addr{netip.MustParseAddr("10.77.0.2")}
		}, false, vrrp.Backup},
		"there is another node, unheard": {func(*Config) {}, false, vrrp.Backup},
	} {
		cfg := fast(time.Second)
		c.edit(&cfg)
		r := start(t, cfg)
		if c.met {
			r.give(received("10.77.0.2", 50, time.Second))
		}
		r.wait(10 * time.Second)
		r.wantState(vrrp.Master)
		r.now = r.now.Add(time.Hour)
		r.give(Timeout{})
		if got := r.node.instances[0].router.State(); got != c.want {
			t.Errorf("%s: it is %s, want %s", name, got, c.want)
		}
	}
}
