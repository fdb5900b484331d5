package node

import (
	"testing"
	"time"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/vrrp"
)

// A grant goes on to run out while the machine is suspended, also where adverts are so slow that nobody can have taken over by silence.
func TestAGrantRunsOutWhileTheMachineSleeps(t *testing.T) {
	cfg := witnessed(guard.WitnessRelease)
	cfg.Instances[0].VRRP.Interval = 5 * time.Second
	for slept, want := range map[time.Duration]vrrp.State{500 * time.Millisecond: vrrp.Master, 6 * time.Second: vrrp.Backup} {
		r := start(t, cfg)
		r.court(40*time.Second, granted)
		r.wantState(vrrp.Master)
		r.give(Slept{For: slept})
		if got := r.node.instances[0].router.State(); got != want {
			t.Errorf("after %v of sleep it is %s, want %s", slept, got, want)
		}
	}
}

func TestWhoWasHeardBeforeASleepIsNotAlive(t *testing.T) {
	p := healthyPair(t, nil)
	if m := p.nodes[0].members[0]; !m.alive(p.now, time.Time{}) {
		t.Fatal("the peer is not alive")
	}
	p.nodes[0].Step(p.now, Slept{For: 2 * time.Second})
	if m := p.nodes[0].members[0]; m.alive(p.now, time.Time{}) || m.told {
		t.Error("a heartbeat of before the sleep counts as one of now")
	}
}
