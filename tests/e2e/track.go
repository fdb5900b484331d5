package e2e

import (
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	// notice is how long the local check takes to go down or up: two results 500 ms apart, and the timeout.
	notice = 2*500*time.Millisecond + 300*time.Millisecond
	// skewed is how long the backup waits when the master resigns (RFC 9568 section 6.1, for priority 100).
	skewed = interval * (256 - 100) / 256
)

func trackWeight(t *T) {
	l := newPair(t)
	l.up()
	stop := l.measure(udp())
	l.local[topology.LB1].stop()
	t.Figure("moved after", l.lb2.await("MASTER", notice+down+slack))
	l.lb1.await("BACKUP", slack)
	l.alone(topology.LB2)
	if got := l.lb1.status().Instances[0].EffectivePriority; got != 90 {
		t.Errorf("the effective priority of lb1 is %d, want 150 - 60", got)
	}
	l.local[topology.LB1].start()
	t.Figure("returned after", l.lb1.await("MASTER", notice+down+slack))
	l.lb2.await("BACKUP", slack)
	l.alone(topology.LB1)
	time.Sleep(time.Second)
	report := stop()
	silence, _ := report.UDP.Silence()
	t.Figure("silence", silence)
	if silence > slack {
		t.Errorf("clients heard nothing for %v, though a router was well at all times", silence)
	}
	l.one(report.Wire, 2)
}

func trackFault(t *T) {
	l := newPair(t, edit{"    weight = -60\n", ""}, edit{"  advert_interval ", "  preempt           = false\n  advert_interval "})
	// Without preemption the first to speak is master.
	l.lb1.start()
	l.lb1.await("MASTER", 15*time.Second)
	l.lb2.start()
	l.lb2.await("BACKUP", 5*time.Second)

	stop := l.measure(udp())
	l.local[topology.LB1].stop()
	t.Figure("fault after", l.lb1.await("FAULT", notice+slack))
	t.Figure("moved after", l.lb2.await("MASTER", skewed+slack))
	l.alone(topology.LB2)
	l.local[topology.LB1].start()
	l.lb1.await("BACKUP", notice+slack)
	time.Sleep(down + slack)
	if got := l.lb1.state(); got != "BACKUP" {
		t.Errorf("lb1 is %s after its server has come back, want BACKUP without preemption", got)
	}
	l.alone(topology.LB2)
	report := stop()
	silence, _ := report.UDP.Silence()
	t.Figure("silence", silence)
	if silence > skewed+slack {
		t.Errorf("clients heard nothing for %v, want at most the skew time", silence)
	}
	l.one(report.Wire, 1)
}
