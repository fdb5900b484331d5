package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/topology"
)

// backVIP is the last part of the VIPs by which the answers of NAT come back, whichever director is master.
const backVIP = "99"

// newForwarding is a network in which every method works in both families, at the same time.
func newForwarding(t *T) *lab {
	l := newNet(t)
	for _, name := range []string{topology.Client, topology.LB1, topology.LB2, topology.RS1, topology.RS2} {
		l.number6(name)
	}
	for _, name := range []string{topology.LB1, topology.LB2} {
		t.Must(l.Node(name).Sysctl("ipv6/conf/all/forwarding", "1"))
	}
	for _, name := range []string{topology.RS1, topology.RS2} {
		l.wayBack(name)
	}
	return l
}

// wayBack has what a real server sends from its own address go to the client by way of the master, as NAT needs it. Everybody is on
// one link here, which a director would tell the server of by a redirection.
func (l *lab) wayBack(name string) {
	n := l.Node(name)
	last := n.Addr.As4()[3]
	for _, which := range []string{"all", "eth0"} {
		l.Must(n.Sysctl("ipv6/conf/"+which+"/accept_redirects", "0"))
	}
	for _, f := range []struct{ option, network string }{{"-4", "10.77.0."}, {"-6", network6}} {
		batch := filepath.Join(l.Dir, name+f.option)
		text := fmt.Sprintf("route add %s10 via %s%s dev eth0 onlink table 77\nrule add from %s%d to %s10 table 77\n",
			f.network, f.network, backVIP, f.network, last, f.network)
		l.Must(os.WriteFile(batch, []byte(text), 0o644))
		l.exec(name, "ip", f.option, "-batch", batch)
	}
}

// nat: the real servers answer through the director, so their way back to the client leads over it.
func forwardNAT(t *T) {
	l := newService(t, edit{`forward   = "dr"`, `forward   = "nat"`}, edit{`scheduler = "rr"`, `scheduler = "wrr"`})
	for _, node := range []string{topology.RS1, topology.RS2} {
		l.exec(node, "ip", "route", "add", "10.77.0.10/32", "via", "10.77.0.1")
	}
	l.served("-m")
}

// tun: the packets come in a tunnel, and the real servers answer the client directly.
func forwardTUN(t *T) {
	l := newServiceBy(t, "tun", edit{`forward   = "dr"`, `forward   = "tun"`}, edit{`scheduler = "rr"`, `scheduler = "sh"`})
	l.served("-i")
	l.mends(topology.RS2)
}

// mends spoils a real server in every way, does what the check of the command proposes, and has it undone.
func (l *lab) mends(node string) {
	l.realServer(node, "check")
	l.exec(node, "sh", "-c", "ip address del 10.77.0.100/32 dev lo; ip address del 10.77.0.100/32 dev tunl0; ip link set tunl0 down; sysctl -qw net.ipv4.conf.tunl0.rp_filter=1; "+
		"sysctl -qw net.ipv4.conf.all.arp_ignore=0; sysctl -qw net.ipv4.conf.all.arp_announce=0")
	out, err := l.Node(node).Output(filepath.Join(l.Bin, "vipward"), "realserver", "check", "--root", filepath.Join(l.Dir, node))
	if err == nil || strings.Count(out, "\n") != 6 {
		l.Errorf("the check of a spoilt real server ends with %v and says %q, want six problems", err, out)
	}
	for line := range strings.Lines(out) {
		if _, mend, ok := strings.Cut(line, "Mend it by: "); ok {
			l.exec(node, "sh", "-c", mend)
		}
	}
	l.realServer(node, "check")
	l.realServer(node, "remove")
	out, err = l.Node(node).Output("sh", "-c", "ip -o address show; ip -o link show up; cat /proc/sys/net/ipv4/conf/all/arp_*e")
	l.Must(err)
	if strings.Contains(out, "10.77.0.100") || strings.Contains(out, "tunl0") || !strings.HasSuffix(out, "0\n0\n") {
		l.Errorf("the real server holds after the removal: %s", out)
	}
}

// served asserts that requests through the VIP are answered, with the servers in IPVS by that option of ipvsadm.
func (l *lab) served(method string) {
	l.up()
	for _, server := range []string{server1, server2} {
		line := fmt.Sprintf("-a -t %v:80 -r %s %s -w 1", topology.VIP, server, method)
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
	if len(flow) < 50 || len(flow.Lost()) > 0 {
		l.Errorf("%d requests, %d of them lost; want many and none lost", len(flow), len(flow.Lost()))
	}
}

// udpAndPersistence: a service over UDP, and one that keeps a client at its server.
func udpAndPersistence(t *T) {
	l := newService(t, edit{`scheduler = "rr"`, "scheduler   = \"rr\"\n  persistence = \"50s\""}, edit{"virtual_server \"web\" {", udpService})
	for node, addr := range map[string]netip.Addr{topology.RS1: l.Node(topology.RS1).Addr, topology.RS2: l.Node(topology.RS2).Addr} {
		for _, a := range []netip.Addr{addr, topology.VIP} {
			l.Background(func(ctx context.Context) error {
				return probe.Echo(ctx, l.Node(node).NS, netip.AddrPortFrom(a, probe.Port), node)
			})
		}
	}
	l.up()
	l.Eventually("IPVS has the services", 10*time.Second, func() error {
		table := l.lb1.table()
		for _, line := range []string{"-A -u 10.77.0.100:7000 -s mh\n", "-A -t 10.77.0.100:80 -s rr -p 50\n", "-a -u 10.77.0.100:7000 -r 10.77.0.11:7000 -g -w 3\n"} {
			if !strings.Contains(table, line) {
				return fmt.Errorf("no %q in %q", line, table)
			}
		}
		return nil
	})
	l.Eventually("both web servers are up", 10*time.Second, func() error {
		if n := strings.Count(l.lb1.table(), ":80 -g -w 1\n"); n != 2 {
			return fmt.Errorf("%d are in IPVS", n)
		}
		return nil
	})
	stop := l.measure(probe.Config{HTTP: 25 * time.Millisecond, UDP: 5 * time.Millisecond})
	time.Sleep(2 * time.Second)
	report := stop()
	if by := report.HTTP.By(); len(by) != 1 || len(report.HTTP.Lost()) > 0 {
		t.Errorf("one client was served by %v with %d lost, want one server and none lost", by, len(report.HTTP.Lost()))
	}
	if by := report.UDP.By(); by[topology.RS1]+by[topology.RS2] == 0 || len(report.UDP.Lost()) > 0 {
		t.Errorf("datagrams were answered by %v with %d lost", by, len(report.UDP.Lost()))
	}
}

// udpService is put before the service of the example.
const udpService = `virtual_server "echo" {
  address   = "${local.vip}:7000"
  protocol  = "udp"
  scheduler = "mh"
  forward   = "dr"
  real_server "10.77.0.11:7000" { weight = 3 }
  real_server "10.77.0.12:7000" {}
}

virtual_server "web" {`

// exec runs a command on a node that has to succeed.
func (l *lab) exec(node string, args ...string) {
	if _, err := l.Node(node).Output(args[0], args[1:]...); err != nil {
		l.Fatalf("%s on %s: %v", strings.Join(args, " "), node, err)
	}
}
