package node

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

func witnessed(onLoss guard.OnWitnessLoss) Config {
	cfg := config()
	cfg.Checkers, cfg.Instances[0].Tracks = nil, nil
	cfg.Guard.Witness, cfg.Guard.WitnessTTL, cfg.Guard.OnWitnessLoss = "third", 6*time.Second, onLoss
	return cfg
}

// court has the node asked and answered for a time: answer says what the witness says to each question, nil for nothing. It returns how
// long the node may count on the last grant.
func (r *rig) court(d time.Duration, answer func(WitnessAsk) *Witnessed) (until time.Time) {
	step := func(in Input) {
		for in != nil {
			out := r.node.Step(r.now, in)
			r.take(out)
			in = nil
			for _, a := range out.WitnessAsks {
				if w := answer(a); w != nil {
					w.ID = a.ID
					if in = *w; w.Granted && a.Action == WitnessAcquire {
						until = r.now.Add(a.TTL)
					}
				}
			}
		}
	}
	for end := r.now.Add(d); ; {
		next := r.node.Deadline()
		if next.IsZero() || next.After(end) {
			r.now = end
			return until
		}
		if next.After(r.now) {
			r.now = next
		}
		step(Timeout{})
	}
}

func granted(WitnessAsk) *Witnessed { return &Witnessed{Granted: true} }
func gone(WitnessAsk) *Witnessed    { return &Witnessed{Err: "connection refused"} }
func refused(WitnessAsk) *Witnessed { return &Witnessed{Holder: "lb2"} }
func mute(WitnessAsk) *Witnessed    { return nil }

func TestTheWitnessOutOfReach(t *testing.T) {
	for _, tt := range []struct {
		name   string
		onLoss guard.OnWitnessLoss
		then   func(WitnessAsk) *Witnessed
		want   vrrp.State
	}{
		{"goes on", guard.WitnessFailsafe, gone, vrrp.Master},
		{"goes on without an answer", guard.WitnessFailsafe, mute, vrrp.Master},
		{"lets go", guard.WitnessRelease, gone, vrrp.Backup},
		{"lets go without an answer", guard.WitnessRelease, mute, vrrp.Backup},
		{"keeps what is renewed", guard.WitnessRelease, granted, vrrp.Master},
	} {
		r := start(t, witnessed(tt.onLoss))
		until := r.court(10*time.Second, granted)
		r.wantState(vrrp.Master)
		for r.now.Before(until.Add(-grantMargin - time.Second)) { // the renewal is due, and is answered otherwise
			r.court(100*time.Millisecond, tt.then)
			for _, a := range r.desired.Addresses {
				if end := a.Renewed.Add(a.Lease); tt.want == vrrp.Backup && end.After(until.Add(-grantMargin)) {
					t.Errorf("%s: the kernel keeps the VIP until %v before the end of the grant", tt.name, until.Sub(end))
				}
			}
		}
		r.court(1100*time.Millisecond, tt.then)
		if got := r.node.instances[0].router.State(); tt.want == vrrp.Master && got != tt.want || tt.want != vrrp.Master && got == vrrp.Master {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

// Who lets go since the witness is away does not come back without it, nor does anybody else take what may be granted to another node.
func TestNothingIsTakenWithoutAWitnessThatBinds(t *testing.T) {
	r := start(t, witnessed(guard.WitnessRelease))
	for range 3 {
		r.court(time.Minute, gone)
		r.wantState(vrrp.Hold)
		if len(r.desired.Addresses) > 0 {
			t.Fatalf("it holds %v without a grant", r.desired.Addresses)
		}
		r.court(2*time.Second, granted)
		r.wantState(vrrp.Master)
	}
}

// A master that is started again does not know how long its grant lasts: it asks at once, and lets go when nobody answers.
func TestAFormerRunsVIPIsNotKeptWithoutAWitnessThatBinds(t *testing.T) {
	for policy, want := range map[guard.OnWitnessLoss]vrrp.State{guard.WitnessFailsafe: vrrp.Master, guard.WitnessRelease: vrrp.Hold} {
		r := &rig{t: t, now: time.Unix(1000, 0), node: New(witnessed(policy))}
		r.give(links(true))
		r.give(Start{Held: []desired.AddressKey{{Interface: "eth0", Prefix: vip}}})
		r.wantState(vrrp.Master)
		r.court(r.node.witnessLimit()/2, mute)
		r.wantState(vrrp.Master)
		r.court(20*time.Second, mute)
		r.wantState(want)
	}
}

// Whoever is confirmed to be off holds nothing: what was his is taken, and kept, also while the witness that binds is away.
func TestWhatAFencedNodeHeldIsKeptWithoutTheWitness(t *testing.T) {
	p := newPair(t, func(_ int, c *Config) {
		c.Guard.Witness, c.Guard.OnWitnessLoss = "third", guard.WitnessRelease
		c.Guard.Peers[0].Fencing = guard.Fencing{Mode: guard.FencingRequired, Levels: [][]string{{"ipmi"}}}
	})
	p.third = &third{}
	p.run(20 * time.Second)
	p.want("MASTER BACKUP")
	p.third, p.dead[0] = nil, true
	p.run(10 * time.Second)
	if len(p.orders) != 1 || p.nodes[1].instances[0].isMaster() {
		t.Fatalf("the orders are %+v, want one, and nobody MASTER", p.orders)
	}
	p.step(1, Fenced{Node: "lb1", ID: p.orders[0].ID, FenceResult: guard.FenceResult{OK: true, Evidence: "power is off"}})
	p.run(time.Minute)
	p.want("- MASTER")
}

// A master that resigns gives its grant back at the same time: the witness may hear of that after the question of the next one.
func TestAGrantThatIsGivenBackIsAskedForAtOnce(t *testing.T) {
	r := start(t, witnessed(guard.WitnessFailsafe))
	r.peerAdvert(200)
	r.court(500*time.Millisecond, refused)
	r.peerAdvert(0)
	var first time.Time
	for range 200 {
		r.court(10*time.Millisecond, func(a WitnessAsk) *Witnessed {
			if first.IsZero() {
				first = r.now
			}
			if r.now.Sub(first) < 5*time.Millisecond {
				return refused(a)
			}
			return granted(a)
		})
		if r.node.instances[0].isMaster() {
			break
		}
	}
	if took := r.now.Sub(first); first.IsZero() || took > 40*time.Millisecond {
		t.Errorf("it is master %v after it has asked first, want as soon as the grant was given back", took)
	}
}

// The witness counts from when it says so, which may be long before this node hears it.
func TestAGrantCountsFromWhenItWasAskedFor(t *testing.T) {
	r := start(t, witnessed(guard.WitnessRelease))
	var ask WitnessAsk
	g := &r.node.instances[0].guard.grant
	for range 100 {
		if r.court(100*time.Millisecond, func(a WitnessAsk) *Witnessed { ask = a; return nil }); g.id != 0 {
			break
		}
	}
	asked := g.asked
	r.now = asked.Add(r.node.witnessLimit() / 2)
	r.give(Witnessed{ID: ask.ID, Granted: true})
	if want := asked.Add(ask.TTL); !g.until.Equal(want) {
		t.Errorf("the grant ends %v after it was asked for, want %v", g.until.Sub(asked), ask.TTL)
	}
}

// The lifetime of an address counts whole seconds: one that the grant cuts short neither ends between two adverts, nor outlasts the grant.
func TestALeaseThatTheGrantCutsShort(t *testing.T) {
	for _, ttl := range []time.Duration{3 * time.Second, 4 * time.Second, 5 * time.Second, 6 * time.Second} {
		cfg := witnessed(guard.WitnessRelease)
		cfg.Guard.WitnessTTL = ttl
		r := start(t, cfg)
		until := r.court(10*time.Second, granted)
		r.wantState(vrrp.Master)
		i, answer := r.node.instances[0], granted
		for k := range 1200 { // from the fifth second on the witness is silent
			if k == 500 {
				answer = mute
			}
			if u := r.court(10*time.Millisecond, answer); len(r.desired.Addresses) == 0 {
				break
			} else if !u.IsZero() {
				until = u
			}
			for _, a := range r.desired.Addresses {
				end := a.Renewed.Add(a.Lease)
				if k < 500 && !end.After(r.now.Add(100*time.Millisecond)) {
					t.Fatalf("%v: %v before the end of its lease it is not renewed", ttl, end.Sub(r.now))
				}
				if last := i.spoken.Add(i.lease(false)); end.After(last) {
					t.Fatalf("%v: the lease ends %v later than the last advert has it", ttl, end.Sub(last))
				}
				if end.Add(kernelLate).After(until) {
					t.Fatalf("%v: the kernel may keep the VIP for %v after the end of the grant", ttl, end.Add(kernelLate).Sub(until))
				}
			}
		}
		if len(r.desired.Addresses) > 0 {
			t.Errorf("%v: it holds the VIP without a grant", ttl)
		}
	}
}

func TestARefusedRenewalLetsGoUnderAnyPolicy(t *testing.T) {
	r := start(t, witnessed(guard.WitnessFailsafe))
	r.court(10*time.Second, granted)
	r.wantState(vrrp.Master)
	r.court(6*time.Second, refused)
	if r.node.instances[0].isMaster() {
		t.Error("it stays MASTER of what another node holds")
	}
}

// A grant is for who is master, or would be: what is let go of is free for others.
func TestTheGrantIsGivenBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(r *rig)
	}{
		{"to a better master", func(r *rig) { r.peerAdvert(200) }},
		{"in FAULT", func(r *rig) { r.give(Links{"eth0": {Index: 2}}) }},
		{"before the addresses, in a hand-over", func(r *rig) { r.give(Failover{Instance: "web", ID: 1}) }},
	} {
		r := start(t, witnessed(guard.WitnessRelease))
		r.court(10*time.Second, granted)
		r.wantState(vrrp.Master)
		r.asked = nil
		tt.leave(r)
		for range 20 {
			if !strings.HasPrefix(tt.name, "before") {
				r.peerAdvert(200)
			}
			r.court(10*time.Millisecond, granted)
		}
		if len(r.asked) != 1 || r.asked[0].Action != WitnessRelease {
			t.Errorf("%s: the witness was asked %+v, want one release", tt.name, r.asked)
		}
		if tt.name[0] == 'b' != r.node.instances[0].holds {
			t.Errorf("%s: it holds the addresses: %v", tt.name, r.node.instances[0].holds)
		}
	}
}

// An instance that is removed by a reload gives back what it has, and what it has only asked for.
func TestARemovedInstanceGivesItsGrantBack(t *testing.T) {
	for name, answer := range map[string]func(WitnessAsk) *Witnessed{"granted": granted, "asked for": mute} {
		r := start(t, witnessed(guard.WitnessRelease))
		for r.court(10*time.Millisecond, answer); len(r.asked) == 0; r.court(10*time.Millisecond, answer) {
		}
		cfg := witnessed(guard.WitnessRelease)
		cfg.Instances = nil
		r.asked = nil
		r.take(r.node.Configure(r.now, cfg))
		if len(r.asked) != 1 || r.asked[0].Action != WitnessRelease || r.asked[0].Instance != "web" {
			t.Errorf("%s: the witness was asked %+v, want one release of web", name, r.asked)
		}
	}
}

// What the witness has refused for the sake of a master it is asked again at once when that one resigns.
func TestAResignationHasTheWitnessAskedAgain(t *testing.T) {
	cfg := witnessed(guard.WitnessRelease)
	cfg.Instances[0].VRRP.Priority = 254 // it wants to be master at once
	r := start(t, cfg)
	for range 5 {
		r.peerAdvert(50)
		r.court(time.Second, refused)
	}
	r.wantState(vrrp.Hold)
	for n := len(r.asked); len(r.asked) == n; {
		r.court(time.Millisecond, refused)
	}
	r.peerAdvert(0)
	r.court(20*time.Millisecond, granted)
	r.wantState(vrrp.Master)
}

func TestAnOperatorsWordIsRefusedWhereTheNodeIsHeard(t *testing.T) {
	cfg := config()
	cfg.Guard.Peers = []Peer{{
		Name: "lb2", Paths: []heartbeat.Path{{Name: "address"}},
		Fencing: guard.Fencing{Mode: guard.FencingRequired, Levels: [][]string{{"ipmi"}}},
	}}
	r := start(t, cfg)
	r.observe("checker/local", health.Pass)
	r.peerAdvert(200)
	r.give(Confirm{Node: "lb2", ID: 1})
	if a := r.lastAnswer(); !errors.Is(a.Err, ErrRefused) {
		t.Errorf("while its adverts come: %+v", a)
	}
	r.now = r.now.Add(2500 * time.Millisecond) // two and a half adverts later
	r.give(Confirm{Node: "lb2", ID: 2})
	if a := r.lastAnswer(); a.ID != 2 || a.Err != nil {
		t.Errorf("while it is silent: %+v", a)
	}
	r.give(Confirm{Node: "lb3", ID: 3})
	if a := r.lastAnswer(); !errors.Is(a.Err, ErrRefused) {
		t.Errorf("of a node that there is not: %+v", a)
	}
}

// Two nodes that each have the grant of one member of a group would wait for each other for ever.
func TestAGroupGivesBackWhatDependsOnARefusedGrant(t *testing.T) {
	cfg := witnessed(guard.WitnessFailsafe)
	second := cfg.Instances[0]
	second.Name, second.VRRP.VRID = "db", 99
	second.VRRP.Addresses = []netip.Addr{vip.Addr().Next()}
	second.Addresses = []VirtualAddress{{Prefix: netip.PrefixFrom(vip.Addr().Next(), 32), Interface: "eth0"}}
	cfg.Instances = append(cfg.Instances, second)
	cfg.Groups = []Group{{Name: "all", Instances: []string{"web", "db"}}}
	for taken, other := range map[string]string{"web": "db", "db": "web"} {
		r := start(t, cfg)
		held := map[string]bool{}
		r.court(10*time.Second, func(a WitnessAsk) *Witnessed {
			if a.Instance == taken && a.Action == WitnessAcquire {
				return refused(a)
			}
			held[a.Instance] = a.Action == WitnessAcquire
			return granted(a)
		})
		if r.node.instances[0].isMaster() || held[other] != (other == "web") {
			t.Errorf("with %s refused it is %s and has the grant of %s: %v, want that of the first one alone",
				taken, r.node.instances[0].router.State(), other, held[other])
		}
	}
}
