package e2e

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
	"golang.org/x/sys/unix"
)

func cut(t *T) {
	l := newPair(t)
	l.up()
	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	t.Must(l.Cut(topology.LB1))
	t.Figure("takeover after", l.lb2.await("MASTER", down+slack))
	if got := l.lb1.state(); got == "MASTER" {
		t.Errorf("lb1 is MASTER without a carrier")
	}
	l.alone(topology.LB2)
	time.Sleep(time.Second)
	t.Must(l.Heal(topology.LB1))
	t.Figure("return after", l.lb1.await("MASTER", down+slack))
	l.lb2.await("BACKUP", slack)
	time.Sleep(time.Second)
	l.alone(topology.LB1)
	report := stop()
	silence, _ := report.UDP.Silence()
	t.Figure("outage", silence)
	if silence > down+slack {
		t.Errorf("the outage was %v, want at most the down interval %v", silence, down)
	}
	l.one(report.Wire, 1)
}

func pluginKilled(t *T) {
	l := newPair(t)
	l.up()
	checks := func() plugin { return l.lb1.plugin("http") }
	seq1, seq2 := l.lb1.last(), l.lb2.last()
	before := checks()
	pids := l.lb1.plugins()
	if !slices.Contains(pids, before.Pid) {
		t.Fatalf("the status says that the http plugin is process %d, and the plugins are %v", before.Pid, pids)
	}
	stop := l.measure(udp())
	for _, pid := range pids {
		t.Logf("kill -9 of the plugin process %d", pid)
		t.Must(unix.Kill(pid, unix.SIGKILL))
	}
	took := t.Eventually("the plugin runs again", 10*time.Second, func() error {
		if p := checks(); p.State != "running" || p.Pid == before.Pid || p.Restarts <= before.Restarts {
			return fmt.Errorf("it is %+v", p)
		}
		return nil
	})
	t.Figure("restarted after", took)
	time.Sleep(down + slack)
	verdicts := func(o occurrence) bool { return stateChange(o) || o.Code == "checker.state" }
	if seen := append(l.lb1.since(seq1, verdicts), l.lb2.since(seq2, verdicts)...); len(seen) > 0 {
		t.Errorf("the death of a plugin changed something: %+v", seen)
	}
	report := stop()
	if lost := len(report.UDP.Lost()); lost > 0 {
		t.Errorf("%d datagrams were lost, want none", lost)
	}
	l.one(report.Wire, 0)
}

// plugin is the plugin of that name as the status shows it.
func (d *director) plugin(name string) plugin {
	for _, p := range d.status().Plugins {
		if p.Name == name {
			return p
		}
	}
	return plugin{State: "missing"}
}

// pluginHung: a checker that stands still is replaced, and until then nobody believes that a server is down.
func pluginHung(t *T) {
	l := newService(t)
	l.up()
	l.serving()
	before, table, seq := l.lb1.plugin("http"), l.lb1.table(), l.lb1.last()
	stop := l.measure(requests())
	t.Logf("SIGSTOP to the plugin process %d", before.Pid)
	t.Must(unix.Kill(before.Pid, unix.SIGSTOP))
	took := t.Eventually("another process has its place", 30*time.Second, func() error {
		if p := l.lb1.plugin("http"); p.State != "running" || p.Pid == before.Pid {
			return fmt.Errorf("it is %+v", p)
		}
		return nil
	})
	t.Figure("replaced after", took)
	time.Sleep(time.Second)
	if now := l.lb1.table(); now != table {
		t.Errorf("IPVS was %q, and is %q", table, now)
	}
	if changes := l.lb1.since(seq, stateChange); len(changes) > 0 {
		t.Errorf("lb1 tells of %v", changes)
	}
	if hung := l.lb1.since(seq, func(o occurrence) bool { return o.Code == "plugin.hung" }); len(hung) != 1 {
		t.Errorf("lb1 tells of %d hung plugins, want one", len(hung))
	}
	if lost := stop().HTTP.Lost(); len(lost) > 0 {
		t.Errorf("%d requests were lost meanwhile", len(lost))
	}
	l.alone(topology.LB1)
}
