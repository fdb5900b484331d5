package e2e

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/topology"
)

// keepalived is one on a node of the lab, with its settings but for the priority.
type keepalived struct {
	*router.Keepalived
	settings router.Settings
}

func (l *lab) keepalived(node string, s router.Settings) *keepalived {
	s.VIPs = []netip.Addr{topology.VIP}
	return &keepalived{router.NewKeepalived(l.T, l.Node(node)), s}
}

func (k *keepalived) start(priority int) {
	s := k.settings
	s.Priority = priority
	k.Start(s)
}

// interop plays vipward on lb1 with priority 150 against keepalived on lb2 with 100: what the matrix of tests/interop does not
// measure, the loss over our stop and our return.
func interop(version int) func(*T) {
	return func(t *T) {
		l := newNet(t)
		l.echoes()
		s := router.Settings{Version: version}
		line := fmt.Sprintf("  version           = %d\n", version)
		if version == 2 {
			s.Password = "s3cret"
			line += "  authentication {\n    type     = \"pass\"\n    password = \"s3cret\"\n  }\n"
		}
		l.lb1 = l.director(topology.LB1, configuration(t, "pair-vip.hcl", edit{"  advert_interval ", line + "  advert_interval "}))
		l.weReturn(l.keepalived(topology.LB2, s))
	}
}

// weReturn: a stop of ours hands over to keepalived, and we preempt when we are back.
func (l *lab) weReturn(other *keepalived) {
	l.lb1.start()
	other.start(100)
	l.lb1.await("MASTER", 15*time.Second)
	l.alone(topology.LB1)
	stop := l.measure(udp())
	time.Sleep(down + slack)
	l.alone(topology.LB1)

	l.lb1.terminate()
	l.moved("keepalived has taken over", topology.LB2, skewed+slack)
	time.Sleep(500 * time.Millisecond)
	back := time.Now()
	l.lb1.start()
	l.moved("we have preempted", topology.LB1, notice+down+slack)
	time.Sleep(time.Second)
	report := stop()
	spare := 0
	if other.settings.VMAC { // one MAC address moves between the ports of the switch, which may send a few datagrams the old way
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
	other.Stop()
	l.alone(topology.LB1)
}

func (l *lab) moved(what, to string, within time.Duration) {
	l.Figure(what, l.Eventually(what, within, func() error { return l.owner(to) }))
}
