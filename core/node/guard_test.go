package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

// pair is two nodes with a network between them of which each part can be cut.
type pair struct {
	t      *testing.T
	now    time.Time
	nodes  [2]*Node
	dead   [2]bool
	events [2][]event.Event
	held   [2]bool

	asleep  [2]bool // what comes waits in missed
	missed  Backlog
	deaf    [2]bool // of adverts
	silent  bool    // no heartbeats
	cut     [2]bool // no reference is reached
	wedged  [2]bool // the kernel goes on to answer for the VIP
	beats   int
	slowest string // the path whose heartbeats come after those of the others
	orders  []FenceOrder
	third   *third        // the witness; nil for none
	strange bool          // a stranger answers for the VIP
	slow    time.Duration // what an answer takes
	post    []late
}

// late is an answer on its way.
type late struct {
	at time.Time
	to int
	in Input
}

var (
	pairVIP     = netip.MustParseAddr("10.0.0.100")
	pairGateway = netip.MustParseAddr("10.0.0.254")
)

func pairAddr(k int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(k + 1)}) }

func newPair(t *testing.T, edit func(k int, c *Config)) *pair {
	p := &pair{t: t, now: time.Unix(1000, 0)}
	for k := range p.nodes {
		other := 1 - k
		c := Config{
			Name: fmt.Sprintf("lb%d", k+1),
			Instances: []Instance{{
				Name: "web", Interface: "eth0", PeerPriority: []uint8{100, 150}[k], Lease: Lease{Auto: true},
				VRRP: vrrp.Config{
					VRID: 51, Version: 3, Priority: []uint8{150, 100}[k], Interval: time.Second, Preempt: true, Addresses: []netip.Addr{pairVIP},
				},
				Addresses: []VirtualAddress{{Prefix: netip.PrefixFrom(pairVIP, 32), Interface: "eth0"}},
				Garp:      desired.Garp{Repeat: 1},
			}},
			Guard: Guard{
				ProbeVIP: true, References: []netip.Addr{pairGateway}, OnHoldExpired: guard.HoldOn, Key: []byte("secret"), ConfigHash: "same",
				Boot: uint64(k+1) << 40, Peers: []Peer{{
					Name:  fmt.Sprintf("lb%d", other+1),
					Paths: []heartbeat.Path{{Name: "address", Address: pairAddr(other)}},
				}},
			},
		}
		if edit != nil {
			edit(k, &c)
		}
		p.nodes[k] = New(c)
	}
	for k := range p.nodes {
		p.step(k, Links{"eth0": {Index: 2, Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(pairAddr(k), 24)}}})
		p.step(k, Start{})
	}
	return p
}

func (p *pair) step(k int, in Input) {
	if p.dead[k] {
		return
	}
	if p.asleep[k] {
		p.missed = append(p.missed, in)
		return
	}
	out := p.nodes[k].Step(p.now, in)
	other := 1 - k
	if out.Desired != nil {
		p.held[k] = len(out.Desired.Addresses) > 0
	}
	p.events[k] = append(p.events[k], out.Events...)
	p.orders = append(p.orders, out.Fences...)
	adverts := slices.Clone(out.Adverts)
	for _, a := range adverts {
		if !p.deaf[other] {
			p.step(other, Received{Interface: "eth0", Header: vrrp.Header{Source: a.Source, Destination: a.Destination, TTL: 255}, Payload: a.Payload, At: p.now})
		}
	}
	isSlow := func(b BeatTo) bool { return b.Path == p.slowest }
	last := slices.DeleteFunc(slices.Clone(out.Beats), func(b BeatTo) bool { return !isSlow(b) })
	for _, b := range append(slices.DeleteFunc(out.Beats, isSlow), last...) {
		p.beats++
		if !p.silent {
			p.step(other, Beat{Path: b.Path, Source: pairAddr(k), Payload: b.Payload, At: p.now})
		}
	}
	for _, a := range out.WitnessAsks {
		if p.third != nil {
			p.answer(k, p.third.grant(p, k, a), 2*time.Millisecond)
		}
	}
	for _, a := range out.Asks {
		switch {
		case a.Address == pairGateway && !p.cut[k]:
			p.answer(k, Seen{Interface: "eth0", Address: a.Address, MAC: [6]byte{2, 9}}, p.slow)
		case a.Address == pairAddr(other) && (!p.dead[other] || p.wedged[other]):
			p.answer(k, Seen{Interface: "eth0", Address: a.Address, MAC: [6]byte{2, byte(other)}}, p.slow)
		case a.Address == pairVIP && (p.held[other] && !p.dead[other] || p.wedged[other]):
			p.answer(k, Seen{Interface: "eth0", Address: a.Address, MAC: [6]byte{2, byte(other)}}, p.slow)
		case a.Address == pairVIP && p.strange:
			p.answer(k, Seen{Interface: "eth0", Address: a.Address, MAC: [6]byte{2, 7, 7}}, p.slow)
		}
	}
}

// answer delivers what was asked for, at once or late.
func (p *pair) answer(k int, in Input, after time.Duration) {
	if after == 0 {
		p.step(k, in)
		return
	}
	p.post = append(p.post, late{p.now.Add(after), k, in})
}

// run lets time pass, each node being stepped at its deadlines.
func (p *pair) run(d time.Duration) {
	for end := p.now.Add(d); ; {
		k, due := -1, end
		for x, n := range p.nodes {
			if at := n.Deadline(); !p.dead[x] && !p.asleep[x] && !at.IsZero() && at.Before(due) {
				k, due = x, at
			}
		}
		if len(p.post) > 0 && !p.post[0].at.After(due) {
			first := p.post[0]
			p.now, p.post = latest(p.now, first.at), p.post[1:]
			p.step(first.to, first.in)
			continue
		}
		if k < 0 {
			p.now = end
			return
		}
		if due.After(p.now) {
			p.now = due
		} else {
			p.now = p.now.Add(time.Microsecond)
		}
		p.step(k, Timeout{})
	}
}

func (p *pair) want(states string) {
	p.t.Helper()
	got := ""
	for k, n := range p.nodes {
		s := "-"
		if !p.dead[k] {
			s = n.instances[0].router.State().String()
		}
		got += s + " "
	}
	if strings.TrimSpace(got) != states {
		p.t.Fatalf("the nodes are %s, want %s; events of lb1:\n%s\nof lb2:\n%s", got, states, eventLines(p.events[0]), eventLines(p.events[1]))
	}
}

func eventLines(events []event.Event) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString("    " + e.Code + " " + e.String() + "\n")
	}
	return b.String()
}

func (p *pair) wantEvent(k int, code string, says string) {
	p.t.Helper()
	if !slices.ContainsFunc(p.events[k], func(e event.Event) bool { return e.Code == code && strings.Contains(e.Reason, says) }) {
		p.t.Errorf("lb%d told no %s that says %q:\n%s", k+1, code, says, eventLines(p.events[k]))
	}
}

func healthyPair(t *testing.T, edit func(k int, c *Config)) *pair {
	p := newPair(t, edit)
	p.run(20 * time.Second)
	p.want("MASTER BACKUP")
	p.events = [2][]event.Event{}
	return p
}

func TestADeadMasterIsFollowedWithoutDelay(t *testing.T) {
	p := healthyPair(t, nil)
	_, _, last := p.nodes[1].instances[0].router.Master()
	p.dead[0] = true
	p.run(5 * time.Second)
	p.want("- MASTER")
	p.wantEvent(1, "instance.takeover", "nobody answers")
	p.wantEvent(1, "peer.lost", "no heartbeat")
	want := vrrp.MasterDown(3, 100, time.Second)
	if took := p.nodes[1].instances[0].router.Since().Sub(last); took != want {
		t.Errorf("it took over %v after the last advert, want the down interval of %v and nothing more", took, want)
	}
}

func TestAdvertsThatDoNotComeAreNoDeadMaster(t *testing.T) {
	p := healthyPair(t, nil)
	p.deaf[1] = true
	p.run(5 * time.Second)
	p.want("MASTER HOLD")
	p.wantEvent(1, "instance.advert_path_broken", "protocol 112")
	p.run(time.Minute)
	p.want("MASTER HOLD")
	p.deaf[1] = false
	p.run(2 * time.Second)
	p.want("MASTER BACKUP")
	p.wantEvent(1, "instance.hold_ended", "")
	p.deaf[1] = true
	p.run(5 * time.Second)
	p.dead[0] = true
	p.run(2 * time.Second)
	p.want("- MASTER")
}

// Of several members the one counts that asks for the instance, whoever is heard first.
func TestAMemberThatAsksIsHeardBesideOthers(t *testing.T) {
	p := healthyPair(t, func(k int, c *Config) {
		c.Guard.Peers = append(c.Guard.Peers, Peer{Name: "lb3", Paths: []heartbeat.Path{{Name: "address", Address: pairAddr(2)}}})
	})
	n := p.nodes[0]
	third := n.members[1]
	third.heard, third.instances["web"] = p.now, claim{heartbeat.Instance{Name: "web", State: uint8(vrrp.Hold), Priority: 200, Claims: true}, p.now}
	for range n.members {
		if tenure := n.tenureOf(p.now, n.instances[0]); tenure.Name != "lb3" || !tenure.Asked || !tenure.Outranked {
			t.Errorf("with %s as the first one: %s counts, asked %v", n.members[0].cfg.Name, tenure.Name, tenure.Asked)
		}
		slices.Reverse(n.members)
	}
}

// What goes out over two paths at once comes in the order of their speeds, not of the numbers.
func TestASlowerPathIsNotLost(t *testing.T) {
	p := healthyPair(t, func(k int, c *Config) {
		c.Guard.Peers[0].Paths = append(c.Guard.Peers[0].Paths, heartbeat.Path{Name: "crosslink", Address: netip.AddrFrom4([4]byte{10, 9, 0, byte(2 - k)})})
	})
	p.slowest = "address"
	p.run(10 * time.Second)
	for k := range p.nodes {
		if lines := eventLines(p.events[k]); strings.Contains(lines, "path_lost") {
			t.Errorf("lb%d takes a path for lost over which everything comes:\n%s", k+1, lines)
		}
	}
}

func TestWhoIsCutOffTakesNothing(t *testing.T) {
	p := healthyPair(t, nil)
	p.deaf[1], p.silent, p.cut[1] = true, true, true
	p.run(10 * time.Second)
	p.want("MASTER HOLD")
	p.wantEvent(1, "instance.isolated", "references")
	p.deaf[1], p.silent, p.cut[1] = false, false, false
	p.run(2 * time.Second)
	p.want("MASTER BACKUP")
}

func TestAWedgedMasterIsWaitedForAndHeldAgainst(t *testing.T) {
	p := healthyPair(t, nil)
	p.dead[0], p.wedged[0] = true, true
	p.run(5 * time.Second)
	p.want("- BACKUP")
	told := len(p.events[1])
	s := p.nodes[1].Snapshot(p.now).Instances[0]
	if age := p.now.Sub(s.Since); s.State != vrrp.Hold || age <= 0 || age > 2*time.Second || !strings.Contains(s.Reason, "lease") || s.Guard.Condition != "HOLD" {
		t.Errorf("while it waits for the lease of its peer the status says %s (%s) for %v: %s", s.State, s.Guard.Condition, age, s.Reason)
	}
	p.run(50 * time.Millisecond)
	if len(p.events[1]) != told {
		t.Errorf("it is told of in events:\n%s", eventLines(p.events[1][told:]))
	}
	p.run(5 * time.Second)
	p.want("- HOLD")
	p.wantEvent(1, "instance.takeover_refused", "a machine of lb1")
	p.wedged[0] = false
	p.run(time.Second)
	p.want("- MASTER")
}

// With adverts each 10 ms the last three rounds of questions are over in less time than an answer may take.
func TestASlowAnswerIsNoSilence(t *testing.T) {
	p := healthyPair(t, func(_ int, c *Config) { c.Instances[0].VRRP.Interval = 10 * time.Millisecond })
	p.slow = 7 * time.Millisecond
	p.deaf[1], p.silent = true, true
	p.run(500 * time.Millisecond)
	p.want("MASTER BACKUP")
	p.deaf[1], p.silent = false, false
	p.run(time.Second)
	_, _, last := p.nodes[1].instances[0].router.Master()
	p.dead[0] = true
	p.run(time.Second)
	p.want("- MASTER")
	want := vrrp.MasterDown(3, 100, 10*time.Millisecond)
	if took := p.nodes[1].instances[0].router.Since().Sub(last); took != want {
		t.Errorf("it took over %v after the last advert, want the down interval of %v and nothing more", took, want)
	}
}

func TestAStrangerIsNamedAndDefendedAgainst(t *testing.T) {
	p := healthyPair(t, nil)
	p.dead[0], p.strange = true, true
	p.run(5 * time.Second)
	p.want("- MASTER")
	p.wantEvent(1, "instance.takeover", "02:07:07:00:00:00")
	p.run(20 * time.Second)
	p.wantEvent(1, "address.conflict", "02:07:07:00:00:00")
}

func TestAMasterThatLosesItsReferencesHandsOver(t *testing.T) {
	p := healthyPair(t, nil)
	p.cut[0] = true
	p.run(10 * time.Second)
	p.want("HOLD MASTER") // it has the higher priority, and is isolated
	p.wantEvent(0, "instance.isolated", "cut off")
	p.cut[1] = true
	p.run(10 * time.Second)
	p.want("HOLD MASTER")
	p.wantEvent(1, "instance.alone", "they are down")
}

func TestTheNewerOwnerStaysWithoutPreemption(t *testing.T) {
	p := healthyPair(t, func(_ int, c *Config) { c.Instances[0].VRRP.Preempt, c.Guard.References = false, nil })
	p.deaf, p.silent = [2]bool{true, true}, true
	p.run(10 * time.Second)
	p.want("MASTER HOLD") // the VIP answers
	p.nodes[1].cfg.Guard.ProbeVIP = false
	p.nodes[1].adoptKnown()
	p.run(10 * time.Second)
	p.want("MASTER MASTER")
	p.deaf, p.silent = [2]bool{}, false
	p.run(3 * time.Second)
	p.want("BACKUP MASTER")
	p.wantEvent(0, "instance.state", "newer one")
}

func TestAPanicStopsOneInstance(t *testing.T) {
	p := healthyPair(t, func(k int, c *Config) {
		second := c.Instances[0]
		second.Name, second.VRRP.VRID = "mail", 52
		second.VRRP.Addresses = []netip.Addr{pairVIP.Next()}
		second.Addresses = []VirtualAddress{{Prefix: netip.PrefixFrom(pairVIP.Next(), 32), Interface: "eth0"}}
		c.Instances = append(c.Instances, second)
	})
	broken, sound := p.nodes[0].instances[0], p.nodes[0].instances[1]
	broken.router = nil // its next step panics
	p.nodes[0].step(p.now, broken, vrrp.Timeout{})
	if s := broken.router.State(); s != vrrp.Fault || !sound.isMaster() {
		t.Errorf("the broken one is %s and the other one %s, want FAULT and MASTER", s, sound.router.State())
	}
	out := p.nodes[0].Step(p.now, Timeout{})
	if d := out.Desired; d == nil || len(d.Addresses) != 1 || d.Addresses[0].Prefix.Addr() != pairVIP.Next() {
		t.Errorf("it wants %+v, want the VIP of the other instance alone", out.Desired)
	}
	p.run(5 * time.Second)
	p.want("FAULT MASTER")
	if !sound.isMaster() || p.nodes[1].instances[1].isMaster() {
		t.Errorf("the other instance moved: %s here, %s there", sound.router.State(), p.nodes[1].instances[1].router.State())
	}
}

func TestRequiredFencingComesFirst(t *testing.T) {
	p := healthyPair(t, func(_ int, c *Config) {
		c.Guard.Peers[0].Fencing = guard.Fencing{Mode: guard.FencingRequired, Levels: [][]string{{"ipmi"}}}
	})
	p.dead[0] = true
	p.run(4 * time.Second)
	p.want("- BACKUP")
	if len(p.orders) != 1 || p.orders[0].Node != "lb1" {
		t.Fatalf("the orders are %+v, want one about lb1", p.orders)
	}
	p.step(1, Fenced{Node: "lb1", ID: p.orders[0].ID, FenceResult: guard.FenceResult{OK: true, Evidence: "power is off"}})
	p.want("- MASTER")
}

// That one member is heard and is not MASTER says nothing of another one that was never heard.
func TestRequiredFencingCountsWhoWasNeverHeard(t *testing.T) {
	p := newPair(t, func(_ int, c *Config) {
		c.Guard.Peers = append(c.Guard.Peers, Peer{
			Name: "lb3", Paths: []heartbeat.Path{{Name: "address", Address: pairAddr(2)}},
			Fencing: guard.Fencing{Mode: guard.FencingRequired, Levels: [][]string{{"ipmi"}}},
		})
	})
	p.run(10 * time.Second)
	p.want("HOLD HOLD")
	p.wantEvent(0, "instance.takeover_refused", "never heard")
	p.step(0, Confirm{Node: "lb3", ID: 1})
	p.run(2 * time.Second)
	p.want("MASTER BACKUP")
}

func TestHeartbeatsKeepTheirPace(t *testing.T) {
	p := healthyPair(t, nil)
	p.beats = 0
	p.run(10 * time.Second)
	if p.beats < 190 || p.beats > 230 {
		t.Errorf("%d heartbeats of two nodes in 10 s, want 200", p.beats)
	}
}

func TestConfigurationsThatDifferAreNamed(t *testing.T) {
	p := healthyPair(t, func(k int, c *Config) {
		c.Guard.ConfigHash = []string{"one", "other"}[k]
		c.Guard.Attributes = []heartbeat.Attribute{{Name: "vrrp_instance.web.advert_interval", Value: []string{"1s", "2s"}[k]}}
	})
	p.events = [2][]event.Event{}
	if drift := p.nodes[0].members[0].drift; !strings.Contains(drift, "advert_interval is 1s here and 2s there") {
		t.Errorf("the difference is told as %q", drift)
	}
}

func TestEveryTakeoverAndRefusalIsOneEventWithAllThatIsKnown(t *testing.T) {
	p := healthyPair(t, nil)
	p.deaf[1] = true
	p.run(5 * time.Second)
	p.dead[0] = true
	p.run(2 * time.Second)
	p.want("- MASTER")
	told := map[string]event.Event{}
	for _, e := range p.events[1] {
		if _, twice := told[e.Code]; twice {
			t.Errorf("%s is told twice:\n%s", e.Code, eventLines(p.events[1]))
		}
		if strings.HasPrefix(e.Code, "instance.") && e.Code != "instance.state" {
			told[e.Code] = e
		}
	}
	for code, want := range map[string]map[string]string{
		"instance.advert_path_broken": {
			"row": "2", "decision": "hold", "claim": "silence", "link": "up", "references": "answers", "peer": "lb1 is alive and MASTER",
			"waited_ms": "0", "silence_ms": "3609", "peer_view": "lb1: MASTER, priority 150, epoch 1, ",
		},
		"instance.hold_ended": {"row": "2", "held_ms": ""},
		"instance.takeover": {
			"row": "7", "decision": "take", "peer": "lb1 is silent", "vip": "nobody", "waited_ms": "", "silence_ms": "", "peer_view": "lb1: MASTER",
		},
	} {
		e, ok := told[code]
		if !ok || e.Reason == "" {
			t.Errorf("no %s with a reason is told:\n%s", code, eventLines(p.events[1]))
		}
		for name, value := range want {
			if got := e.Attrs[name]; got == "" || !strings.HasPrefix(got, value) {
				t.Errorf("%s says %s=%q, want %q", code, name, got, value)
			}
		}
	}
}

// A backup that was asleep reads all that has come before it decides: the first of many heartbeats is as old as its sleep. What has come
// since the silence began counts as if it had been read in time.
func TestABacklogIsReadBeforeADecision(t *testing.T) {
	p := healthyPair(t, func(_ int, c *Config) { c.Guard.ProbeVIP, c.Guard.References = false, nil })
	p.deaf[1] = true
	p.asleep[1] = true
	p.run(p.nodes[1].instances[0].router.Deadline().Add(20 * time.Millisecond).Sub(p.now))
	p.asleep[1] = false
	p.step(1, append(p.missed, Timeout{}))
	p.want("MASTER HOLD")
	p.wantEvent(1, "instance.advert_path_broken", "lb1 is alive")
}

// A takeover that waits for answers may come with any step: what has arrived is read before each.
func TestWhatHasComeIsReadWhileATakeoverWaits(t *testing.T) {
	p := healthyPair(t, func(_ int, c *Config) { c.Guard.References = nil })
	p.dead[0], p.wedged[0] = true, true
	i := p.nodes[1].instances[0]
	p.run(i.router.Deadline().Add(time.Millisecond).Sub(p.now))
	if i.router.Wants() == "" || !p.nodes[1].Overdue(p.now) {
		t.Errorf("it wants to be master: %q, overdue: %v", i.router.Wants(), p.nodes[1].Overdue(p.now))
	}
	p.wedged[0] = false
	p.run(time.Minute)
	if !i.isMaster() || p.nodes[1].Overdue(p.now) {
		t.Errorf("it is %s, overdue: %v", i.router.State(), p.nodes[1].Overdue(p.now))
	}
}

// An answer counts from when it came: one from before the silence says nothing about the question, however late it is read.
func TestAnAnswerCountsFromWhenItCame(t *testing.T) {
	for name, tt := range map[string]struct {
		age  time.Duration // of the answer, when it is read
		want guard.Who
	}{
		"in the socket since the last question": {5 * time.Millisecond, guard.WhoPeer},
		"from before the silence":               {time.Minute, guard.WhoNobody},
	} {
		t.Run(name, func(t *testing.T) {
			p := healthyPair(t, func(_ int, c *Config) { c.Guard.References = nil })
			p.dead[0] = true
			n := p.nodes[1]
			i := n.instances[0]
			p.run(i.router.Deadline().Add(-time.Millisecond).Sub(p.now))
			p.now = i.router.Deadline()
			seen := Seen{Interface: "eth0", Address: pairVIP, MAC: [6]byte{2, 0}, At: p.now.Add(-tt.age)}
			n.Step(p.now, Backlog{seen, Timeout{}})
			if got := i.guard.facts.VIP.Who; got != tt.want {
				t.Errorf("who answers: %q, want %q", got, tt.want)
			}
		})
	}
}
