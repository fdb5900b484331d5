package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/scenario"
)

// chaosPlugin is put before the service of the example: a plugin that misbehaves as its environment says, and a check by it that
// nothing depends on.
const chaosPlugin = `plugin "chaos" {
  path = %q
  env  = { CHAOS = %q }
}
%s
virtual_server "web" {`

const spare = `checker "chaos" "spare" {
  interval = "1s"
  timeout  = "500ms"
}
`

// chaosCheck is put beside the service's own check: both have to pass.
const chaosCheck = `  check "chaos" {
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
  }

  check "http" {`

// dwell is how long each fault lasts after its effect was seen: two failures, were any taken from it, put a server out.
const dwell = 700 * time.Millisecond

// mayGrow is by how much the daemon's memory may grow whatever its plugins do, in bytes.
const mayGrow = 20 << 20

// chaos lets a plugin that decides about both real servers do all that a plugin can do wrong, one after the other, while a pair
// serves clients: nothing changes but the plugin.
func chaos(t *T) {
	l := newService(t)
	d := l.lb1
	d.write(withChaos(t, "", spare))
	l.up()
	l.serving()
	c := &calm{lab: l, director: d, table: d.table(), seq: d.last(), peer: l.lb2.last()}
	before := d.resident("VmRSS")
	stop := l.measure(requests())

	// A plugin that breaks off counts as exited, one that is busy with its harm as hung.
	ended := func(n int) func() error { return func() error { return d.told(n, "plugin.exited", "plugin.hung") } }
	c.under("crash", "it has ended three times", ended(3))
	c.under("giant", "it has sent 100 MB and was ended", ended(1))
	c.under("garbage", "it has written garbage and was ended", ended(1))
	c.under("stderr-flood", "what it logs is cut", func() error {
		if !strings.Contains(d.proc.Log()[c.said:], "suppressed") {
			return fmt.Errorf("the log does not say so: %s", scenario.Tail(d.proc.Log(), 3))
		}
		return d.chaosRuns()
	})
	c.under("unknown-ids", "results of unknown checks are dropped", d.dropsResults)
	c.under("grandchild", "it runs", d.chaosRuns)
	d.chaos("late", spare)
	d.chaos("late", "") // it is told to forget a check, and fails it from then on
	c.holds("late", "results of a check that is gone are dropped", d.dropsResults)
	c.under("stop", "it has stopped itself and was replaced", func() error { return d.told(1, "plugin.hung") })
	c.under("stubborn", "it runs", d.chaosRuns)
	t.Must(unix.Kill(d.plugin("http").Pid, unix.SIGKILL))
	c.holds("kill -9 of the http plugin", "it has been told", ended(1))

	if grown := d.resident("VmRSS") - before; grown > mayGrow {
		t.Errorf("the daemon has grown by %s, want at most %s", mib(grown), mib(mayGrow))
	}
	t.Figure("memory", mib(before)+" to "+mib(d.resident("VmRSS"))+", at most "+mib(d.resident("VmHWM")))
	report := stop()
	if lost := report.HTTP.Lost(); len(lost) > 0 {
		t.Errorf("%d requests were lost meanwhile", len(lost))
	}
	l.one(report.Wire, 0)
	began := time.Now()
	d.terminate() // the plugin that is there now does not want to end
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the daemon took %v to stop, want at most 3 s", took)
	} else {
		t.Figure("stopped after", took)
	}
}

// calm asserts that nothing but the plugin changes.
type calm struct {
	lab       *lab
	director  *director
	table     string
	seq, peer uint64
	said      int // bytes of the log at the beginning of the present fault
}

// harm matches what no plugin may bring about by its own trouble.
func harm(o occurrence) bool { return stateChange(o) || o.Code == "checker.state" && o.To == "down" }

// under reloads with a fault of the chaos plugin and waits for what it leads to.
func (c *calm) under(fault, what string, seen func() error) {
	c.said, c.director.mark = len(c.director.proc.Log()), c.director.last()
	c.director.chaos(fault, spare)
	c.holds(fault, what, seen)
}

// holds waits for something to be seen, and asserts that everything is as it was.
func (c *calm) holds(fault, what string, seen func() error) {
	took := c.lab.Eventually(fault+": "+what, 20*time.Second, seen)
	c.lab.Figure(fault, took)
	time.Sleep(dwell)
	if now := c.director.table(); now != c.table {
		c.lab.Errorf("%s: IPVS was %q, and is %q", fault, c.table, now)
	}
	if changes := append(c.director.since(c.seq, harm), c.lab.lb2.since(c.peer, harm)...); len(changes) > 0 {
		c.lab.Errorf("%s: something changed: %+v", fault, changes)
	}
	c.director.mark = c.director.last()
}

// withChaos is the configuration of the example with a fault of the chaos plugin, "" for none, and further blocks.
func withChaos(t *T, fault, blocks string) string {
	path := filepath.Join(t.Bin, "examples", "vipward-plugin-chaos")
	return configuration(t, "pair-dr.hcl",
		edit{`virtual_server "web" {`, fmt.Sprintf(chaosPlugin, path, fault, blocks)}, edit{`  check "http" {`, chaosCheck})
}

// chaos reloads the daemon with a fault.
func (d *director) chaos(fault, blocks string) {
	d.write(withChaos(d.lab.T, fault, blocks))
	d.do("reload")
}

// told says what is wrong when fewer events of those codes than n have come since the last mark.
func (d *director) told(n int, codes ...string) error {
	if got := d.since(d.mark, func(o occurrence) bool { return slices.Contains(codes, o.Code) }); len(got) < n {
		time.Sleep(200 * time.Millisecond) // a guest needs its time for other things
		return fmt.Errorf("%v were told %d times, want %d", codes, len(got), n)
	}
	return nil
}

func (d *director) chaosRuns() error {
	if p := d.plugin("chaos"); p.State != "running" {
		return fmt.Errorf("it is %+v", p)
	}
	return nil
}

// dropsResults says what is wrong when no result of the chaos plugin has been dropped.
func (d *director) dropsResults() error {
	text, err := d.api.metrics()
	if err != nil {
		return err
	}
	const name = `vipward_plugin_results_dropped_total{kind="checker",plugin="chaos"} `
	_, rest, ok := strings.Cut(text, name)
	value, _, _ := strings.Cut(rest, "\n")
	if n, err := strconv.ParseFloat(value, 64); !ok || err != nil || n == 0 {
		return fmt.Errorf("%s is %q", strings.TrimSpace(name), value)
	}
	return nil
}

// resident is a figure of the daemon's memory in bytes: VmRSS what it has, VmHWM what it has had at most (proc_pid_status(5)).
func (d *director) resident(name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.proc.Pid()))
	d.lab.Must(err)
	for line := range bytes.Lines(text) {
		if fields := strings.Fields(string(line)); len(fields) > 1 && fields[0] == name+":" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			d.lab.Must(err)
			return n << 10
		}
	}
	d.lab.Fatalf("/proc/%d/status has no %s", d.proc.Pid(), name)
	return 0
}
