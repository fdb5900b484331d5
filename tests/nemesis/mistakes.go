package nemesis

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/topology"
)

// mistakes are what people do to a pair: files, keys and clocks that are wrong, and machines that take its address.
func mistakes() []fault {
	refused := []alarm{{node: topology.LB1, code: "config.refused"}}
	named := func(text string) []alarm { return []alarm{{node: topology.LB1, code: "address.conflict", text: text}} }
	seldom := func(code, text string) []alarm {
		return []alarm{{node: topology.LB2, code: code, text: text, seldom: true}}
	}
	unsigned := seldom("instance.advert-discarded", "(auth)")
	unheard := seldom("peer.heartbeat_discarded", "keys of the two nodes differ")
	skewed := seldom("instance.clock-skew", "synchronise both clocks")
	all := []fault{
		{name: "reload of a broken file", do: (*pair).breakFile, undo: (*pair).mendFile, lasts: through, alarms: refused, shown: (*pair).unmoved},
		{
			name: "another key for its adverts", with: signed, do: gives(wrongKey, advertKey), undo: gives(rightKey, advertKey),
			lasts: through, alarms: unsigned, password: true,
		},
		{
			name: "another key for its heartbeats", with: signed, do: gives(wrongKey, heartbeatKey), undo: gives(rightKey, heartbeatKey),
			lasts: through, alarms: unheard, oursOnly: true,
		},
		{
			name: "other keys for all that it says", with: signed, do: gives(wrongKey, advertKey, heartbeatKey), undo: gives(rightKey, advertKey, heartbeatKey),
			lasts: through, alarms: unsigned, oursOnly: true,
		},
		{
			name: "its clock is an hour ahead", with: signed, needs: canShiftClocks, do: func(p *pair) { p.shiftClock(time.Hour) },
			undo: func(p *pair) { p.shiftClock(0) }, lasts: through, alarms: skewed,
		},
		{
			name: "its clock is an hour behind", with: signed, needs: canShiftClocks, do: func(p *pair) { p.shiftClock(-time.Hour) },
			undo: func(p *pair) { p.shiftClock(0) }, lasts: through, alarms: skewed,
		},
	}
	for i := range all {
		all[i].overlap, all[i].silence = never, of(blip)
	}
	return append(all, fault{
		name: "a stranger takes the VIP, and announces it", do: (*pair).usurp, undo: (*pair).evict, lasts: of(stop),
		alarms: once(named("02:77:00:00:00:0b")), silence: of(blip), shown: (*pair).defended, moves: 9,
	}, fault{
		name: "a real server that has the VIP answers for it", with: served, do: (*pair).squat, undo: (*pair).evict, lasts: of(found),
		alarms: named("real server 10.77.0.11, which should not"), shown: (*pair).defended, moves: 9,
	})
}

// once are alarms that are told once a minute.
func once(alarms []alarm) []alarm {
	for i := range alarms {
		alarms[i].seldom = true
	}
	return alarms
}

// found is when a master has found out that somebody else answers, who never announced himself: it asks each ten seconds.
const found = 10500 * time.Millisecond

const (
	rightKey = "a key of the laboratory that is not secret"
	wrongKey = "a key of the laboratory that does not fit"
)

// What keys are for.
const (
	advertKey    = "adverts"
	heartbeatKey = "heartbeats"
)

// signed has a pair sign its adverts and its heartbeats, each node with keys of its own files.
func signed(p *pair, node string) setup {
	for _, of := range []string{advertKey, heartbeatKey} {
		if _, err := os.Stat(p.keyFile(node, of)); err != nil {
			p.writeKey(node, of, rightKey)
		}
	}
	return setup{
		arbitration: fmt.Sprintf("  key_file = %q\n", p.keyFile(node, heartbeatKey)),
		instance:    fmt.Sprintf("  authentication {\n    type = \"hmac\"\n    key_file = %q\n  }\n", p.keyFile(node, advertKey)),
	}
}

func (p *pair) keyFile(node, of string) string { return filepath.Join(p.Dir, node+"."+of+".key") }

func (p *pair) writeKey(node, of, key string) {
	p.Must(os.WriteFile(p.keyFile(node, of), []byte(key+"\n"), 0o600))
}

// gives has lb1 take another key.
func gives(key string, of ...string) func(*pair) {
	return func(p *pair) { p.lb1.takeKey(key, of) }
}

func (o *ours) takeKey(key string, of []string) {
	for _, kind := range of {
		o.pair.writeKey(o.node, kind, key)
	}
	o.pair.Must(o.API().Post("/v1/reload", struct{}{}))
}

// takeKey takes the first eight bytes that differ, which is all that a password of version 2 has.
func (t *theirs) takeKey(key string, _ []string) {
	t.settings.Password = password(key)
	t.Write(t.settings)
	t.Reload()
}

// password of version 2 of VRRP, of eight bytes, for a key.
func password(key string) string {
	if key == rightKey {
		return "as-known"
	}
	return "no-match"
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

// broken is a file that says nothing sensible.
const broken = "vrrp_instance \"web\" {\n"

// breakFile has lb1 read such a file, mendFile the right one again.
func (p *pair) breakFile() { p.lb1.misread() }
func (p *pair) mendFile()  { p.lb1.reread() }

func (o *ours) misread() {
	o.Write(broken)
	if err := o.API().Post("/v1/reload", struct{}{}); err == nil {
		o.pair.Errorf("the broken file was accepted")
	}
}

func (o *ours) reread() {
	o.Write(o.configuration())
	o.pair.Must(o.API().Post("/v1/reload", struct{}{}))
}

func (t *theirs) misread() {
	t.WriteText(broken)
	t.Reload()
}

// reread starts it where the broken file has ended it.
func (t *theirs) reread() {
	t.Write(t.settings)
	if t.Running() {
		t.Reload()
		return
	}
	t.boot()
}

// unmoved wants that lb1 tells of nothing but the refusal.
func (p *pair) unmoved() {
	for _, o := range p.events(topology.LB1, p.began) {
		if o.Code != "config.refused" {
			p.Errorf("lb1 tells of %s as well: %s", o.Code, o.Reason)
		}
	}
}

// squat gives the VIP to a real server, as a careless administrator would; evict takes it away.
func (p *pair) squat() { p.squatter("add") }
func (p *pair) evict() { p.squatter("del") }

// usurp has its neighbours learn of it as well.
func (p *pair) usurp() {
	p.squat()
	p.Must(probe.Announce(p.Node(topology.RS1), topology.VIP))
}

func (p *pair) squatter(verb string) {
	_, err := p.Node(topology.RS1).Output("ip", "address", verb, topology.VIP.String()+"/32", "dev", "eth0")
	p.Must(err)
}

// mostAnnouncements is how many frames a master may announce its VIPs with while somebody else answers.
const mostAnnouncements = 100

// defended wants that the VIP was announced again, and the link not flooded.
func (p *pair) defended() {
	if n := p.announced; n == 0 || n > mostAnnouncements {
		p.Errorf("the VIP was announced again by %d frames, want 1 to %d", n, mostAnnouncements)
	}
}
