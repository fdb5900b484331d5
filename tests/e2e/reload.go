package e2e

import (
	"fmt"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

func reload(t *T) {
	l := newService(t)
	l.up()
	l.serving()
	before, seq := l.lb1.table(), l.lb1.last()
	stop := l.measure(requests())

	l.lb1.do("reload")
	text := l.lb1.text()
	l.lb1.write(strings.Replace(text, "virtual_router_id = 51", "virtual_router_id = 300", 1))
	if a := l.lb1.command("reload"); a.code != 3 || !strings.Contains(a.errors, "virtual_router_id") {
		t.Errorf("the reload of a broken file ended with %d and said %q, want 3 and the attribute", a.code, a.errors)
	}
	time.Sleep(2 * time.Second)
	if got := l.lb1.table(); got != before {
		t.Errorf("the table was %q and is %q after the reloads", before, got)
	}
	if seen := l.lb1.since(seq, stateChange); len(seen) > 0 {
		t.Errorf("the reloads changed something: %+v", seen)
	}
	report := stop()
	if lost := report.HTTP.Lost(); len(lost) > 0 {
		t.Errorf("%d of %d requests failed over the reloads: %s", len(lost), len(report.HTTP), lost[0].Err)
	}
	l.one(report.Wire, 0)
	l.lb1.write(text)
	l.repairs(before)
}

// repairs has somebody delete by hand what the daemon needs.
func (l *lab) repairs(table string) {
	l.repaired("the VIP", "address.repaired", func() { l.Must(l.lb1.node.RemoveAddress(topology.VIP)) }, func() error {
		return l.owner(topology.LB1)
	})
	same := func() error {
		if got := l.lb1.table(); got != table {
			return fmt.Errorf("the table is %q", got)
		}
		return nil
	}
	l.repaired("a real server", "service.repaired", func() { l.ipvsadm("-d", "-t", "10.77.0.100:80", "-r", server2) }, same)
	l.repaired("the virtual service", "service.repaired", func() { l.ipvsadm("-D", "-t", "10.77.0.100:80") }, func() error {
		if got := l.lb1.table(); len(got) != len(table) {
			return fmt.Errorf("the table is %q", got)
		}
		return nil
	})
}

// repairWithin covers the daemon's own look at the kernel, which is due every 30 seconds where nothing tells it sooner.
const repairWithin = 35 * time.Second

func (l *lab) repaired(what, code string, remove func(), back func() error) {
	seq := l.lb1.last()
	remove()
	l.Figure(what+" back after", l.Eventually(what+" is back", repairWithin, back))
	l.Eventually("an event tells of "+what, 2*time.Second, func() error {
		if len(l.lb1.since(seq, func(o occurrence) bool { return o.Code == code })) == 0 {
			return fmt.Errorf("no %s", code)
		}
		return nil
	})
	if got := l.lb1.state(); got != "MASTER" {
		l.Errorf("lb1 is %s after %s was deleted by hand, want MASTER", got, what)
	}
}

func (l *lab) ipvsadm(args ...string) {
	_, err := l.lb1.node.Output("ipvsadm", args...)
	l.Must(err)
}
