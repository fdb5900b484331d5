package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/topology"
)

var errStill = errors.New("it holds it still")

func handover(t *T) {
	l := newPair(t)
	l.up()

	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	time.Sleep(time.Second)
	l.alone(topology.LB2)
	l.lossless("failover", stop(), "lb1", "lb2")

	stop = l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb2.terminate()
	l.nothingLeft(l.lb2)
	l.lb1.await("MASTER", slack)
	time.Sleep(time.Second)
	l.alone(topology.LB1)
	l.lossless("SIGTERM", stop(), "lb2", "lb1")
}

// lossless asserts that a planned move from one director to the other cost no datagram.
func (l *lab) lossless(what string, r probe.Report, from, to string) { l.lost(what, r, from, to, 0) }

// lost asserts that it cost no more than so many.
func (l *lab) lost(what string, r probe.Report, from, to string, most int) {
	silence, _ := r.UDP.Silence()
	l.Figure(what+": gap", silence)
	if lost := len(r.UDP.Lost()); lost > most {
		l.Errorf("%s: %d datagrams were lost, want %d at most", what, lost, most)
	}
	if by := r.UDP.By(); by[from] == 0 || by[to] == 0 {
		l.Errorf("%s: the answers came from %v, want both directors", what, by)
	}
	l.one(r.Wire, 1)
}

// openAtMove is how many requests of our probe may be open in the moment of a move. The new director does not know their
// connections, unless the directors share them by the kernel's connection synchronisation.
const openAtMove = 2

func shutdownIPVS(t *T) {
	l := newService(t)
	l.up()
	l.serving()
	stop := l.measure(requests())
	time.Sleep(500 * time.Millisecond)
	l.lb1.terminate()
	l.nothingLeft(l.lb1)
	if table := l.lb1.table(); table != "" {
		t.Errorf("SIGTERM left %q in IPVS", table)
	}
	l.lb2.await("MASTER", slack)
	time.Sleep(time.Second)
	l.alone(topology.LB2)
	report := stop()
	lost := report.HTTP.Lost()
	t.Figure("requests broken", len(lost))
	if len(lost) > openAtMove {
		t.Errorf("%d of %d requests failed over SIGTERM: %s", len(lost), len(report.HTTP), lost[0].Err)
	}
	l.one(report.Wire, 1)
}

// nothingLeft asserts that a director that has stopped in order leaves no address, no process and no socket.
func (l *lab) nothingLeft(d *director) {
	if holds, err := d.node.Holds(l.vip); err != nil || holds {
		l.Errorf("%s holds the VIP after its end (%v)", d.node.Name, err)
	}
	pids, err := d.node.Pids()
	l.Must(err)
	for _, pid := range pids {
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if strings.HasPrefix(exe, l.Bin) {
			l.Errorf("%s left the process %d running: %s", d.node.Name, pid, exe)
		}
	}
	if _, err := os.Stat(d.socket); err == nil {
		l.Errorf("%s left its socket", d.node.Name)
	}
}
