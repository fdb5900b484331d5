package e2e

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
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

// serviceLeaves has the service itself removed from the configuration: its connections go on, new ones find nobody, and it goes when the
// last of them has ended.
func serviceLeaves(t *T) {
	l := newService(t, edit{"virtual_server \"web\" {", "ipvs { timeout_tcpfin = \"1s\" }\n\nvirtual_server \"web\" {"})
	l.up()
	l.serving()
	to := netip.AddrPortFrom(topology.VIP, 80)
	var report probe.LoadReport
	end := l.Background(func(ctx context.Context) (err error) {
		load := probe.Load{To: []netip.AddrPort{to}, Conns: 20, Beat: 500 * time.Millisecond, Timeout: 5 * time.Second}
		report, err = load.Run(ctx, l.Node(topology.Client).NS)
		return err
	})
	time.Sleep(2 * time.Second)
	text := l.lb1.text()
	without, _, _ := strings.Cut(text, "virtual_server \"web\" {")
	l.lb1.write(without)
	l.lb1.do("reload")
	quiet := func() error {
		if table := l.lb1.table(); strings.Count(table, ":80 -g -w 0\n") != 2 {
			return fmt.Errorf("the table is %q", table)
		}
		return nil
	}
	l.Eventually("both servers get nothing new", 5*time.Second, quiet)
	if out := l.lb1.do("status"); strings.Count(out, "it keeps its connections for another") != 2 {
		l.Errorf("the status shows no service that leaves: %s", out)
	}
	time.Sleep(4 * time.Second)
	t.Must(quiet())
	end()
	served := report[to]
	l.Figure("answers on connections that were kept", served.Beats)
	if lost := served.Kept.Lost(); len(lost) > 0 || served.Beats < 5*len(served.Kept) {
		l.Errorf("of %d connections %d broke, with %d answers; want none, and many", len(served.Kept), len(lost), served.Beats)
	}
	l.Figure("gone after", l.Eventually("the service has gone", 15*time.Second, func() error {
		if table := l.lb1.table(); table != "" {
			return fmt.Errorf("the table is %q", table)
		}
		return nil
	}))
}
