package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	// sampled is how long the checks of one row are counted.
	sampled = 12 * time.Second
	// perService is how many real servers one virtual server has.
	perService = 100
)

// benchChecks counts what it costs to check many targets each second: by vipward, with its daemon and its plugin, and by
// keepalived in turn, on the same targets.
func benchChecks(bin string, _ int, out io.Writer) error {
	fmt.Fprintf(out, "Checks of real servers on loopback addresses, one a second each, counted by the servers over %v; IPVS has nothing to do.\n", sampled)
	fmt.Fprintf(out, "CPU in percent of one core. Late is how long after its time a check began.\n\n")
	fmt.Fprintln(out, "| check | targets | by | made | CPU daemon | CPU plugin | CPU a check | checks a CPU second | memory daemon | memory plugin | late, p50 | late, p99 |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, w := range []workload{{"tcp", 1000}, {"tcp", 5000}, {"http", 1000}, {"http", 5000}, {"tcp", 10000}} {
		for _, measure := range []func(*lab, workload) row{vipwardChecks, keepalivedChecks} {
			var r row
			if err := once(bin, "checks", func(t *T) { r = measure(newNet(t), w) }); err != nil {
				return fmt.Errorf("%d targets by %s: %w", w.targets, w.kind, err)
			}
			fmt.Fprintf(out, "| %s | %d | %s\n", w.kind, w.targets, r)
		}
	}
	return nil
}

// workload is so many targets, each checked once a second.
type workload struct {
	kind    string
	targets int
}

// row is what one daemon did.
type row struct {
	by             string
	made           int64 // checks
	of             int
	over           time.Duration
	daemon, plugin time.Duration // of the processor
	memory         []string
	late           [2]string
}

// String is the row as cells.
func (r row) String() string {
	percent := func(d time.Duration) string { return fmt.Sprintf("%.1f %%", 100*d.Seconds()/r.over.Seconds()) }
	cells := []string{r.by, fmt.Sprintf("%.0f %%", 100*float64(r.made)/float64(r.of)/r.over.Seconds()), percent(r.daemon), "–"}
	if r.plugin > 0 {
		cells[3] = percent(r.plugin)
	}
	all := (r.daemon + r.plugin).Seconds()
	cells = append(cells, fmt.Sprintf("%.0f µs", all/float64(max(r.made, 1))*1e6), fmt.Sprintf("%.0f", float64(r.made)/all))
	cells = append(append(cells, r.memory...), r.late[:]...)
	return strings.Join(cells, " | ") + " |"
}

// sample counts what happens over the time of one row.
func (l *lab) sample(c *crowd, w workload, daemon, plugin []int) row {
	r := row{of: w.targets}
	began := time.Now()
	made, d, p := c.accepted.Load(), cpu(l.T, daemon...), cpu(l.T, plugin...)
	time.Sleep(sampled)
	r.over = time.Since(began)
	r.made, r.daemon, r.plugin = c.accepted.Load()-made, cpu(l.T, daemon...)-d, cpu(l.T, plugin...)-p
	return r
}

func vipwardChecks(l *lab, w workload) row {
	d, c := l.checking(w)
	time.Sleep(3 * time.Second) // the first runs are over
	pid, before := d.plugin(w.kind).Pid, d.lateness(w.kind)
	r := l.sample(c, w, []int{d.proc.Pid()}, []int{pid})
	after := d.lateness(w.kind)
	r.by = "vipward"
	for _, p := range []int{d.proc.Pid(), pid} {
		resident, _ := memory(l.T, p)
		r.memory = append(r.memory, mib(resident))
	}
	r.late = [2]string{after.since(before).percentile(50), after.since(before).percentile(99)}
	d.terminate()
	return r
}

func keepalivedChecks(l *lab, w workload) row {
	c := l.crowd(topology.LB1, w.kind == "http")
	p, _ := l.checkingKeepalived(manyServersOfKeepalived(w))
	checked := c.watch()
	l.Eventually("keepalived has checked every server", 2*time.Minute, func() error {
		if n := checked(); n < w.targets {
			return fmt.Errorf("%d so far: %s", n, scenario.Tail(p.Log(), 5))
		}
		return nil
	})
	time.Sleep(3 * time.Second)
	c.unwatch()
	tree := p.Tree()
	r := l.sample(c, w, tree, nil)
	r.by = "keepalived"
	var all int64
	for _, pid := range tree {
		resident, _ := memory(l.T, pid)
		all += resident
	}
	r.memory, r.late = []string{mib(all), "–"}, [2]string{"–", "–"}
	return r
}

// checkingKeepalived starts keepalived on lb1 for its virtual servers alone, and tells the file that it reads.
func (l *lab) checkingKeepalived(text string) (p *proc.Process, config string) {
	config = filepath.Join(l.Dir, "keepalived.conf")
	l.Must(os.WriteFile(config, []byte(text), 0o644))
	args := append(l.stubIPVS(), "keepalived", "--dont-fork", "--log-console", "--check", "--use-file", config,
		"--pid", filepath.Join(l.Dir, "pid"), "--checkers_pid", filepath.Join(l.Dir, "checkers_pid"))
	p, err := proc.Start(l.Node(topology.LB1).NS, filepath.Join(l.Dir, "keepalived.log"), "env", args...)
	l.Must(err)
	l.Cleanup(p.Kill)
	return p, config
}

// manyServers is a configuration of vipward.
func manyServers(w workload) string {
	var s strings.Builder
	fmt.Fprintf(&s, "node %q { address = \"10.77.0.1\" }\n", topology.LB1)
	for n := range w.targets {
		if n%perService == 0 {
			fmt.Fprintf(&s, "virtual_server \"v%d\" {\n  address = \"10.9.%d.1:%d\"\n  forward = \"dr\"\n", n/perService, n/perService, crowdPort)
			fmt.Fprintf(&s, "  check %q {\n    interval = \"1s\"\n    timeout = \"1s\"\n%s  }\n", w.kind, map[string]string{"http": "    path = \"/\"\n    status = [200]\n"}[w.kind])
		}
		fmt.Fprintf(&s, "  real_server \"%s:%d\" {}\n", crowdAddress(n), crowdPort)
		if n%perService == perService-1 || n == w.targets-1 {
			s.WriteString("}\n")
		}
	}
	return s.String()
}

// manyServersOfKeepalived is the same for keepalived.
func manyServersOfKeepalived(w workload) string {
	check := "TCP_CHECK {\n   connect_timeout 1\n  }"
	if w.kind == "http" {
		check = "HTTP_GET {\n   url {\n    path /\n    status_code 200\n   }\n   connect_timeout 1\n  }"
	}
	var s strings.Builder
	s.WriteString("global_defs {\n router_id bench\n}\n")
	for n := range w.targets {
		if n%perService == 0 {
			fmt.Fprintf(&s, "virtual_server 10.9.%d.1 %d {\n delay_loop 1\n lvs_sched rr\n lvs_method DR\n protocol TCP\n", n/perService, crowdPort)
		}
		fmt.Fprintf(&s, " real_server %s %d {\n  weight 1\n  %s\n }\n", crowdAddress(n), crowdPort, check)
		if n%perService == perService-1 || n == w.targets-1 {
			s.WriteString("}\n")
		}
	}
	return s.String()
}
