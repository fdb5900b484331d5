package nemesis

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
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

// occurrence is an event, as far as it is looked at.
type occurrence struct {
	Time             time.Time
	Code, Reason, To string
}

// events are what a node has told since an instant, as far as the daemon still runs that did; of another make, none.
func (p *pair) events(node string, since time.Time) []occurrence {
	d, ok := map[string]daemon{topology.LB1: p.lb1, topology.LB2: p.lb2}[node].(*ours)
	if !ok || !d.Running() {
		return nil
	}
	text, err := d.API().Get("/v1/events")
	p.Must(err)
	var list struct{ Events []occurrence }
	p.Must(json.Unmarshal(text, &list))
	return slices.DeleteFunc(list.Events, func(o occurrence) bool { return o.Time.Before(since) })
}

// told are the times at which an alarm was given since an instant.
func (p *pair) told(a alarm, since time.Time) (at []time.Time) {
	for _, o := range p.events(a.node, since) {
		if o.Code == a.code && strings.Contains(o.Reason, a.text) && (a.to == "" || a.to == o.To) {
			at = append(at, o.Time)
		}
	}
	return at
}

// isolated wants that lb1 comes to know that it is the one that is cut off.
func (p *pair) isolated() { p.comesTo("HOLD", "ISOLATED") }

// failed wants that lb1 is in FAULT.
func (p *pair) failed() { p.comesTo("FAULT", "") }

// comesTo waits for a state of lb1 and for the condition that goes with it, as they are explained.
func (p *pair) comesTo(state, condition string) {
	p.Eventually("lb1 is "+strings.TrimSpace(state+" "+condition), cutOffAfter+2*down(p.advert), func() error {
		text, err := p.lb1.(*ours).API().Get("/v1/explain?name=web")
		p.Must(err)
		var e struct {
			State, Reason string
			Guard         struct{ Condition string }
		}
		p.Must(json.Unmarshal(text, &e))
		if e.State != state || e.Guard.Condition != condition {
			return fmt.Errorf("it is %s %s: %s", e.State, e.Guard.Condition, e.Reason)
		}
		return nil
	})
}
