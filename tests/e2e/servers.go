package e2e

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	// leave is how long a dead server may stay: two failures one second apart, the timeout of the second, and one second.
	leave = 2*time.Second + checkLimit + time.Second
	// enter is how long a server that is well may stay outside: one interval, its check, and one second.
	enter = time.Second + checkLimit + time.Second
	// checkLimit is the timeout of a check. In the guest a server that is well may take longer than the half second of the example, and
	// when both are taken for dead nobody serves.
	checkLimit = 900 * time.Millisecond
)

// serverLeaves has the health check look at a page that is the same on both servers.
func serverLeaves(t *T) {
	const fine = "fine"
	sum := md5.Sum([]byte(fine + "\n"))
	l := newService(t, edit{`timeout  = "500ms"`, fmt.Sprintf("timeout  = %q", checkLimit)},
		edit{`path     = "/index.html"`, `path     = "/health.txt"` + "\n    digest   = \"" + hex.EncodeToString(sum[:]) + `"`})
	l.rs1.write("health.txt", fine)
	l.rs2.write("health.txt", fine)
	l.up()
	l.serving()

	l.spell("stopped", l.rs1.stop, l.rs1.start)
	l.spell("another page", func() { l.rs1.write("health.txt", "broken") }, func() { l.rs1.write("health.txt", fine) })
	l.spell("silent", func() { t.Must(l.Deaf(topology.RS1)) }, func() { t.Must(l.Heal(topology.RS1)) })
}

// spell lets something happen to rs1 and undoes it, with clients all the while: rs1 leaves IPVS in time, no request fails
// from then on, and it comes back.
func (l *lab) spell(what string, happen, undo func()) {
	seq := l.lb1.last()
	stop := l.measure(requests())
	happen()
	took := l.Eventually(what+": rs1 has left", leave, func() error { return l.lb1.has(server1, false) })
	l.Figure(what+": left after", took)
	left := time.Now()
	if s := l.lb1.status().server(server1); s.State != "down" || s.Reason == "" {
		l.Errorf("%s: the status of rs1 is %q for the reason %q, want down and a reason", what, s.State, s.Reason)
	}
	time.Sleep(2 * time.Second)
	undo()
	mended := time.Now()
	took = l.Eventually(what+": rs1 is back", enter, func() error { return l.lb1.has(server1, true) })
	l.Figure(what+": back after", took)
	time.Sleep(time.Second)
	flow := stop().HTTP.Between(left, time.Time{})
	if lost := flow.Lost(); len(lost) > 0 {
		l.Errorf("%s: %d of %d requests failed, sent %v to %v after rs1 had left (it was mended after %v): %s", what, len(lost), len(flow),
			lost[0].Sent.Sub(left), lost[len(lost)-1].Sent.Sub(left), mended.Sub(left), lost[0].Err)
		for _, o := range l.lb1.since(seq, stateChange) {
			l.Logf("%s %v after rs1 had left: %s was %s and is %s: %s", what, o.Time.Sub(left), o.Subject, o.From, o.To, o.Reason)
		}
	}
	if by := flow.By(); by["rs1"] == 0 || by["rs2"] == 0 {
		l.Errorf("%s: answers came from %v, want both", what, by)
	}
	l.Eventually(what+": lb2 has rs1 as well", enter, func() error {
		if s := l.lb2.status().server(server1); s.State != "up" {
			return fmt.Errorf("it is %s", s.State)
		}
		return nil
	})
}
