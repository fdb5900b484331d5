package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/cloudflare/ipvs"
	"github.com/cloudflare/ipvs/netmask"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// benchIPVS measures what it costs to bring many real servers into IPVS, beside keepalived and beside the bare writes.
func benchIPVS(bin string, rounds int, out io.Writer) error {
	fmt.Fprintf(out, "Real servers without checks, %d in each service, brought into IPVS by a reload (SIGHUP) of a daemon that had one of them; raw is a loop\n", perService)
	fmt.Fprintf(out, "of writes by the same library. The daemons read the file first; what vipward then writes it tells itself. Median of up to %d rounds, one\n", rounds)
	fmt.Fprintf(out, "of 20000. CPU is that of the daemon.\n\n")
	fmt.Fprintln(out, "| real servers | by | in IPVS after | writes took | of raw | CPU for all | the same file again: CPU, writes | CPU at rest | memory |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|")
	for _, n := range []int{100, 1000, 5000, 20000} {
		var raw time.Duration
		for _, by := range []struct {
			name  string
			apply func(*lab, int) applied
		}{{"raw", rawApply}, {"vipward", vipwardApply}, {"keepalived", keepalivedApply}} {
			var runs []applied
			for range rounds {
				if n > 5000 && len(runs) > 0 {
					break
				}
				if err := once(bin, "ipvs", func(t *T) { runs = append(runs, by.apply(newNet(t), n)) }); err != nil {
					return fmt.Errorf("%d real servers by %s: %w", n, by.name, err)
				}
			}
			a := median(runs)
			if by.name == "raw" {
				raw = a.took
				fmt.Fprintf(out, "| %d | raw | %.2f s | %.2f s | 1 | – | – | – | – |\n", n, raw.Seconds(), raw.Seconds())
				continue
			}
			told, again := "– | –", ""
			if a.writes > 0 {
				told = fmt.Sprintf("%.2f s | %.2f", a.writes.Seconds(), a.writes.Seconds()/raw.Seconds())
				again = fmt.Sprintf(", %d", a.rewritten)
			}
			fmt.Fprintf(out, "| %d | %s | %.2f s | %s | %.2f s | %.2f s%s | %.1f %% | %s |\n", n, by.name, a.took.Seconds(), told,
				a.cpu.Seconds(), a.again.Seconds(), again, 100*a.rest, mib(a.memory))
		}
	}
	return nil
}

// applied is what it cost.
type applied struct {
	took       time.Duration // until the kernel had all
	writes     time.Duration // of that, as the daemon tells; 0 where it does not
	rewritten  int           // changes that it made for the same file again
	cpu, again time.Duration // of the processor: for it, and for the same file again
	rest       float64       // share of the processor while nothing happens
	memory     int64         // resident, in bytes
}

// median is the run in the middle, by the time it took.
func median(runs []applied) applied {
	for i := range runs {
		for j := i; j > 0 && runs[j].took < runs[j-1].took; j-- {
			runs[j], runs[j-1] = runs[j-1], runs[j]
		}
	}
	return runs[len(runs)/2]
}

// inIPVS counts the real servers in the table of a node.
func inIPVS(n *topology.Node) int {
	count := 0
	_ = n.Do(func() error { // a table that cannot be read has none
		text, err := os.ReadFile("/proc/thread-self/net/ip_vs")
		count = bytes.Count(text, []byte("\n  -> ")) - 1 // the heading
		return err
	})
	return count
}

// virtual and real are the endpoints of the n-th real server.
func endpoints(n int) (virtual, real netip.AddrPort) {
	v, r := n/perService, n
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(v), 1}), 80), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(r >> 8), byte(r)}), 80)
}

// rawApply writes them one after the other.
func rawApply(l *lab, n int) (a applied) {
	l.Must(l.Node(topology.LB1).Do(func() error {
		c, err := ipvs.New()
		if err != nil {
			return err
		}
		defer c.(io.Closer).Close()
		began := time.Now()
		var s ipvs.Service
		for i := range n {
			v, r := endpoints(i)
			if i%perService == 0 {
				s = ipvs.Service{Address: v.Addr(), Port: v.Port(), Protocol: ipvs.TCP, Family: ipvs.INET, Scheduler: "rr", Netmask: netmask.MaskFrom(32, 32)}
				if err := c.CreateService(s); err != nil {
					return err
				}
			}
			d := ipvs.Destination{Address: r.Addr(), Port: r.Port(), Family: ipvs.INET, FwdMethod: ipvs.DirectRoute, Weight: 1}
			if err := c.CreateDestination(s, d); err != nil {
				return err
			}
		}
		a.took = time.Since(began)
		return nil
	}))
	return a
}

// complete waits until the table has so many real servers. To look at all of them takes the more time the more there are: the last
// service is looked at until it has its own, which both daemons write last, and then all.
func (l *lab) complete(n *topology.Node, p *proc.Process, want int) (took time.Duration) {
	began := time.Now()
	for {
		looked := time.Now()
		if lastInIPVS(n, want) {
			took = looked.Sub(began)
			if inIPVS(n) == want {
				return took
			}
		}
		if looked.Sub(began) > 150*time.Second {
			l.Fatalf("IPVS has %d real servers, want %d: %s", inIPVS(n), want, scenario.Tail(p.Log(), 5))
		}
		time.Sleep(max(2*time.Millisecond, 9*time.Since(looked)))
	}
}

// lastInIPVS tells whether the last of so many real servers is there, with the others of its service.
func lastInIPVS(n *topology.Node, servers int) (there bool) {
	v, _ := endpoints(servers - 1)
	_ = n.Do(func() error { // what cannot be read is not there
		c, err := ipvs.New()
		if err != nil {
			return err
		}
		defer c.(io.Closer).Close()
		have, err := c.Destinations(ipvs.Service{Address: v.Addr(), Port: v.Port(), Protocol: ipvs.TCP, Family: ipvs.INET})
		there = len(have) == (servers-1)%perService+1
		return err
	})
	return there
}

// changesTold are what vipward has told of its changes to IPVS so far.
func changesTold(p *proc.Process) (changes int, took time.Duration) {
	for line := range strings.Lines(p.Log()) {
		var told struct {
			Msg     string
			Changes int
			Took    time.Duration
		}
		if json.Unmarshal([]byte(line), &told) == nil && told.Msg == "IPVS was changed" {
			changes, took = changes+told.Changes, took+told.Took
		}
	}
	return changes, took
}

// reloaded has a daemon that holds one real server take a file with n, and the same file once more.
func (l *lab) reloaded(n int, p *proc.Process, write func(n int)) (a applied) {
	node := l.Node(topology.LB1)
	l.complete(node, p, 1)
	tree := p.Tree()
	hangup := func() time.Duration {
		before := cpu(l.T, tree...)
		p.Signal(unix.SIGHUP)
		return before
	}
	_, first := changesTold(p)
	write(n)
	before := hangup()
	a.took = l.complete(node, p, n)
	calm := 2*time.Second + time.Duration(n)*100*time.Microsecond
	time.Sleep(calm)
	a.cpu = cpu(l.T, tree...) - before
	before = cpu(l.T, tree...)
	time.Sleep(calm)
	rest := cpu(l.T, tree...) - before
	a.rest = rest.Seconds() / calm.Seconds()
	changes, took := changesTold(p)
	a.writes = took - first
	before = hangup()
	time.Sleep(calm)
	a.rewritten, _ = changesTold(p)
	a.rewritten -= changes
	a.again = max(cpu(l.T, tree...)-before-rest, 0)
	l.complete(node, p, n)
	for _, pid := range tree {
		resident, _ := memory(l.T, pid)
		a.memory += resident
	}
	return a
}

func vipwardApply(l *lab, n int) applied {
	write := func(n int) string {
		return manyPlain(n, fmt.Sprintf("node %q { address = \"10.77.0.1\" }\nlog { level = \"debug\" }\n", topology.LB1),
			"virtual_server \"v%[1]v\" {\n  address = %[1]q\n  scheduler = \"rr\"\n  forward = \"dr\"\n", "  real_server %q {}\n")
	}
	d := l.newDirector(topology.LB1, write(1))
	d.start()
	return l.reloaded(n, d.proc, func(n int) { d.write(write(n)) })
}

func keepalivedApply(l *lab, n int) applied {
	write := func(n int) string {
		return manyPlain(n, "global_defs {\n router_id bench\n}\n", "virtual_server %s {\n lvs_sched rr\n lvs_method DR\n protocol TCP\n", " real_server %s {\n  weight 1\n }\n")
	}
	p, config := l.checkingKeepalived(write(1))
	return l.reloaded(n, p, func(n int) { l.Must(os.WriteFile(config, []byte(write(n)), 0o644)) })
}

// manyPlain is a configuration with n real servers that nobody checks. Service and server are the forms of their lines; an endpoint
// without quotes is written as keepalived does, with a blank before the port.
func manyPlain(n int, head, service, server string) string {
	var s strings.Builder
	s.WriteString(head)
	put := func(form string, a netip.AddrPort) {
		text := a.String()
		if !strings.Contains(form, "q") {
			text = strings.Replace(text, ":", " ", 1)
		}
		fmt.Fprintf(&s, form, text)
	}
	for i := range n {
		v, r := endpoints(i)
		if i%perService == 0 {
			put(service, v)
		}
		put(server, r)
		if i%perService == perService-1 || i == n-1 {
			s.WriteString("}\n")
		}
	}
	return s.String()
}
