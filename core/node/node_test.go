package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

var vip = netip.MustParsePrefix("10.77.0.100/32")

// rig is a node with its clock, and what has come out of it.
type rig struct {
	t       *testing.T
	now     time.Time
	node    *Node
	events  []string
	notify  [][]string
	adverts int
	desired *desired.State
	leases  []desired.FastLease
	leased  int // how often they were told
	answers []Answer
	asked   []WitnessAsk
	stopped bool
}

func config() Config {
	return Config{
		Name:     "lb1",
		Checkers: []Checker{{Name: "local", Check: "checker/local", Health: health.Config{Rise: 1, Fall: 2}}},
		Instances: []Instance{{
			Name: "web", Interface: "eth0", PeerPriority: 100, Lease: Lease{Auto: true}, Notify: []string{"legacy"},
			VRRP: vrrp.Config{
				VRID: 51, Version: 3, Priority: 150, Interval: time.Second, Preempt: true, Addresses: []netip.Addr{vip.Addr()},
			},
			Addresses: []VirtualAddress{{Prefix: vip, Interface: "eth0"}},
			Tracks:    []Track{{Kind: TrackChecker, Name: "local", Weighted: true, Weight: -60}},
			Garp:      desired.Garp{Repeat: 5, Delay: 5 * time.Second},
		}},
		Services: []Service{{
			Name: "web", Quorum: 1, Notify: []string{"legacy"},
			Service: desired.Service{
				ServiceKey: desired.ServiceKey{Address: netip.MustParseAddrPort("10.77.0.100:80"), Protocol: desired.TCP}, Scheduler: "rr",
			},
			RealServers: []RealServer{realServer("10.77.0.11:80"), realServer("10.77.0.12:80")},
		}},
	}
}

func realServer(addr string) RealServer {
	return RealServer{
		Destination: desired.Destination{Address: netip.MustParseAddrPort(addr), Forward: desired.DR, Weight: 1},
		Checks:      []ServerCheck{{Check: addr, Health: health.Config{Rise: 1, Fall: 2, Initial: health.Down}}},
	}
}

func links(up bool) Links {
	return Links{"eth0": {Index: 2, Up: up, Addresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24")}}}
}

// start is a node whose interface is up and that has been told to start.
func start(t *testing.T, cfg Config) *rig {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
	r.give(links(true))
	r.give(Start{})
	return r
}

// master is a node that has become master of web.
func master(t *testing.T, cfg Config) *rig {
	r := start(t, cfg)
	r.observe("checker/local", health.Pass)
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)
	return r
}

func (r *rig) give(in Input) { r.take(r.node.Step(r.now, in)) }

func (r *rig) take(out Output) {
	r.adverts += len(out.Adverts)
	for _, e := range out.Events {
		r.events, r.notify = append(r.events, e.String()), append(r.notify, e.Notify)
	}
	if out.Desired != nil {
		r.desired = out.Desired
	}
	if out.FastLeases != nil {
		r.leases, r.leased = out.FastLeases, r.leased+1
	}
	r.answers = append(r.answers, out.Answers...)
	r.asked = append(r.asked, out.WitnessAsks...)
	r.stopped = r.stopped || out.Stopped
}

func (r *rig) observe(check string, o health.Outcome) {
	r.give(Observed{Check: check, Observation: health.Observation{Outcome: o, Reason: "because", Weight: -1}})
}

// wait lets time pass, with a timeout at each deadline.
func (r *rig) wait(d time.Duration) {
	for end := r.now.Add(d); ; {
		next := r.node.Deadline()
		if next.IsZero() || next.After(end) {
			r.now = end
			return
		}
		if next.After(r.now) {
			r.now = next
		}
		r.give(Timeout{})
	}
}

func (r *rig) wantState(want vrrp.State) {
	r.t.Helper()
	if got := r.node.instances[0].router.State(); got != want {
		r.t.Fatalf("state %s, want %s; events:\n%s", got, want, strings.Join(r.events, "\n"))
	}
}

func (r *rig) wantEvent(part string) {
	r.t.Helper()
	if !slices.ContainsFunc(r.events, func(e string) bool { return strings.Contains(e, part) }) {
		r.t.Errorf("no event with %q in:\n%s", part, strings.Join(r.events, "\n"))
	}
}

func (r *rig) weights() string {
	var s []string
	for _, d := range r.desired.Services[0].Destinations {
		s = append(s, fmt.Sprintf("%s=%d", d.Address, d.Weight))
	}
	return strings.Join(s, " ")
}

func TestInstanceWaitsForTheFirstVerdict(t *testing.T) {
	r := start(t, config())
	r.wait(StartGrace - time.Second)
	r.wantState(vrrp.Init)
	if reason := r.node.Snapshot(r.now).Instances[0].Reason; !strings.Contains(reason, "checker local") {
		t.Errorf("reason %q does not name what it waits for", reason)
	}
	r.observe("checker/local", health.Pass)
	r.wantState(vrrp.Backup)
}

func TestInstanceDoesNotWaitForEverForABrokenPlugin(t *testing.T) {
	r := start(t, config())
	r.observe("checker/local", health.Error)
	r.wait(StartGrace)
	r.wantState(vrrp.Backup)
	if p := r.node.instances[0].router.Effective(); p != 150 {
		t.Errorf("effective priority %d: unknown must not count as down", p)
	}
}

func TestWeightsOfTracks(t *testing.T) {
	for _, c := range []struct {
		name  string
		track Track
		up    uint8
		down  uint8
	}{
		{"a negative weight counts while down", Track{Weighted: true, Weight: -60}, 150, 90},
		{"a positive weight counts while up", Track{Weighted: true, Weight: 20}, 170, 150},
		{"the sum stays above 0", Track{Weighted: true, Weight: -253}, 150, 1},
		{"the sum stays below the owner's priority", Track{Weighted: true, Weight: 253}, 254, 150},
		{"reverse exchanges up and down", Track{Weighted: true, Weight: -60, Reverse: true}, 90, 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config()
			c.track.Kind, c.track.Name = TrackChecker, "local"
			cfg.Instances[0].Tracks = []Track{c.track}
			r := start(t, cfg)
			r.observe("checker/local", health.Pass)
			if p := r.node.instances[0].router.Effective(); p != c.up {
				t.Errorf("priority while up %d, want %d", p, c.up)
			}
			r.observe("checker/local", health.Fail)
			r.observe("checker/local", health.Fail)
			if p := r.node.instances[0].router.Effective(); p != c.down {
				t.Errorf("priority while down %d, want %d", p, c.down)
			}
		})
	}
}

func TestTrackWithoutWeightMeansFault(t *testing.T) {
	cfg := config()
	cfg.Instances[0].Tracks[0].Weighted = false
	r := master(t, cfg)
	r.observe("checker/local", health.Fail)
	r.wantState(vrrp.Master)
	r.observe("checker/local", health.Fail)
	r.wantState(vrrp.Fault)
	if len(r.desired.Addresses) != 0 {
		t.Errorf("in FAULT the node still wants %v", r.desired.Addresses)
	}
	r.wantEvent("MASTER -> FAULT (checker local is down: because)")
	r.observe("checker/local", health.Pass)
	r.wantState(vrrp.Backup)
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)
}

func TestInterfaceDownMeansFault(t *testing.T) {
	r := master(t, config())
	r.give(links(false))
	r.wantState(vrrp.Fault)
	r.wantEvent("interface eth0 is down")
	r.give(Links{})
	r.wantEvent("MASTER -> FAULT")
	r.give(links(true))
	r.wantState(vrrp.Backup)
}

func TestMasterHoldsLeasedAddressesAndRenewsThem(t *testing.T) {
	r := master(t, config())
	a := r.desired.Addresses
	if len(a) != 1 || a[0].Prefix != vip || a[0].Lease != 3*time.Second {
		t.Fatalf("addresses %+v, want the VIP with a lease of 3 s", a)
	}
	if len(r.desired.Announcements) != 1 || r.desired.Announcements[0].Epoch != 1 {
		t.Errorf("announcements %+v, want one", r.desired.Announcements)
	}
	before := a[0].Renewed
	r.wait(time.Second)
	if renewed := r.desired.Addresses[0].Renewed; renewed.Sub(before) != time.Second {
		t.Errorf("renewed %s later, want 1s", renewed.Sub(before))
	}
}

func TestLease(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Instance)
		lone bool
		want time.Duration
	}{
		{"shorter than a peer of priority 100 needs", func(*Instance) {}, false, 3 * time.Second},
		{"an unknown peer may have 254", func(i *Instance) { i.PeerPriority = 0 }, false, 2 * time.Second},
		{"a positive weight may lift the peer", func(i *Instance) { i.Tracks[0].Weight = 60 }, false, 2 * time.Second},
		{"the kernel's least is 1 s", func(i *Instance) { i.VRRP.Interval = 100 * time.Millisecond }, false, time.Second},
		{"slow adverts give long leases", func(i *Instance) { i.VRRP.Interval = 10 * time.Second }, false, 35 * time.Second},
		{"a lone node has nobody to make room for", func(*Instance) {}, true, 0},
		{"a fixed lease", func(i *Instance) { i.Lease = Lease{For: 7 * time.Second} }, false, 7 * time.Second},
		{"off", func(i *Instance) { i.Lease = Lease{} }, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config().Instances[0]
			c.edit(&cfg)
			if got := newInstance(cfg).lease(c.lone); got != c.want {
				t.Errorf("lease %s, want %s", got, c.want)
			}
		})
	}
}

func TestRefusedAddressTakesTheInstanceOutAndIsTriedAgain(t *testing.T) {
	r := master(t, config())
	key := desired.AddressKey{Interface: "eth0", Prefix: vip}
	r.give(Applied{Failed: map[desired.AddressKey]string{key: "permission denied"}})
	r.wantState(vrrp.Fault)
	r.wantEvent("permission denied")
	if len(r.desired.Addresses) != 0 {
		t.Errorf("the node still wants %v", r.desired.Addresses)
	}
	r.wait(retryFirst)
	r.wantState(vrrp.Backup)
}

func TestARefusedAddressIsTriedAgainWhenItsInterfaceIsBack(t *testing.T) {
	r := master(t, config())
	key := desired.AddressKey{Interface: "eth0", Prefix: vip}
	was := r.node.links["eth0"]
	r.give(Applied{Failed: map[desired.AddressKey]string{key: "no such device"}})
	r.give(Links{})
	r.wantState(vrrp.Fault)
	was.Index += 5
	r.give(Links{"eth0": was})
	r.wantState(vrrp.Backup)
}

func TestRepairedAddressIsToldAndMovesNothing(t *testing.T) {
	r := master(t, config())
	r.give(Applied{Repaired: []desired.AddressKey{{Interface: "eth0", Prefix: vip}}})
	r.wantState(vrrp.Master)
	r.wantEvent("somebody else had removed it from eth0")
}

func TestRealServersFollowTheirChecks(t *testing.T) {
	r := start(t, config())
	if r.weights() != "" {
		t.Errorf("before the first result the service has %s", r.weights())
	}
	r.observe("10.77.0.11:80", health.Pass)
	r.observe("10.77.0.12:80", health.Pass)
	if want := "10.77.0.11:80=1 10.77.0.12:80=1"; r.weights() != want {
		t.Errorf("destinations %s, want %s", r.weights(), want)
	}
	r.observe("10.77.0.11:80", health.Fail)
	r.observe("10.77.0.11:80", health.Error)
	if want := "10.77.0.11:80=1 10.77.0.12:80=1"; r.weights() != want {
		t.Errorf("after one failure of two: %s, want %s", r.weights(), want)
	}
	r.observe("10.77.0.11:80", health.Fail)
	if want := "10.77.0.12:80=1"; r.weights() != want {
		t.Errorf("after two failures: %s, want %s", r.weights(), want)
	}
	r.wantEvent("real_server 10.77.0.11:80 of web: up -> down (because)")
	r.observe("10.77.0.11:80", health.Pass)
	if want := "10.77.0.11:80=1 10.77.0.12:80=1"; r.weights() != want {
		t.Errorf("after it came back: %s, want %s", r.weights(), want)
	}
}

func TestFirstFailureOfAServerIsTold(t *testing.T) {
	r := start(t, config())
	r.observe("10.77.0.11:80", health.Fail)
	r.wantEvent("real_server 10.77.0.11:80 of web: unknown -> down (because)")
}

func TestCheckSetsTheWeight(t *testing.T) {
	r := start(t, config())
	pass := func(weight int) {
		r.give(Observed{Check: "10.77.0.11:80", Observation: health.Observation{Outcome: health.Pass, Weight: weight}})
	}
	for _, step := range []struct {
		asked int
		want  string
	}{
		{7, "10.77.0.11:80=7"},
		{7, "10.77.0.11:80=7"},
		{0, "10.77.0.11:80=0"},
		{-1, "10.77.0.11:80=1"},
	} {
		pass(step.asked)
		if r.weights() != step.want {
			t.Errorf("after a result that asks for %d: %s, want %s", step.asked, r.weights(), step.want)
		}
	}
	r.wantEvent("real_server 10.77.0.11:80 of web: 7 -> 0")
	if n := len(r.events); n != 6 {
		t.Errorf("%d events, want the first verdict, the service up, down and up again, and two weights:\n%s", n, strings.Join(r.events, "\n"))
	}
}

func TestInhibitKeepsADeadServerWithWeightZero(t *testing.T) {
	cfg := config()
	cfg.Services[0].RealServers[0].Inhibit = true
	r := start(t, cfg)
	r.observe("10.77.0.11:80", health.Fail)
	if want := "10.77.0.11:80=0"; r.weights() != want {
		t.Errorf("destinations %s, want %s", r.weights(), want)
	}
}

func TestServiceGoesDownBelowItsQuorum(t *testing.T) {
	cfg := config()
	cfg.Services[0].Quorum = 2
	r := start(t, cfg)
	r.observe("10.77.0.11:80", health.Pass)
	if r.node.services[0].up {
		t.Errorf("one of two is up, and the quorum is 2")
	}
	r.observe("10.77.0.12:80", health.Pass)
	r.wantEvent("service web: down -> up")
	r.observe("10.77.0.12:80", health.Fail)
	r.observe("10.77.0.12:80", health.Fail)
	r.wantEvent("service web: up -> down")
}

func TestReloadKeepsVerdictsAndFollowsTheFile(t *testing.T) {
	r := master(t, config())
	r.observe("10.77.0.11:80", health.Pass)
	r.observe("10.77.0.12:80", health.Pass)
	cfg := config()
	cfg.Instances[0].Name = "renamed"
	cfg.Services[0].RealServers = append(cfg.Services[0].RealServers[1:], realServer("10.77.0.13:80"))
	before := len(r.events)
	r.take(r.node.Configure(r.now, cfg))
	r.wantState(vrrp.Master)
	if want := "10.77.0.12:80=1"; r.weights() != want {
		t.Errorf("destinations %s, want %s", r.weights(), want)
	}
	if len(r.events) != before {
		t.Errorf("a reload that moves nothing told %q", r.events[before:])
	}
}

func TestReloadThatRemovesAnInstanceResigns(t *testing.T) {
	r := master(t, config())
	cfg := config()
	cfg.Instances = nil
	adverts := r.adverts
	r.take(r.node.Configure(r.now, cfg))
	if len(r.desired.Addresses) != 0 || r.adverts != adverts+1 {
		t.Errorf("addresses %v, %d adverts; want none, and one resignation", r.desired.Addresses, r.adverts-adverts)
	}
}

func TestStopWithoutAPeerLeavesNothing(t *testing.T) {
	r := master(t, config())
	r.give(Stop{})
	if len(r.desired.Addresses) == 0 {
		t.Errorf("the VIP must stay until a peer has it, or the wait is over")
	}
	r.wait(5 * time.Second)
	if !r.stopped || len(r.desired.Addresses)+len(r.desired.Services) != 0 {
		t.Errorf("stopped %v, still wanted: %+v", r.stopped, r.desired)
	}
	r.wantEvent("MASTER -> STOP")
}

func TestFailoverIsRefusedWhereItMakesNoSense(t *testing.T) {
	r := start(t, config())
	r.give(Failover{Instance: "web", ID: 1})
	r.give(Failover{Instance: "wbe", ID: 2})
	if len(r.answers) != 2 || !errors.Is(r.answers[0].Err, ErrRefused) || !errors.Is(r.answers[1].Err, ErrUnknown) {
		t.Errorf("answers %+v", r.answers)
	}
	r = master(t, config())
	r.give(Failover{Instance: "web", ID: 3})
	r.wait(6 * time.Second)
	if len(r.answers) != 1 || !errors.Is(r.answers[0].Err, ErrTimeout) {
		t.Errorf("answers %+v, want a time-out: there is no peer", r.answers)
	}
	r.wantState(vrrp.Master)
}

func TestEverythingIsHandedOverByOneCommand(t *testing.T) {
	n, now := crowd(3, true)
	var answers []Answer
	take := func(out Output) { answers = append(answers, out.Answers...) }
	take(n.Step(now, Failover{ID: 7}))
	for k := range 3 {
		if len(answers) > 0 {
			t.Fatalf("answered %+v before the peer has taken number %d", answers, k)
		}
		now = now.Add(time.Millisecond)
		take(n.Step(now, n.advert(k)))
	}
	if len(answers) != 1 || answers[0].ID != 7 || answers[0].Err != nil || strings.Count(answers[0].Text, "was handed over to 10.0.0.2") != 3 {
		t.Errorf("answers %+v, want one of three hand-overs", answers)
	}
	if out := n.Step(now, Failover{ID: 8}); !errors.Is(out.Answers[0].Err, ErrRefused) {
		t.Errorf("a second time: %+v, want it refused", out.Answers)
	}
	n, now = crowd(2, true)
	n.Step(now, Failover{ID: 9})
	n.Step(now, n.advert(0))
	var last Output
	for len(last.Answers) == 0 && !n.Deadline().IsZero() && n.Deadline().Before(now.Add(10*time.Second)) {
		last = n.Step(n.Deadline(), Timeout{})
	}
	if len(last.Answers) != 1 || !errors.Is(last.Answers[0].Err, ErrTimeout) || !strings.Contains(last.Answers[0].Err.Error(), "i0 was handed over") {
		t.Errorf("answers %+v, want that one was not taken and the other was", last.Answers)
	}
}

func TestNotifiersHearOfWhatTheySubscribedTo(t *testing.T) {
	r := master(t, config())
	for k, e := range r.events {
		wants := strings.HasPrefix(e, string(event.Instance))
		if got := len(r.notify[k]) > 0; got != wants {
			t.Errorf("%q goes to %v", e, r.notify[k])
		}
	}
}

func TestAdoptedAddressIsHeldFromTheFirstStep(t *testing.T) {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(config())}
	r.give(links(true))
	r.give(Start{Held: []desired.AddressKey{{Interface: "eth0", Prefix: vip}}})
	r.wantState(vrrp.Master)
	if len(r.desired.Addresses) != 1 {
		t.Errorf("the first wish is %+v, want the adopted VIP in it", r.desired)
	}
}
