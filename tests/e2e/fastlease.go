package e2e

import (
	"fmt"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// quick are adverts that the kernel's whole seconds are too long for.
const quick = 100 * time.Millisecond

// quickDown is the down interval of a peer of priority 100 then.
const quickDown = 3*quick + quick*(256-100)/256

// hurried has adverts each 100 ms, and a lease that ends in time.
func hurried() []edit {
	return []edit{{`advert_interval   = "1s"`, `advert_interval   = "100ms"` + "\n  lease             = \"fast\""}}
}

// fastLease kills everything on the master: its VIP is no longer answered for when the peer takes over, to the millisecond. Then the
// ruleset is flushed on the new one, which costs nothing.
func fastLease(edits ...edit) func(*T) {
	return func(t *T) {
		l := newPair(t, append(hurried(), edits...)...)
		l.up()
		l.killedFast()
		l.flushed()
		l.stoppedFast()
		l.unguarded(topology.LB1) // it holds nothing any more
		l.lb2.die()
		l.lb1.await("MASTER", quickDown+slack)
		l.unguarded(topology.LB2) // the guardian of a daemon that died has cleaned up
		l.lb1.terminate()
		l.unguarded(topology.LB1)
	}
}

// fastLease6 does the former over IPv6.
func fastLease6(t *T) {
	l := newNet6(t)
	l.vip = vip6
	l.echoes()
	l.directors("pair-v6.hcl", hurried()...)
	l.up()
	l.killedFast()
}

// killedFast kills lb1, and has it back at the end.
func (l *lab) killedFast() {
	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.kill()
	l.lb2.await("MASTER", quickDown+slack)
	time.Sleep(2 * time.Second) // the lease of the address is over as well
	report := stop()
	silence, _ := report.UDP.Silence()
	l.Figure("outage", silence)
	if most := quickDown + blip; silence > most {
		l.Errorf("the outage was %v, want the down interval, at most %v", silence, most)
	}
	l.one(report.Wire, 0)
	l.lb1.start() // it removes what it had left
	l.lb1.await("MASTER", notice+slack)
	l.alone(topology.LB1)
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	l.alone(topology.LB2)
}

// stoppedFast has lb2, the master, stopped for a while (SIGSTOP): it loses the VIP in time, and takes nothing back when it goes on.
func (l *lab) stoppedFast() {
	stop := l.measure(udp())
	time.Sleep(300 * time.Millisecond)
	l.lb2.proc.Pause()
	l.lb1.await("MASTER", quickDown+slack)
	time.Sleep(time.Second)
	l.lb2.proc.Resume()
	time.Sleep(time.Second)
	report := stop()
	silence, _ := report.UDP.Silence()
	l.Figure("outage of a stop", silence)
	l.one(report.Wire, 0)
	l.alone(topology.LB1)
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	l.alone(topology.LB2)
}

// unguarded waits until a node has no table of ours.
func (l *lab) unguarded(node string) {
	l.Eventually(node+" has no rules left", 10*time.Second, func() error {
		if rules := l.rules(node); rules != "" {
			return fmt.Errorf("there is\n%s", rules)
		}
		return nil
	})
}

// flushed has the firewall of lb2 reloaded.
func (l *lab) flushed() {
	stop := l.measure(udp())
	time.Sleep(300 * time.Millisecond)
	_, err := l.Node(topology.LB2).Output("nft", "flush", "ruleset")
	l.Must(err)
	l.Eventually("the tables are back", time.Second, func() error {
		if l.rules(topology.LB2) == "" {
			return errStill
		}
		return nil
	})
	time.Sleep(time.Second)
	if lost := len(stop().UDP.Lost()); lost > 0 {
		l.Errorf("%d datagrams were lost over the flush, want none", lost)
	}
}

func (l *lab) rules(node string) string {
	out, err := l.Node(node).Output("nft", "list", "ruleset")
	l.Must(err)
	return string(out)
}
