package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/topology"
)

// passage is one protocol in one way to a real server.
type passage struct {
	name, protocol, forward, tunnel string
	last                            int // of the VIP
}

// passages are what no other scenario has.
var passages = []passage{
	{"udp-dr", "udp", "dr", "", 100},
	{"udp-nat", "udp", "nat", "", 101},
	{"udp-gue", "udp", "tun", "tunnel {\n type = \"gue\"\n port = 6080\n }", 102},
	{"udp-gre", "udp", "tun", "tunnel { type = \"gre\" }", 103},
	{"sctp-dr", "sctp", "dr", "", 100},
	{"sctp-nat", "sctp", "nat", "", 101},
	{"sctp-tun", "sctp", "tun", "", 104},
}

// protocols: datagrams, SCTP and every kind of tunnel in both families, with a real server that the command has set up.
func protocols(t *T) {
	l := newForwarding(t)
	var config, takes strings.Builder
	config.WriteString("node \"lb1\" { address = \"10.77.0.1\" }\nvrrp_instance \"web\" {\n  interface = \"eth0\"\n  virtual_router_id = 51\n")
	for _, n := range []string{"10.77.0.", network6} {
		six := strings.Contains(n, ":")
		for _, last := range []string{backVIP, "100", "101", "102", "103", "104"} {
			fmt.Fprintf(&config, "  virtual_address \"%s/%d\" { advertised = %v }\n", n+last, map[bool]int{false: 32, true: 128}[six], !six)
			if last != backVIP && last != "101" {
				takes.WriteString("," + n + last)
			}
		}
	}
	config.WriteString("}\n")
	l.realServer(topology.RS1, "setup", "--method", "tun", "--tunnel", "ipip,gre,gue", "--vip", takes.String()[1:])
	for _, six := range []bool{false, true} {
		for _, p := range passages {
			fmt.Fprintf(&config, "virtual_server \"%s-%v\" {\n  address = %q\n  protocol = %q\n  forward = %q\n  real_server %q {\n %s\n }\n}\n",
				p.name, six, p.service(six), p.protocol, p.forward, at(six, 11), p.tunnel)
			p.answer(l, six)
		}
	}
	l.lb1 = l.newDirector(topology.LB1, config.String())
	l.lb1.start()
	l.lb1.await("MASTER", 15*time.Second)
	for _, six := range []bool{false, true} {
		for _, p := range passages {
			l.Eventually(fmt.Sprintf("%s is answered, IPv6 %v", p.name, six), 5*time.Second, func() error { return p.ask(l, six) })
			for range 10 {
				if err := p.ask(l, six); err != nil {
					t.Errorf("%s, IPv6 %v: %v", p.name, six, err)
					break
				}
			}
		}
	}
	l.realServer(topology.RS1, "check")
	l.realServer(topology.RS1, "remove")
	for _, family := range []string{"-4", "-6"} {
		out, err := l.Node(topology.RS1).Output("sh", "-c", "ip fou show "+family+"; ip -o "+family+" address show; ip -o link show up")
		if t.Must(err); strings.Contains(out, "gue") || strings.Contains(out, "10.77.0.10") || strings.Contains(out, network6+"10") || strings.Contains(out, "NOARP") {
			t.Errorf("after the removal rs1 has %s", out)
		}
	}
}

// at is the port of these services at an address of the laboratory.
func at(six bool, last int) netip.AddrPort {
	network := "10.77.0."
	if six {
		network = network6
	}
	return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprint(network, last)), probe.Port)
}

func (p passage) service(six bool) netip.AddrPort { return at(six, p.last) }

// answer has rs1 answer at the address that packets come to: the VIP, and its own one with NAT.
func (p passage) answer(l *lab, six bool) {
	to := p.service(six)
	if p.forward == "nat" {
		to = at(six, 11)
	}
	rs1 := l.Node(topology.RS1).NS
	serve := probe.Echo
	if p.protocol == "sctp" {
		serve = probe.AnswerSCTP
	}
	l.Background(func(ctx context.Context) error { return serve(ctx, rs1, to, topology.RS1) })
}

// ask asks once, over a new connection or flow.
func (p passage) ask(l *lab, six bool) error {
	by, err := probe.Ask(l.Node(topology.Client).NS, p.protocol, at(six, 10).Addr(), p.service(six), time.Second)
	if err == nil && by != topology.RS1 {
		err = fmt.Errorf("the answer came from %q", by)
	}
	return err
}
