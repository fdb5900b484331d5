package e2e

import (
	"fmt"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// interop plays vipward on lb1 with priority 150 against keepalived on lb2, first with 100, then with 200.
func interop(version int) func(*T) {
	return func(t *T) {
		l := newNet(t)
		l.echoes()
		other := &keepalived{lab: l, node: l.Node(topology.LB2), version: version}
		line := fmt.Sprintf("  version           = %d\n", version)
		if version == 2 {
			other.password = "s3cret"
			line += "  authentication {\n    type     = \"pass\"\n    password = \"s3cret\"\n  }\n"
		}
		l.lb1 = l.director(topology.LB1, configuration(t, "pair-vip.hcl", edit{"  advert_interval ", line + "  advert_interval "}))
		l.weAreMaster(other)
		l.theyAreMaster(other)
	}
}

// weAreMaster: with the higher priority we are master, a stop hands over, and we preempt.
func (l *lab) weAreMaster(other *keepalived) {
	l.lb1.start()
	other.start(100)
	l.lb1.await("MASTER", 15*time.Second)
	l.Eventually("lb1 holds the VIP alone", slack, func() error { return l.owner(topology.LB1) })
	stop := l.measure(udp())
	time.Sleep(down + slack)
	l.Must(l.owner(topology.LB1))

	l.lb1.terminate()
	l.moved("keepalived has taken over", topology.LB2, skewed+slack)
	time.Sleep(500 * time.Millisecond)
	back := time.Now()
	l.lb1.start()
	l.moved("we have preempted", topology.LB1, notice+down+slack)
	time.Sleep(time.Second)
	report := stop()
	spare := 0
	if other.vmac { // one MAC address moves between the ports of the switch, which may send a few datagrams the old way
		spare = 20
	}
	if lost := len(report.UDP.Between(time.Time{}, back).Lost()); lost > spare {
		l.Errorf("%d datagrams were lost over a stop of ours, want at most %d", lost, spare)
	}
	// keepalived lets go at our first advert, before its neighbours have heard of us.
	after := report.UDP.Between(back, time.Time{})
	silence, _ := after.Silence()
	l.Figure("silence over our return", silence)
	l.Figure("lost", len(after.Lost()))
	if silence > blip {
		l.Errorf("our return cost a silence of %v", silence)
	}
	l.one(report.Wire, 2)
	for _, a := range report.Wire.Adverts {
		if int(a.Version) != other.version {
			l.Fatalf("an advert of %v has version %d, want %d", a.Source, a.Version, other.version)
		}
	}
	other.stop()
	l.Must(l.owner(topology.LB1))
}

// theyAreMaster: with the higher priority keepalived is master, and its stop hands over to us.
func (l *lab) theyAreMaster(other *keepalived) {
	stop := l.measure(udp())
	other.start(200)
	l.moved("keepalived has preempted", topology.LB2, down+3*time.Second+slack)
	l.lb1.await("BACKUP", slack)
	if m := l.lb1.status().Instances[0].Master; m.Address != l.Node(topology.LB2).Addr.String() || m.Priority != 200 {
		l.Errorf("lb1 knows %+v as master, want lb2 with 200", m)
	}
	time.Sleep(down)
	l.Must(l.owner(topology.LB2))
	other.stop()
	l.moved("we have taken over", topology.LB1, skewed+slack)
	l.lb1.await("MASTER", slack)
	l.one(stop().Wire, 1)
}

func (l *lab) moved(what, to string, within time.Duration) {
	l.Figure(what, l.Eventually(what, within, func() error { return l.owner(to) }))
}

func (k *keepalived) stop() {
	_, err := k.proc.Terminate(10 * time.Second)
	k.lab.Must(err)
}
