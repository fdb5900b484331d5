package e2e

import (
	"fmt"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// serviceByMark: one service for all packets with a firewall mark, which a rule of the operator's gives. The kernel of the
// guest has no nftables, so that the rule is one of tc.
func serviceByMark(t *T) {
	l := newService(t, edit{`address   = "${local.vip}:80"`, "fwmark    = 7"}, edit{"  protocol  = \"tcp\"\n", ""})
	l.exec(topology.LB1, "tc", "qdisc", "add", "dev", "eth0", "ingress")
	l.exec(topology.LB1, "tc", "filter", "add", "dev", "eth0", "ingress", "protocol", "ip", "flower",
		"dst_ip", topology.VIP.String(), "action", "skbedit", "mark", "7")
	l.up()
	for _, server := range []string{"10.77.0.11:0", "10.77.0.12:0"} {
		line := "-a -f 7 -r " + server + " -g -w 1"
		l.Eventually(server+" is in IPVS", 10*time.Second, func() error {
			if table := l.lb1.table(); !strings.Contains(table, line) {
				return fmt.Errorf("no %q in %q", line, table)
			}
			return nil
		})
	}
	stop := l.measure(requests())
	time.Sleep(3 * time.Second)
	flow := stop().HTTP
	if by := flow.By(); len(flow) < 50 || len(flow.Lost()) > 0 || by[topology.RS1] == 0 || by[topology.RS2] == 0 {
		l.Errorf("%d requests, %d of them lost, answered by %v; want many, none lost, both servers", len(flow), len(flow.Lost()), by)
	}
	l.Eventually("the status counts the requests", 10*time.Second, func() error {
		if c := l.lb1.status().Services[0].Traffic; c.Connections < uint64(len(flow)) || c.InBytes == 0 {
			return fmt.Errorf("it counts %+v of %d requests", c, len(flow))
		}
		return nil
	})
}
