package nemesis

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// mistakes are what people do to a pair: files, keys and clocks that are wrong, and machines that take its address.
func mistakes() []fault {
	named := func(text string) alarm { return alarm{node: topology.LB1, code: "address.conflict", text: text} }
	unsigned := alarm{node: topology.LB2, code: "instance.advert-discarded", text: "(auth)", seldom: true}
	unheard := alarm{node: topology.LB2, code: "peer.heartbeat_discarded", text: "keys of the two nodes differ", seldom: true}
	clock := alarm{node: topology.LB2, code: "instance.clock-skew", text: "synchronise both clocks", seldom: true}
	return []fault{
		{
			name: "reload of a broken file", do: (*pair).breakFile, undo: (*pair).mendFile, lasts: of(time.Second),
			alarm: alarm{node: topology.LB1, code: "config.refused"}, overlap: never, silence: of(blip), moves: 0, oursOnly: true,
		},
		{
			name: "another key for its adverts", with: signed, do: func(p *pair) { p.give("adverts", wrongKey) },
			undo: func(p *pair) { p.give("adverts", rightKey) }, lasts: through, alarm: unsigned, overlap: never, silence: of(blip), moves: 0, oursOnly: true,
		},
		{
			name: "another key for its heartbeats", with: signed, do: func(p *pair) { p.give("heartbeats", wrongKey) },
			undo: func(p *pair) { p.give("heartbeats", rightKey) }, lasts: through, alarm: unheard, overlap: never, silence: of(blip), moves: 0, oursOnly: true,
		},
		{
			name: "other keys for all that it says", with: signed, do: func(p *pair) { p.give("adverts", wrongKey); p.give("heartbeats", wrongKey) },
			undo: func(p *pair) { p.give("adverts", rightKey); p.give("heartbeats", rightKey) }, lasts: through,
			alarm: unsigned, overlap: never, silence: of(blip), moves: 0, oursOnly: true,
		},
		{
			name: "its clock is an hour ahead", with: signed, needs: canShiftClocks, do: func(p *pair) { p.shiftClock(time.Hour) },
			undo: func(p *pair) { p.shiftClock(0) }, lasts: through, alarm: clock, overlap: never, silence: of(blip), moves: 0, oursOnly: true,
		},
		{
			name: "its clock is an hour behind", with: signed, needs: canShiftClocks, do: func(p *pair) { p.shiftClock(-time.Hour) },
			undo: func(p *pair) { p.shiftClock(0) }, lasts: through, alarm: clock, overlap: never, silence: of(blip), moves: 0, oursOnly: true,
		},
		{
			name: "a stranger takes the VIP", only: fast, do: (*pair).squat, undo: (*pair).evict, lasts: of(found),
			alarm: named("02:77:00:00:00:0b"), shown: (*pair).defended, moves: 9, oursOnly: true,
		},
		{
			name: "a real server answers for the VIP", only: fast, with: served, do: (*pair).squat, undo: (*pair).evict, lasts: of(found),
			alarm: named("real server 10.77.0.11, which should not"), shown: (*pair).defended, moves: 9, oursOnly: true,
		},
	}
}

// found is when a master has found out that somebody else answers, who never announced himself: it asks each ten seconds.
const found = 10500 * time.Millisecond

const (
	rightKey = "a key of the laboratory that is not secret"
	wrongKey = "a key of the laboratory that does not fit"
)

// signed has a pair sign its adverts and its heartbeats, each node with keys of its own files.
func signed(p *pair, node string) setup {
	for _, of := range []string{"adverts", "heartbeats"} {
		if _, err := os.Stat(p.keyFile(node, of)); err != nil {
			p.writeKey(node, of, rightKey)
		}
	}
	return setup{
		arbitration: fmt.Sprintf("  key_file = %q\n", p.keyFile(node, "heartbeats")),
		instance:    fmt.Sprintf("  authentication {\n    type = \"hmac\"\n    key_file = %q\n  }\n", p.keyFile(node, "adverts")),
	}
}

func (p *pair) keyFile(node, of string) string { return filepath.Join(p.Dir, node+"."+of+".key") }

func (p *pair) writeKey(node, of, key string) {
	p.Must(os.WriteFile(p.keyFile(node, of), []byte(key+"\n"), 0o600))
}

// give has lb1 take another key.
func (p *pair) give(of, key string) {
	p.writeKey(topology.LB1, of, key)
	p.Must(p.lb1.(*ours).API().Post("/v1/reload", struct{}{}))
}

// served has the VIP forwarded to rs1, which has it as well and must not answer for it.
func served(*pair, string) setup {
	return setup{blocks: fmt.Sprintf(`virtual_server "web" {
  address   = "%v:80"
  protocol  = "tcp"
  scheduler = "rr"
  forward   = "dr"
  real_server "10.77.0.11:80" {}
}
`, topology.VIP)}
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
		d.Write(d.configuration())
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

// mostAnnouncements is how many frames a master may announce its VIPs with, while somebody else answers for the time of found.
const mostAnnouncements = 100

// defended wants that the VIP was announced again, and the link not flooded.
func (p *pair) defended() {
	if n := p.announced; n == 0 || n > mostAnnouncements {
		p.Errorf("the VIP was announced again by %d frames, want 1 to %d", n, mostAnnouncements)
	}
}
