package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

// blip is an outage that counts as none: an answer that was late on a loaded machine.
const blip = 100 * time.Millisecond

func crash(t *T) {
	l := newPair(t)
	l.up()
	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.kill()
	gone := t.Eventually("the dead node has lost the VIP", down, func() error {
		if err := l.owner(topology.LB1); err == nil {
			return errStill
		}
		return nil
	})
	t.Figure("lease ran out after", gone)
	t.Figure("takeover after", gone+l.lb2.await("MASTER", down+slack-gone))
	l.alone(topology.LB2)
	time.Sleep(time.Second)

	back := time.Now()
	l.lb1.start()
	t.Figure("return after", l.lb1.await("MASTER", down+notice+slack))
	l.lb2.await("BACKUP", slack)
	l.alone(topology.LB1)
	time.Sleep(time.Second)
	if n := len(l.lb2.since(0, became("MASTER"))); n != 1 {
		t.Errorf("lb2 tells of becoming master %d times, want once", n)
	}
	report := stop()
	first, _ := report.UDP.Between(time.Time{}, back).Silence()
	second, _ := report.UDP.Between(back, time.Time{}).Silence()
	t.Figure("outage", first)
	t.Figure("second outage", second)
	if first > down+slack {
		t.Errorf("the outage was %v, want at most the down interval %v", first, down)
	}
	if second > blip {
		t.Errorf("the return cost a second outage of %v", second)
	}
	if want, got := []string{"lb1", "lb2", "lb1"}, report.UDP.Turns(); !slices.Equal(got, want) {
		t.Errorf("the VIP was served by %v in turn, want %v", got, want)
	}
	l.one(report.Wire, 1)
}

func quickRestart(t *T) {
	l := newPair(t)
	l.up()
	seq := l.lb2.last()
	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.kill()
	l.lb1.start()
	l.lb1.await("MASTER", slack)
	time.Sleep(down + slack)
	l.alone(topology.LB1)
	if moved := l.lb2.since(seq, stateChange); len(moved) > 0 {
		t.Errorf("lb2 tells of %v", moved)
	}
	report := stop()
	if lost := len(report.UDP.Lost()); lost > 0 {
		t.Errorf("%d datagrams were lost over the restart, want none", lost)
	}
	l.one(report.Wire, 0)
}

// restartIPVS: the kernel goes on serving while the daemon is away, and the daemon finds everything as it left it.
func restartIPVS(t *T) {
	l := newService(t)
	l.up()
	l.serving()
	table := l.lb1.table()
	stop := l.measure(requests())
	time.Sleep(500 * time.Millisecond)
	l.lb1.kill()
	l.lb1.start()
	l.lb1.await("MASTER", slack)
	for range 10 {
		if now := l.lb1.table(); now != table {
			t.Errorf("IPVS was %q, and is %q", table, now)
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if n := len(l.lb2.since(0, became("MASTER"))); n > 0 {
		t.Errorf("lb2 became master")
	}
	if lost := stop().HTTP.Lost(); len(lost) > 0 {
		t.Errorf("%d requests were lost over the restart: %s", len(lost), lost[0].Err)
	}
	l.alone(topology.LB1)
}

// guardian: of a daemon that is killed alone, and does not come back, nothing is left after its lease; one that comes back at once
// goes on with all that it had.
func guardian(t *T) {
	l := newPair(t, edit{"  track ", withRoutes})
	l.up()
	l.routed(topology.LB1)
	seq := l.lb2.last()
	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.die()
	l.lb1.start()
	l.lb1.await("MASTER", slack)
	time.Sleep(down + slack) // the guardian of the first one has seen that another one is there
	l.alone(topology.LB1)
	l.routed(topology.LB1)
	if moved := l.lb2.since(seq, stateChange); len(moved) > 0 {
		t.Errorf("lb2 tells of %v", moved)
	}
	report := stop()
	if lost := len(report.UDP.Lost()); lost > 0 {
		t.Errorf("%d datagrams were lost over the restart, want none", lost)
	}
	l.one(report.Wire, 0)

	l.lb1.die()
	l.lb2.await("MASTER", down+slack)
	l.alone(topology.LB2)
	l.routed(topology.LB2)
	l.Eventually("no process of vipward is left on lb1", slack, func() error {
		pids, err := l.Node(topology.LB1).Pids()
		for _, pid := range pids {
			if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); exe == filepath.Join(l.Bin, "vipward") {
				return fmt.Errorf("there is %d", pid)
			}
		}
		return err
	})
}

// die kills the daemon alone.
func (d *director) die() {
	d.lab.Logf("kill -9 of the daemon on %s alone", d.node.Name)
	d.lab.Must(unix.Kill(d.proc.Pid(), unix.SIGKILL))
	<-d.proc.Done()
}
