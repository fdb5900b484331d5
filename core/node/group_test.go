package node

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// duo is two nodes on two links, with a group over both: instance web on eth0, db on eth1.
type duo struct {
	t     *testing.T
	now   time.Time
	nodes [2]*Node // nil while dead
	cfgs  [2]Config
	// cut drops what the node sends on the link; down is the state of its interface.
	cut, down [2][2]bool
	queue     []packet
	events    []string
	answers   []Answer
	desired   [2]int // addresses that the node wants
}

type packet struct {
	at   time.Time
	to   int
	in   Received
	from int
}

func duoConfig(i int) Config {
	c := Config{
		Name:     []string{"lb1", "lb2"}[i],
		Checkers: []Checker{{Name: "local", Check: "checker/local", Health: health.Config{Rise: 1, Fall: 1, Initial: health.Up}}},
		Groups:   []Group{{Name: "all", Instances: []string{"web", "db"}, Notify: []string{"ops"}}},
	}
	for k, name := range []string{"web", "db"} {
		vip := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(k), 100}), 32)
		c.Instances = append(c.Instances, Instance{
			Name: name, Interface: fmt.Sprintf("eth%d", k), Lease: Lease{Auto: true}, PeerPriority: []uint8{100, 150}[i],
			VRRP: vrrp.Config{
				VRID: 51, Version: 3, Priority: []uint8{150, 100}[i], Interval: time.Second, Preempt: true, Gated: true,
				Addresses: []netip.Addr{vip.Addr()},
			},
			Addresses: []VirtualAddress{{Prefix: vip, Interface: fmt.Sprintf("eth%d", k)}},
		})
	}
	return c
}

func newDuo(t *testing.T, edit func(i int, c *Config)) *duo {
	d := &duo{t: t, now: time.Unix(1000, 0)}
	for i := range d.nodes {
		d.cfgs[i] = duoConfig(i)
		if edit != nil {
			edit(i, &d.cfgs[i])
		}
		d.boot(i)
	}
	return d
}

func (d *duo) boot(i int) {
	d.nodes[i] = New(d.cfgs[i])
	d.links(i)
	d.give(i, Start{})
}

func (d *duo) kill(i int) { d.nodes[i], d.desired[i] = nil, 0 }

func (d *duo) links(i int) {
	l := Links{}
	for k := range 2 {
		addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(k), byte(i + 1)}), 24)
		l[fmt.Sprintf("eth%d", k)] = Link{Index: 2 + k, Up: !d.down[i][k], Addresses: []netip.Prefix{addr}}
	}
	d.give(i, l)
}

// give is one step of a node. What it sends arrives a millisecond later.
func (d *duo) give(i int, in Input) {
	n := d.nodes[i]
	if n == nil {
		return
	}
	out := n.Step(d.now, in)
	d.answers = append(d.answers, out.Answers...)
	for _, a := range out.Adverts {
		k := int(a.Interface[3] - '0')
		if d.cut[i][k] || d.down[i][k] || d.down[1-i][k] {
			continue
		}
		d.queue = append(d.queue, packet{d.now.Add(time.Millisecond), 1 - i, Received{
			Interface: a.Interface, Header: vrrp.Header{Source: a.Source, Destination: a.Destination, TTL: 255}, Payload: a.Payload,
		}, i})
	}
	for _, e := range out.Events {
		d.events = append(d.events, n.cfg.Name+" "+e.String())
	}
	if out.Desired != nil {
		d.desired[i] = len(out.Desired.Addresses)
	}
	d.allOrNone(i)
}

// allOrNone is what must hold after every step: the members are MASTER together, and wish for their addresses together. During a
// planned hand-over they leave one after the other, as their peers come.
func (d *duo) allOrNone(i int) {
	d.t.Helper()
	n := d.nodes[i]
	if len(n.cfg.Groups) != 1 {
		return
	}
	masters, moving := 0, false
	for _, m := range n.instances {
		if m.isMaster() {
			masters++
		}
		moving = moving || m.router.HandingOver() || m.holds && !m.isMaster()
	}
	if masters != 0 && masters != len(n.instances) && !moving {
		d.t.Fatalf("%s is MASTER of %d of %d members; events:\n%s", n.cfg.Name, masters, len(n.instances), strings.Join(d.events, "\n"))
	}
	if !moving && d.desired[i] != masters {
		d.t.Fatalf("%s wants %d addresses and is MASTER of %d members", n.cfg.Name, d.desired[i], masters)
	}
}

// wait lets time pass: packets and deadlines in their order.
func (d *duo) wait(span time.Duration) {
	for end := d.now.Add(span); ; {
		next, act := end, func() {}
		for i, n := range d.nodes {
			if n == nil || n.Deadline().IsZero() || !n.Deadline().Before(next) {
				continue
			}
			next, act = n.Deadline(), func() { d.give(i, Timeout{}) }
		}
		for k, p := range d.queue {
			if !p.at.After(next) {
				next, act = p.at, func() {
					d.queue = slices.Delete(d.queue, k, k+1)
					d.give(p.to, p.in)
				}
				break
			}
		}
		if next.After(d.now) {
			d.now = next
		}
		if !next.Before(end) {
			return
		}
		act()
	}
}

// states are those of web and db on both nodes: "MM/BB".
func (d *duo) states() string {
	var s []string
	for _, n := range d.nodes {
		word := ""
		if n == nil {
			word = "--"
		} else {
			for _, i := range n.instances {
				word += i.router.State().String()[:1]
			}
		}
		s = append(s, word)
	}
	return strings.Join(s, "/")
}

func (d *duo) want(states string) {
	d.t.Helper()
	if got := d.states(); got != states {
		d.t.Fatalf("states of web and db on lb1/lb2 = %s, want %s; events:\n%s", got, states, strings.Join(d.events, "\n"))
	}
}

func (d *duo) wantEvent(part string) {
	d.t.Helper()
	if !slices.ContainsFunc(d.events, func(e string) bool { return strings.Contains(e, part) }) {
		d.t.Errorf("no event with %q in:\n%s", part, strings.Join(d.events, "\n"))
	}
}

func masterDuo(t *testing.T, edit func(i int, c *Config)) *duo {
	d := newDuo(t, edit)
	d.wait(10 * time.Second)
	d.want("MM/BB")
	d.events = nil
	return d
}

func TestAGroupBecomesMasterTogether(t *testing.T) {
	d := newDuo(t, nil)
	d.wait(10 * time.Second)
	d.want("MM/BB")
	d.wantEvent("lb1 group all: BACKUP -> MASTER")
	d.wantEvent("lb2 group all: INIT -> BACKUP")
	if s := d.nodes[0].Snapshot(d.now).Groups; len(s) != 1 || s[0].State != vrrp.Master || s[0].Config.Name != "all" {
		t.Errorf("Groups = %+v, want all in MASTER", s)
	}
}

func TestOneLinkDownMovesTheWholeGroup(t *testing.T) {
	d := masterDuo(t, nil)
	d.down[0][1] = true
	d.links(0)
	d.want("FF/BB")
	d.wantEvent("lb1 group all: MASTER -> FAULT (interface eth1 is down)")
	d.wantEvent("lb1 instance web: MASTER -> FAULT (db of sync group all is in FAULT: interface eth1 is down)")
	// On eth0 the resignation is heard; on eth1 the silence has to tell.
	d.wait(4 * time.Second)
	d.want("FF/MM")
	d.down[0][1] = false
	d.links(0)
	d.want("BB/MM")
	d.wait(10 * time.Second)
	d.want("MM/BB")
}

func TestADeadNodeLosesTheWholeGroup(t *testing.T) {
	d := masterDuo(t, nil)
	d.kill(0)
	d.wait(4 * time.Second)
	d.want("--/MM")
	d.boot(0)
	d.wait(10 * time.Second)
	d.want("MM/BB")
}

func TestASilentLinkDoesNotTearTheGroupApart(t *testing.T) {
	d := masterDuo(t, nil)
	d.cut[0][1] = true // lb2 no longer hears db's master
	d.wait(20 * time.Second)
	d.want("MM/BB")
	d.wantEvent("lb2 group all: group.waits (db would be MASTER (no advert from 10.0.1.1 for")
	d.wantEvent("and web is not: BACKUP, 10.0.0.1 is its master, with priority 150; look whether the peer has the same group")
	if db := d.nodes[1].Snapshot(d.now).Instances[1]; db.State != vrrp.Hold || !strings.HasSuffix(db.Reason, "waits for web of sync group all") {
		t.Errorf("db is %s, and its reason %q; want HOLD, and what it waits for", db.State, db.Reason)
	}
	if n := strings.Count(strings.Join(d.events, "\n"), "group.waits"); n != 1 {
		t.Errorf("it was told %d times, want once", n)
	}
	d.cut[0][1] = false
	d.wait(5 * time.Second)
	d.want("MM/BB")
}

func TestWhatOneMemberTracksCountsForAll(t *testing.T) {
	d := masterDuo(t, func(_ int, c *Config) {
		c.Instances[1].Tracks = []Track{{Kind: TrackChecker, Name: "local", Weighted: true, Weight: -60}}
	})
	d.give(0, Observed{Check: "checker/local", Observation: health.Observation{Outcome: health.Fail}})
	for _, i := range d.nodes[0].instances {
		if p := i.router.Effective(); p != 90 {
			t.Errorf("priority of %s = %d, want 90", i.cfg.Name, p)
		}
	}
	d.wait(5 * time.Second)
	d.want("BB/MM")
}

func TestATrackOfTheGroup(t *testing.T) {
	d := masterDuo(t, func(_ int, c *Config) {
		c.Groups[0].Tracks = []Track{{Kind: TrackChecker, Name: "local"}}
	})
	d.give(0, Observed{Check: "checker/local", Observation: health.Observation{Outcome: health.Fail}})
	d.want("FF/BB")
	d.wait(time.Second)
	d.want("FF/MM")
}

func TestATrackOfTwoMembersCountsOnce(t *testing.T) {
	c := duoConfig(0)
	same := Track{Kind: TrackChecker, Name: "local", Weighted: true, Weight: -60}
	c.Instances[0].Tracks, c.Instances[1].Tracks, c.Groups[0].Tracks = []Track{same}, []Track{same}, []Track{same}
	if got := c.Shared(c.Groups[0]); !slices.Equal(got, []Track{same}) {
		t.Errorf("Shared = %v, want it once", got)
	}
}

func TestAPlannedHandOverTakesTheWholeGroup(t *testing.T) {
	for _, name := range []string{"db", "all"} {
		d := masterDuo(t, nil)
		d.give(0, Failover{Instance: name, ID: 7})
		d.want("MM/BB")
		d.wait(2 * time.Second)
		d.want("BB/MM")
		if len(d.answers) != 1 || d.answers[0].Err != nil {
			t.Errorf("Answers = %+v, want one that it is done", d.answers)
		}
		d.wait(20 * time.Second)
		d.want("BB/MM") // the operator's word stands
	}
}

func TestAHandOverThatHalfFailsLeavesNoHalfGroup(t *testing.T) {
	d := masterDuo(t, nil)
	d.cut[1][1] = true // lb2 takes db over, and lb1 does not hear of it
	d.give(0, Failover{Instance: "web", ID: 7})
	d.wait(3 * time.Second)
	d.want("BB/MM")
}

func TestAStopHandsTheGroupOver(t *testing.T) {
	d := masterDuo(t, nil)
	d.give(0, Stop{})
	d.wait(2 * time.Second)
	d.want("II/MM")
	d.wantEvent("lb1 group all: BACKUP -> STOP")
}

func TestALostElectionTakesTheRestAlong(t *testing.T) {
	d := masterDuo(t, nil)
	// lb2 gets the better priority for web alone, as no configuration of one file can say.
	c := d.cfgs[1]
	c.Instances = slices.Clone(c.Instances)
	c.Instances[0].VRRP.Priority = 200
	c.Groups = nil
	for k := range c.Instances {
		c.Instances[k].VRRP.Gated = false
	}
	d.nodes[1] = New(c)
	d.links(1)
	d.cfgs[1] = c
	n := d.nodes[1]
	n.Step(d.now, Start{})
	for range 2000 { // lb2 is no group and may be torn
		d.now = d.now.Add(10 * time.Millisecond)
		for i, n := range d.nodes {
			out := n.Step(d.now, Timeout{})
			if out.Desired != nil {
				d.desired[i] = len(out.Desired.Addresses)
			}
			if i == 0 {
				d.allOrNone(0)
			}
			for _, a := range out.Adverts {
				peer := d.nodes[1-i].Step(d.now, Received{
					Interface: a.Interface, Header: vrrp.Header{Source: a.Source, Destination: a.Destination, TTL: 255}, Payload: a.Payload,
				})
				if peer.Desired != nil {
					d.desired[1-i] = len(peer.Desired.Addresses)
				}
			}
		}
	}
	if got := d.states(); got != "BB/MM" {
		t.Errorf("states = %s, want lb1 without any and lb2, which knows no group, with both", got)
	}
}

// A sleep that is too long for the member with the faster adverts ends the mastership of all.
func TestAStallOfOneMemberTakesTheRestAlong(t *testing.T) {
	d := masterDuo(t, func(_ int, c *Config) { c.Instances[1].VRRP.Interval = 200 * time.Millisecond })
	d.now = d.now.Add(1200 * time.Millisecond)
	d.give(0, Timeout{})
	d.want("BB/BB")
	d.wantEvent("lb1 instance web: MASTER -> BACKUP (db of sync group all is BACKUP: stalled for")
	d.wait(10 * time.Second)
	d.want("MM/BB")
}

func TestMembersThatAreAdoptedTogether(t *testing.T) {
	for _, c := range []struct {
		name string
		held []string
		want vrrp.State
	}{
		{"both leases run", []string{"10.0.0.100/32", "10.0.1.100/32"}, vrrp.Master},
		{"one lease has ended", []string{"10.0.0.100/32"}, vrrp.Backup},
	} {
		n := New(duoConfig(0))
		l := Links{}
		start := Start{}
		for k := range 2 {
			name := fmt.Sprintf("eth%d", k)
			l[name] = Link{Index: k + 2, Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.0.%d.1/24", k))}}
			for _, h := range c.held {
				if p := netip.MustParsePrefix(h); p.Addr().As4()[2] == byte(k) {
					start.Held = append(start.Held, VirtualAddress{Prefix: p, Interface: name}.key())
				}
			}
		}
		now := time.Unix(1000, 0)
		n.Step(now, l)
		n.Step(now, start)
		for _, i := range n.instances {
			if got := i.router.State(); got != c.want {
				t.Errorf("%s: %s is %s, want %s", c.name, i.cfg.Name, got, c.want)
			}
		}
	}
}

func TestARefusedAddressTakesTheGroupOutAndItComesBackTogether(t *testing.T) {
	d := masterDuo(t, nil)
	key := d.cfgs[0].Instances[1].Addresses[0].key()
	d.give(0, Applied{Failed: map[desired.AddressKey]string{key: "no such device"}})
	d.want("FF/BB")
	d.wait(2 * time.Second)
	d.want("FF/MM")
	d.wait(retryFirst)
	d.want("BB/MM")
}

func TestTwoCrossedGroups(t *testing.T) {
	d := newDuo(t, func(i int, c *Config) {
		c.Groups = []Group{{Name: "one", Instances: []string{"web"}}, {Name: "two", Instances: []string{"db"}}}
		c.Instances[1].VRRP.Priority = []uint8{100, 150}[i]
	})
	d.wait(10 * time.Second)
	d.want("MB/BM")
	d.down[0][0] = true
	d.links(0)
	d.wait(5 * time.Second)
	d.want("FB/MM")
}

func TestAGroupIsAllOrNoneUnderFaults(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7)) // reproducible on purpose
		d := newDuo(t, func(_ int, c *Config) {
			c.Groups[0].Tracks = []Track{{Kind: TrackChecker, Name: "local", Weighted: true, Weight: -60}}
			c.Instances[0].VRRP.Preempt, c.Instances[1].VRRP.Preempt = seed%2 == 0, seed%2 == 0
		})
		for range 60 {
			d.wait(time.Duration(rnd.IntN(4000)) * time.Millisecond)
			i, k := rnd.IntN(2), rnd.IntN(2)
			switch rnd.IntN(6) {
			case 0:
				d.cut[i][k] = !d.cut[i][k]
			case 1:
				d.down[i][k] = !d.down[i][k]
				d.links(i)
			case 2:
				d.give(i, Observed{Check: "checker/local", Observation: health.Observation{Outcome: []health.Outcome{health.Pass, health.Fail}[rnd.IntN(2)]}})
			case 3:
				d.give(i, Failover{Instance: "all"})
			case 4:
				d.kill(i)
				d.wait(time.Duration(rnd.IntN(5000)) * time.Millisecond)
				d.boot(i)
			}
		}
		d.cut, d.down = [2][2]bool{}, [2][2]bool{}
		for i := range d.nodes {
			d.links(i)
			d.give(i, Observed{Check: "checker/local", Observation: health.Observation{Outcome: health.Pass}})
		}
		d.wait(20 * time.Second)
		if got := d.states(); got != "MM/BB" && got != "BB/MM" {
			t.Fatalf("seed %d: states = %s after all faults have ended, want one owner of all; events:\n%s", seed, got, strings.Join(d.events, "\n"))
		}
	}
}
