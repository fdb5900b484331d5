package nemesis

import (
	"encoding/json"
	"strings"
	"time"

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

// bootBackup has the node with the lower priority find itself alone, and the other one come later.
func (p *pair) bootBackup() {
	p.lb2.boot()
	p.Eventually("lb2 alone has the VIP", takeover(p.advert)+5*time.Second, func() error {
		names, err := p.owners()
		if err == nil && strings.Join(names, " ") != topology.LB2 {
			err = errAwaited
		}
		return err
	})
	p.lb1.boot()
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

// told counts the alarms that were given so far; of another make, none.
func (p *pair) told(a alarm) (n int) {
	d, ok := map[string]daemon{topology.LB1: p.lb1, topology.LB2: p.lb2}[a.node].(*ours)
	if !ok {
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

// breakFile has both daemons read a file that says nothing sensible.
func (p *pair) breakFile() {
	for _, d := range []daemon{p.lb1, p.lb2} {
		d := d.(*ours)
		d.Write("vrrp_instance \"web\" {\n")
		if err := d.API().Post("/v1/reload", struct{}{}); err == nil {
			p.Errorf("the broken file was accepted")
		}
	}
}

func (p *pair) mendFile() {
	for _, d := range []daemon{p.lb1, p.lb2} {
		d := d.(*ours)
		d.Write(p.configuration())
		p.Must(d.API().Post("/v1/reload", struct{}{}))
	}
}

// squat gives the VIP to a real server, as a careless administrator would; evict takes it away.
func (p *pair) squat() { p.squatter("add") }
func (p *pair) evict() { p.squatter("del") }

func (p *pair) squatter(verb string) {
	_, err := p.Node(topology.RS1).Output("ip", "address", verb, topology.VIP.String()+"/32", "dev", "eth0")
	p.Must(err)
}
