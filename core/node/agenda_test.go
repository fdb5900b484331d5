package node

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

func TestTheDeadlineIsTheFirstOfAllInstances(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	n, now := crowd(300, false)
	n.Step(now, Start{})
	for k := range 3000 {
		now = now.Add(time.Duration(rnd.IntN(int(3 * time.Millisecond))))
		switch rnd.IntN(6) {
		case 0, 1, 2:
			n.Step(now, n.advert(rnd.IntN(300)))
		case 3:
			outcome := []health.Outcome{health.Pass, health.Fail}[rnd.IntN(2)]
			n.Step(now, Observed{Check: "checker/local", Observation: health.Observation{Outcome: outcome}})
		case 4:
			l := Links{}
			for name, link := range n.links {
				link.Up = rnd.IntN(4) > 0
				l[name] = link
			}
			n.Step(now, l)
		case 5:
			now = n.Deadline()
			n.Step(now, Timeout{})
		}
		want := n.expiry
		for _, i := range n.instances {
			want = earlier(want, n.wakes(i))
			if d := i.router.Deadline(); !d.IsZero() && d.Before(now) {
				t.Fatalf("step %d: %s was due %v ago", k, i.cfg.Name, now.Sub(d))
			}
		}
		if got := n.Deadline(); !got.Equal(want) {
			t.Fatalf("step %d: Deadline = %v, want %v", k, got.Sub(now), want.Sub(now))
		}
	}
}

// A backup that follows its masters and a master that advertises are what a node does nearly all the time.
func TestCommonStepsDoNotAllocate(t *testing.T) {
	backup, now := crowd(300, false)
	var in Input = backup.advert(100)
	master, _ := crowd(300, true)
	began := master.Deadline()
	master.Step(began, Timeout{}) // with a renewal of the leases, and so a new wish
	for name, step := range map[string]func(){
		"backup hears a master": func() { backup.Step(now, in) },
		"master advertises": func() {
			for _, i := range master.instances {
				i.wished = began.Add(time.Hour)
			}
			master.Step(master.Deadline(), Timeout{})
		},
	} {
		if n := testing.AllocsPerRun(20, step); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func TestOverdueIsAnyBackupWhoseTimeHasCome(t *testing.T) {
	cfg := fast(100 * time.Millisecond)
	slow := cfg.Instances[0]
	slow.Name, slow.VRRP.VRID, slow.VRRP.Interval = "slow", 52, time.Second
	cfg.Instances = append(cfg.Instances, slow)
	r := start(t, cfg)
	end := r.node.instances[0].router.Deadline()
	if r.node.Overdue(end.Add(-time.Nanosecond)) || !r.node.Overdue(end) {
		t.Errorf("it is overdue before %v, or not then", end)
	}
	r.wait(end.Sub(r.now))
	r.give(Timeout{})
	r.wantState(vrrp.Master)
	end = r.node.instances[1].router.Deadline()
	if r.node.Overdue(end.Add(-time.Nanosecond)) || !r.node.Overdue(end) { // while a master has something to do as well
		t.Errorf("the second one is overdue before %v, or not then", end)
	}
}

// What a member has said a while ago does not make it live longer.
func TestAHeartbeatCountsFromWhenItCame(t *testing.T) {
	now := time.Unix(1000, 0)
	for at, want := range map[time.Time]time.Time{{}: now, now.Add(-time.Second): now.Add(-time.Second), now.Add(time.Second): now} {
		if got := came(now, at); !got.Equal(want) {
			t.Errorf("what was received at %v came at %v, want %v", at, got, want)
		}
	}
}
