package node

import (
	"testing"
	"time"

	"github.com/vipward/vipward/core/guard"
)

// third is a witness that both nodes of a pair reach, 2 ms away.
type third struct {
	holder string
	until  time.Time
}

func (w *third) grant(p *pair, k int, a WitnessAsk) Witnessed {
	in := Witnessed{ID: a.ID, Granted: true}
	name := p.nodes[k].cfg.Name
	switch free := w.holder == name || !p.now.Before(w.until); {
	case a.Action == WitnessRelease && w.holder == name:
		w.until = time.Time{}
	case a.Action == WitnessAcquire && free:
		w.holder, w.until = name, p.now.Add(a.TTL)
	case a.Action == WitnessAcquire:
		in.Granted, in.Holder = false, w.holder
	}
	return in
}

// unheardPair is a pair whose lb2 is MASTER, with a witness's grant, when lb1 comes back, which is better. No heartbeats pass.
func unheardPair(t *testing.T, edit func(k int, c *Config)) *pair {
	p := newPair(t, func(k int, c *Config) {
		c.Guard.Witness, c.Guard.OnWitnessLoss = "third", guard.WitnessRelease
		if edit != nil {
			edit(k, c)
		}
	})
	p.silent, p.third, p.dead[0] = true, &third{}, true
	p.run(20 * time.Second)
	p.want("- MASTER")
	p.dead[0] = false
	return p
}

// Who learns of a better node by adverts alone gives it the witness's grant, and the clients miss the VIP for a moment at most.
func TestABetterNodeCallsOnAMasterThatHearsNoHeartbeats(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond} {
		p := unheardPair(t, func(_ int, c *Config) { c.Instances[0].VRRP.Interval = interval })
		missed := time.Duration(0)
		for end := p.now.Add(15 * time.Second); p.now.Before(end); {
			p.run(time.Millisecond)
			if !p.held[0] && !p.held[1] {
				missed += time.Millisecond
			}
			if p.held[0] && p.held[1] && p.nodes[1].instances[0].isMaster() {
				t.Fatalf("%v: both are MASTER and hold the VIP", interval)
			}
		}
		p.want("MASTER BACKUP")
		if missed > 120*time.Millisecond {
			t.Errorf("%v: nobody held the VIP for %v", interval, missed)
		}
	}
}

func TestAMasterThatCannotBeReachedKeepsItsGrant(t *testing.T) {
	p := unheardPair(t, nil)
	p.deaf[1] = true
	p.events[0] = nil
	p.run(10 * time.Minute)
	p.want("HOLD MASTER")
	p.wantEvent(0, "instance.unheard", "10.0.0.2 is MASTER with priority 100")
	told := 0
	for _, e := range p.events[0] {
		if e.Code == "instance.unheard" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it was told %d times, want once", told)
	}
	p.deaf[1] = false
	p.run(70 * time.Second)
	p.want("MASTER BACKUP")
}
