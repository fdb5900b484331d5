package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// soon is within what every change of this scenario has to be seen: the check takes two failures, one second apart.
const soon = 20 * time.Second

// plainService is the service of the example once more, at an address of its own that nobody holds, with a check of the servers
// themselves.
const plainService = `virtual_server "plain" {
  address = "10.77.0.101:80"
  forward = "dr"
  real_server "10.77.0.11:80" {}
  real_server "10.77.0.12:80" {}
  check "http" {
    path     = "/index.html"
    interval = "1s"
  }
}

virtual_server "web" {`

// throughDR: direct routing with a check by HTTP; a server without the VIP.
func throughDR(t *T) {
	l := newService(t, edit{"virtual_server \"web\" {", plainService}, edit{
		"  check \"http\" {\n    path     = \"/index.html\"\n    status ",
		"  check \"http\" {\n    through_vip = true\n    path     = \"/index.html\"\n    status ",
	})
	for _, d := range []*director{l.lb1, l.lb2} {
		t.Must(d.node.Sysctl("ipv4/conf/eth0/rp_filter", "1"))
	}
	l.up()
	l.seen("at the beginning", "up")
	l.sysctls(l.lb1, "1", "2", "3")
	l.sysctls(l.lb2, "1", "2", "3")
	l.without("the VIP", []string{"ip", "address", "del", "10.77.0.100/32", "dev", "lo"}, []string{"ip", "address", "add", "10.77.0.100/32", "dev", "lo"})

	before := []uint64{l.lb1.last(), l.lb2.last()}
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", soon)
	time.Sleep(4 * time.Second) // some checks through the VIP, from its old master and from its new one
	for k, d := range []*director{l.lb1, l.lb2} {
		if moved := d.since(before[k], func(o occurrence) bool { return o.Code == "real_server.state" }); len(moved) > 0 {
			t.Errorf("the hand-over made %s judge servers anew: %+v", d.node.Name, moved)
		}
		if again := d.since(0, func(o occurrence) bool { return strings.HasPrefix(o.Code, "service.repaired") }); len(again) > 0 {
			t.Errorf("%s repaired its own services: %+v", d.node.Name, again)
		}
	}
	l.putBack()
}

// throughTUN: tunnels with a check by TCP; a server whose tunnel device filters what comes out of the tunnel.
func throughTUN(t *T) {
	l := newServiceBy(t, "tun", edit{"virtual_server \"web\" {", plainService}, edit{"scheduler = \"rr\"\n  forward   = \"dr\"", "scheduler = \"rr\"\n  forward   = \"tun\""},
		edit{"  check \"http\" {\n    path     = \"/index.html\"\n    status   = [200]\n", "  check \"tcp\" {\n    through_vip = true\n"})
	l.up()
	l.seen("at the beginning", "up")
	const filter = "net.ipv4.conf.tunl0.rp_filter="
	l.without("a loose filter", []string{"sysctl", "-qw", filter + "1"}, []string{"sysctl", "-qw", filter + "2"})
	l.without("the VIP", []string{"sh", "-c", "ip address del 10.77.0.100/32 dev lo; ip address del 10.77.0.100/32 dev tunl0"},
		[]string{"sh", "-c", "ip address add 10.77.0.100/32 dev lo; ip address add 10.77.0.100/32 dev tunl0"})
}

// seen waits until both directors find rs1 in that state through the VIP, and rs2 up. By the plain check both are up.
func (l *lab) seen(when, state string) {
	for _, d := range []*director{l.lb1, l.lb2} {
		took := l.Eventually(fmt.Sprintf("%s: rs1 is %s for %s", when, state, d.node.Name), soon, func() error {
			for _, v := range d.status().Services {
				for _, r := range v.RealServers {
					want := "up"
					if v.Name == "web" && r.Address == server1 {
						want = state
					}
					if r.State != want {
						return fmt.Errorf("%s of %s is %s (%s), want %s", r.Address, v.Name, r.State, r.Reason, want)
					}
				}
			}
			return nil
		})
		l.Figure(when+": "+d.node.Name, took)
	}
}

// without takes something from rs1 and gives it back.
func (l *lab) without(what string, take, give []string) {
	l.exec(topology.RS1, take...)
	l.seen("without "+what, "down")
	l.exec(topology.RS1, give...)
	l.seen("with "+what+" again", "up")
}

// sysctls compares what is set on a director: accept_local and rp_filter of eth0, and conn_reuse_mode of IPVS.
func (l *lab) sysctls(d *director, want ...string) {
	l.Eventually(fmt.Sprintf("the sysctls of %s are %v", d.node.Name, want), soon, func() error {
		out, err := d.node.Output("sysctl", "-n", "net.ipv4.conf.eth0.accept_local", "net.ipv4.conf.eth0.rp_filter", "net.ipv4.vs.conn_reuse_mode")
		if got := strings.Fields(out); err == nil && !slices.Equal(got, want) {
			return fmt.Errorf("they are %v", got)
		}
		return err
	})
}

// putBack has checks of the servers themselves take the place of those through the VIP, and a daemon stop: nothing of them is left.
func (l *lab) putBack() {
	for _, d := range []*director{l.lb1, l.lb2} {
		if n := strings.Count(d.table(), "-A -f "); n != 2 {
			l.Errorf("%s has %d services by firewall mark, want one for each real server", d.node.Name, n)
		}
	}
	l.lb1.write(configuration(l.T, "pair-dr.hcl"))
	l.lb1.do("reload")
	l.lb2.terminate()
	for _, d := range []*director{l.lb1, l.lb2} {
		l.Eventually("no service by firewall mark is left on "+d.node.Name, soon, func() error {
			if table := d.table(); strings.Contains(table, "-f ") {
				return fmt.Errorf("the table is %q", table)
			}
			return nil
		})
	}
	l.sysctls(l.lb1, "0", "1", "3") // the last is for any service of IPVS
	l.sysctls(l.lb2, "0", "1", "1")
}
