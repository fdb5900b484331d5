package nemesis

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

func (p *pair) kill()     { p.lb1.Kill() }
func (p *pair) boot()     { p.lb1.boot() }
func (p *pair) pause()    { p.lb1.Pause() }
func (p *pair) resume()   { p.lb1.Resume() }
func (p *pair) killBoth() { p.lb1.Kill(); p.lb2.Kill() }

func (p *pair) bootBoth() {
	done := make(chan struct{})
	go func() { defer close(done); p.lb2.boot() }()
	p.lb1.boot()
	<-done
}

// bootBackup kills both, and has the node with the lower priority find itself alone.
func (p *pair) bootBackup() {
	p.killBoth()
	time.Sleep(lease)
	p.lb2.boot()
}

// restart kills the daemon of lb1 alone and starts it again.
func (p *pair) restart() { p.lb1.die() }

// killOne kills the child of lb1's daemon whose command line contains a text.
func (p *pair) killOne(text string) {
	for _, pid := range p.lb1.Tree()[1:] {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(line), text) {
			p.Must(unix.Kill(pid, unix.SIGKILL))
			return
		}
	}
	p.Fatalf("no process of lb1 is called %q", text)
}

// checked has the instance depend on a check.
func checked(*pair, string) setup {
	return setup{
		blocks:   "checker \"exec\" \"alive\" {\n  command  = [\"/bin/true\"]\n  interval = \"500ms\"\n  timeout  = \"500ms\"\n}\n",
		instance: "  track \"checker\" { name = \"alive\" }\n",
	}
}

func (p *pair) heal() {
	p.Must(p.Heal(topology.LB1))
	p.Must(p.Heal(topology.LB2))
}

func (p *pair) noAdverts() {
	p.Must(p.NoVRRP(topology.LB1, topology.LB2))
	p.Must(p.NoVRRP(topology.LB2, topology.LB1))
}

// flap cuts the link of the master for half a second in each second.
func (p *pair) flap() {
	for range flaps {
		p.Must(p.Dark(topology.LB1))
		time.Sleep(500 * time.Millisecond)
		p.heal()
		time.Sleep(500 * time.Millisecond)
	}
}

// told counts the alarms that were given so far, as far as the daemon still runs that gave them; of another make, none.
func (p *pair) told(a alarm) (n int) {
	d, ok := map[string]daemon{topology.LB1: p.lb1, topology.LB2: p.lb2}[a.node].(*ours)
	if !ok || !d.Running() {
		return 0
	}
	text, err := d.API().Get("/v1/events")
	p.Must(err)
	var list struct {
		Events []struct{ Code, Reason string }
	}
	p.Must(json.Unmarshal(text, &list))
	for _, e := range list.Events {
		if e.Code == a.code && strings.Contains(e.Reason, a.text) {
			n++
		}
	}
	return n
}
