package e2e

import (
	"fmt"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// withRoutes has the master send the answers of the VIP by a table of their own, and swallow a network.
const withRoutes = `  virtual_route "0.0.0.0/0" {
    interface = "eth0"
    table     = 100
    source    = "10.77.0.100"
  }
  virtual_route "192.0.2.0/24" { type = "blackhole" }
  virtual_rule {
    priority = 100
    from     = "10.77.0.100"
    table    = 100
  }

  track `

// routes: they are where the master is, come back when somebody deletes them, and what a dead daemon leaves is removed by the next.
func routes(t *T) {
	l := newPair(t, edit{"  track ", withRoutes})
	l.up()
	l.routed(topology.LB1)
	for _, args := range []string{"route del blackhole 192.0.2.0/24", "rule del priority 100"} {
		_, err := l.Node(topology.LB1).Output("ip", strings.Fields(args)...)
		t.Must(err)
	}
	l.routed(topology.LB1)
	t.Eventually("lb1 tells that it put them back", slack, func() error {
		if n := len(l.lb1.since(0, func(e occurrence) bool { return e.Code == "route.repaired" })); n != 2 {
			return fmt.Errorf("%d events route.repaired, want 2", n)
		}
		return nil
	})
	if n := len(l.lb1.since(0, became("MASTER"))); n != 1 {
		t.Errorf("lb1 became master %d times, want once", n)
	}

	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	l.routed(topology.LB2)
	time.Sleep(time.Second)
	l.lossless("failover", stop(), "lb1", "lb2")

	l.lb2.kill()
	l.lb1.await("MASTER", down+slack)
	l.lb2.start()
	l.lb2.await("BACKUP", notice+slack)
	l.routed(topology.LB1)
	l.lb1.terminate()
	l.lb2.await("MASTER", slack)
	l.routed(topology.LB2)
}

// routed waits until the routes and the rule are on that node, and nowhere else.
func (l *lab) routed(name string) {
	l.Eventually("the routes are on "+name+" alone", slack, func() error {
		for _, n := range []string{topology.LB1, topology.LB2} {
			var all strings.Builder
			for _, args := range []string{"route show table all", "rule show"} {
				out, err := l.Node(n).Output("ip", strings.Fields(args)...)
				if err != nil {
					return err
				}
				all.WriteString(out)
			}
			want := 0
			if n == name {
				want = 3
			}
			if got := strings.Count(all.String(), "proto 118"); got != want {
				return fmt.Errorf("%s has %d routes and rules of ours, want %d:\n%s", n, got, want, all.String())
			}
		}
		return nil
	})
}
