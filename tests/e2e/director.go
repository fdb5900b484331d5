package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// director is a node with a vipward on it.
type director struct {
	lab    *lab
	node   *topology.Node
	dir    string
	config string
	socket string
	api    api
	proc   *proc.Process
	mark   uint64 // the event after which a scenario looks
}

func (l *lab) newDirector(node, config string) *director {
	d := &director{lab: l, node: l.Node(node), dir: filepath.Join(l.Dir, node)}
	l.Must(os.MkdirAll(d.dir, 0o755))
	d.config = filepath.Join(d.dir, "vipward.hcl")
	d.socket = router.Socket(d.dir)
	d.api = api{router.NewAPI(d.socket)}
	d.write(config)
	l.Cleanup(func() {
		if l.Failed() && d.proc != nil {
			l.Logf("--- what vipward on %s said last:\n%s", node, scenario.Tail(d.proc.Log(), 60))
		}
	})
	return d
}

// write replaces the configuration; it takes effect with a reload or a start.
func (d *director) write(text string) { d.lab.Must(os.WriteFile(d.config, []byte(text), 0o644)) }

// text is the configuration as it was written.
func (d *director) text() string {
	text, err := os.ReadFile(d.config)
	d.lab.Must(err)
	return string(text)
}

// start starts the daemon and waits until it answers on its socket.
func (d *director) start() {
	d.lab.Logf("vipward starts on %s", d.node.Name)
	p, err := router.Run(d.node, d.lab.Bin, d.dir)
	d.lab.Must(err)
	d.proc = p
	d.lab.Cleanup(p.Kill)
	d.lab.Eventually("vipward on "+d.node.Name+" answers", 20*time.Second, func() error {
		if !p.Running() {
			d.lab.Fatalf("vipward on %s has ended at its start", d.node.Name)
		}
		_, err := d.api.status()
		return err
	})
}

// kill kills the daemon with its plugins as a loss of power would.
func (d *director) kill() {
	d.lab.Logf("kill -9 of vipward on %s: %v", d.node.Name, d.proc.Tree())
	d.proc.Kill()
}

// terminate stops the daemon in order and asserts that it ends well and in time.
func (d *director) terminate() {
	d.lab.Logf("SIGTERM to vipward on %s", d.node.Name)
	began, said := time.Now(), len(d.proc.Log())
	code, err := d.proc.Terminate(20 * time.Second)
	d.lab.Must(err)
	d.lab.Logf("it ended after %v", time.Since(began))
	for line := range strings.Lines(d.proc.Log()[said:]) {
		if strings.Contains(line, `"level":"ERROR"`) {
			d.lab.Errorf("vipward on %s said at its end: %s", d.node.Name, strings.TrimSpace(line))
		}
	}
	if code != 0 {
		d.lab.Errorf("vipward on %s ended with code %d, want 0", d.node.Name, code)
	}
}

// await waits until the instance "web" is in a state, and returns how long it took.
func (d *director) await(state string, within time.Duration) time.Duration {
	return d.lab.Eventually(d.node.Name+" is "+state, within, func() error {
		if got := d.state(); got != state {
			return fmt.Errorf("%s is %q", d.node.Name, got)
		}
		return nil
	})
}

// state is that of the instance "web"; an error of the socket is told as the state.
func (d *director) state() string {
	s, err := d.api.status()
	if err != nil {
		return err.Error()
	}
	if len(s.Instances) != 1 {
		return fmt.Sprintf("%d instances", len(s.Instances))
	}
	return s.Instances[0].State
}

// status is the whole status; not to get it fails the scenario.
func (d *director) status() status {
	s, err := d.api.status()
	d.lab.Must(err)
	return s
}

// answer is what a command said.
type answer struct {
	code        int
	out, errors string
}

// command runs the command line of vipward against this daemon, in the node's network.
func (d *director) command(args ...string) answer {
	var out, errs bytes.Buffer
	cmd := exec.Command(filepath.Join(d.lab.Bin, "vipward"), append([]string{"--socket", d.socket}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := d.node.Do(cmd.Run)
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		d.lab.Fatalf("%s: %v", cmd, err)
	}
	a := answer{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	d.lab.Logf("%s: vipward %v: exit %d %s", d.node.Name, args, a.code, scenario.Tail(a.errors, 5))
	return a
}

// do runs a command that has to succeed and returns its output.
func (d *director) do(args ...string) string {
	a := d.command(args...)
	if a.code != 0 {
		d.lab.Fatalf("vipward %v on %s: exit %d: %s", args, d.node.Name, a.code, a.errors)
	}
	return a.out
}

// occurrence is one event as `vipward events --json` prints it.
type occurrence struct {
	Seq                                          uint64
	Time                                         time.Time
	Node, Code, Severity, Kind, Subject, Service string
	From, To, Reason                             string
}

// events lists the event log, oldest first.
func (d *director) events() []occurrence {
	var list []occurrence
	dec := json.NewDecoder(bytes.NewBufferString(d.do("events", "--json")))
	for dec.More() {
		var o occurrence
		if err := dec.Decode(&o); err != nil {
			d.lab.Fatalf("vipward events --json on %s is not one object a line: %v", d.node.Name, err)
		}
		list = append(list, o)
	}
	return list
}

// since lists the events after the one with that number.
func (d *director) since(seq uint64, match func(occurrence) bool) []occurrence {
	return slices.DeleteFunc(d.events(), func(o occurrence) bool { return o.Seq <= seq || !match(o) })
}

// last is the number of the latest event.
func (d *director) last() uint64 {
	list := d.events()
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].Seq
}

func stateChange(o occurrence) bool {
	return o.Code == "instance.state" || o.Code == "real_server.state"
}

func became(state string) func(occurrence) bool {
	return func(o occurrence) bool { return o.Code == "instance.state" && o.To == state }
}

// plugins lists the processes that run a plugin in the node, by pid.
func (d *director) plugins() []int {
	pids, err := d.node.Pids()
	d.lab.Must(err)
	return slices.DeleteFunc(pids, func(pid int) bool {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return err != nil || filepath.Dir(exe) != filepath.Join(d.lab.Bin, "plugins")
	})
}

// table is the node's IPVS table, as `ipvsadm -Sn` saves it.
func (d *director) table() string {
	out, err := d.node.Output("ipvsadm", "-Sn")
	d.lab.Must(err)
	return out
}
