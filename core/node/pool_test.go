package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// pool is a configuration whose service has n servers of weight w.
func pool(n, w int, change func(*Service)) Config {
	cfg := config()
	s := &cfg.Services[0]
	s.RealServers = nil
	for k := range n {
		r := realServer(fmt.Sprintf("10.77.0.%d:80", 11+k))
		r.Destination.Weight, r.Checks[0].Health.Fall = w, 1
		s.RealServers = append(s.RealServers, r)
	}
	if change != nil {
		change(s)
	}
	return cfg
}

// see gives the same result to the servers with these last numbers of their addresses.
func (r *rig) see(o health.Outcome, servers ...int) {
	for _, k := range servers {
		r.observe(fmt.Sprintf("10.77.0.%d:80", k), o)
	}
}

func (r *rig) wantTable(want string) {
	r.t.Helper()
	if r.weights() != want {
		r.t.Fatalf("the table is %q, want %q; events:\n%s", r.weights(), want, strings.Join(r.events, "\n"))
	}
}

// count is how many events have the text.
func (r *rig) count(text string) (n int) {
	for _, e := range r.events {
		if strings.Contains(e, text) {
			n++
		}
	}
	return n
}

func TestHysteresisKeepsAServiceFromGoingToAndFro(t *testing.T) {
	r := start(t, pool(4, 1, func(s *Service) { s.Quorum, s.Hysteresis = 2, 1 }))
	for _, step := range []struct {
		what health.Outcome
		who  int
		up   bool
	}{
		{health.Pass, 11, false},
		{health.Pass, 12, false}, // two reach the quorum, but not quorum + hysteresis
		{health.Pass, 13, true},
		{health.Fail, 13, true},
		{health.Fail, 12, true}, // one is quorum - hysteresis
		{health.Fail, 11, false},
		{health.Pass, 11, false},
		{health.Pass, 12, false},
	} {
		r.see(step.what, step.who)
		if got := r.node.services[0].up; got != step.up {
			t.Errorf("after %v of %d the service is up: %v, want %v", step.what, step.who, got, step.up)
		}
	}
}

func TestQuorumHasNotifiersOfItsOwn(t *testing.T) {
	r := start(t, pool(1, 1, func(s *Service) { s.NotifyUp, s.NotifyDown = []string{"up", "legacy"}, []string{"down"} }))
	r.see(health.Pass, 11)
	if got := r.notify[len(r.notify)-1]; !slices.Equal(got, []string{"legacy", "up"}) {
		t.Errorf("of its coming up hear %q, want legacy and up", got)
	}
	r.see(health.Fail, 11)
	if got := r.notify[len(r.notify)-1]; !slices.Equal(got, []string{"legacy", "down"}) {
		t.Errorf("of its going down hear %q, want legacy and down", got)
	}
}

func TestTheSorryServerServesBelowTheQuorum(t *testing.T) {
	sorry := desired.Destination{Address: netip.MustParseAddrPort("10.77.0.99:80"), Forward: desired.DR, Weight: 1}
	for _, c := range []struct {
		name    string
		inhibit bool
		one     string
	}{
		{"instead of the others", false, "10.77.0.99:80=1"},
		{"besides the others with weight 0", true, "10.77.0.11:80=0 10.77.0.12:80=0 10.77.0.99:80=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, pool(2, 1, func(s *Service) { s.Quorum, s.Sorry = 2, &Sorry{sorry, c.inhibit} }))
			r.wantTable("") // nobody knows yet
			r.see(health.Pass, 11, 12)
			r.wantTable("10.77.0.11:80=1 10.77.0.12:80=1")
			r.see(health.Fail, 12)
			r.wantTable(c.one)
			if s := r.node.Snapshot(r.now).Services[0]; !s.Sorry || s.RealServers[0].Status != health.Up || !s.RealServers[0].Aside {
				t.Errorf("the snapshot has %+v, want the sorry server serving and the first one aside", s)
			}
			r.see(health.Pass, 12)
			r.wantTable("10.77.0.11:80=1 10.77.0.12:80=1")
		})
	}
}

func TestTheSorryServerDoesNotWaitForAPluginThatSaysNothing(t *testing.T) {
	sorry := desired.Destination{Address: netip.MustParseAddrPort("10.77.0.99:80"), Forward: desired.DR, Weight: 1}
	r := start(t, pool(1, 1, func(s *Service) { s.Sorry = &Sorry{Destination: sorry} }))
	r.wait(StartGrace - time.Second)
	r.wantTable("")
	r.wait(time.Second)
	r.wantTable("10.77.0.99:80=1")
}

func TestMostOfAPoolFailingAtOnceIsOurOwnNetwork(t *testing.T) {
	cfg := pool(4, 1, func(s *Service) { s.MaxEjected = 50 })
	cfg.Instances[0].Tracks = []Track{{Kind: TrackService, Name: "web", Weighted: true, Weight: -60}}
	r := start(t, cfg)
	r.see(health.Pass, 11, 12, 13, 14)
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)
	r.see(health.Fail, 11)
	r.wait(time.Minute)
	r.wantTable("10.77.0.12:80=1 10.77.0.13:80=1 10.77.0.14:80=1")

	r.see(health.Fail, 12)
	r.wantTable("10.77.0.13:80=1 10.77.0.14:80=1")
	r.see(health.Fail, 13) // beyond a half, within seconds: those two are back, the first one stays out
	r.wantTable("10.77.0.12:80=1 10.77.0.13:80=1 10.77.0.14:80=1")
	r.see(health.Fail, 14)
	r.wantTable("10.77.0.12:80=1 10.77.0.13:80=1 10.77.0.14:80=1")
	r.wantEvent("this node's own network is suspected")
	if n := r.count("service.suspect"); n != 1 {
		t.Errorf("it was told %d times, want once", n)
	}
	if r.count("service web: up -> down") > 0 {
		t.Errorf("the service counts as down, though nobody believes it:\n%s", strings.Join(r.events, "\n"))
	}
	if s := r.node.Snapshot(r.now); s.Instances[0].Effective != 90 || !s.Services[0].Suspect || !s.Services[0].RealServers[1].Kept {
		t.Errorf("priority %d, service %+v; want 90, and the second server kept", s.Instances[0].Effective, s.Services[0])
	}

	r.see(health.Pass, 13, 14)
	r.wantTable("10.77.0.13:80=1 10.77.0.14:80=1")
	r.wantEvent("what their checks say counts again")
	if s := r.node.Snapshot(r.now); s.Instances[0].Effective != 150 || s.Services[0].Suspect {
		t.Errorf("priority %d, suspect %v; want 150 and false", s.Instances[0].Effective, s.Services[0].Suspect)
	}
}

func TestServersThatNeverPassedAreNotKept(t *testing.T) {
	r := start(t, pool(2, 1, func(s *Service) { s.MaxEjected = 50 }))
	r.see(health.Fail, 11, 12)
	r.wantTable("")
	if r.count("suspect") > 0 {
		t.Errorf("suspected:\n%s", strings.Join(r.events, "\n"))
	}
}

func TestSlowStartClimbsToTheWeight(t *testing.T) {
	r := start(t, pool(2, 100, func(s *Service) { s.SlowStart = 20 * time.Second }))
	r.see(health.Pass, 11, 12)
	r.wantTable("10.77.0.11:80=100 10.77.0.12:80=100") // at the start all begin together
	r.see(health.Fail, 12)
	r.wait(time.Minute)
	r.see(health.Pass, 12)
	r.wantTable("10.77.0.11:80=100 10.77.0.12:80=1")
	for _, step := range []struct {
		after  time.Duration
		weight int
	}{{time.Second, 5}, {time.Second, 10}, {8 * time.Second, 50}, {9 * time.Second, 95}, {time.Second, 100}} {
		r.wait(step.after)
		r.wantTable(fmt.Sprintf("10.77.0.11:80=100 10.77.0.12:80=%d", step.weight))
	}
	r.see(health.Fail, 11, 12)
	r.see(health.Pass, 11)
	r.wantTable("10.77.0.11:80=100") // nobody else could do the work meanwhile
}

func TestAServerThatFailsTooOftenIsKeptOut(t *testing.T) {
	r := start(t, pool(2, 1, func(s *Service) {
		s.Damping = Damping{Failures: 3, Window: 5 * time.Minute, Hold: time.Minute}
	}))
	r.see(health.Pass, 11, 12)
	const both, one = "10.77.0.11:80=1 10.77.0.12:80=1", "10.77.0.11:80=1"
	for range 2 {
		r.see(health.Fail, 12)
		r.wantTable(one)
		r.see(health.Pass, 12)
		r.wantTable(both)
	}
	r.see(health.Fail, 12)
	r.see(health.Pass, 12)
	r.wantTable(one)
	if got := r.node.Snapshot(r.now).Services[0].RealServers[1].Reason; !strings.Contains(got, "it failed 3 times within 5m0s") {
		t.Errorf("the reason is %q", got)
	}
	r.wait(30 * time.Second)
	r.see(health.Fail, 12) // the minute begins anew
	r.see(health.Pass, 12)
	r.wait(59 * time.Second)
	r.wantTable(one)
	r.wait(time.Second)
	r.wantTable(both)
	r.see(health.Fail, 12)
	r.see(health.Pass, 12)
	r.wantTable(both) // it begins to count anew
}

func TestFailuresThatAreFarApartDoNotAddUp(t *testing.T) {
	r := start(t, pool(1, 1, func(s *Service) {
		s.Damping = Damping{Failures: 2, Window: time.Minute, Hold: time.Minute}
	}))
	for range 5 {
		r.see(health.Pass, 11)
		r.see(health.Fail, 11)
		r.see(health.Pass, 11)
		r.wantTable("10.77.0.11:80=1")
		r.wait(2 * time.Minute)
	}
}

func TestOmegaTellsOfTheEnd(t *testing.T) {
	for _, omega := range []bool{true, false} {
		r := start(t, pool(2, 1, func(s *Service) { s.Omega, s.NotifyDown = omega, []string{"down"} }))
		r.see(health.Pass, 11)
		before := len(r.events)
		r.give(Stop{})
		told := strings.Join(r.events[before:], "\n")
		for _, want := range []string{"service web: up -> down (the daemon is stopping)", "10.77.0.11:80 of web: up -> down (the daemon is stopping)"} {
			if strings.Contains(told, want) != omega {
				t.Errorf("with omega = %v the end tells\n%s", omega, told)
			}
		}
		if strings.Contains(told, "10.77.0.12") {
			t.Errorf("a server that was not up is told to go down:\n%s", told)
		}
	}
}

func TestAServiceCountsInThePriority(t *testing.T) {
	cfg := pool(1, 1, nil)
	cfg.Instances[0].Tracks = []Track{{Kind: TrackService, Name: "web", Weighted: true, Weight: -60}}
	r := start(t, cfg)
	for _, step := range []struct {
		what health.Outcome
		want uint8
	}{{health.Pass, 150}, {health.Fail, 90}, {health.Error, 90}, {health.Pass, 150}} {
		r.see(step.what, 11)
		if got := r.node.Snapshot(r.now).Instances[0].Effective; got != step.want {
			t.Errorf("after %v the priority is %d, want %d", step.what, got, step.want)
		}
	}
}

func TestAServiceWithoutQuorumIsAFaultWhereSoConfigured(t *testing.T) {
	cfg := pool(1, 1, nil)
	cfg.Instances[0].Tracks = []Track{{Kind: TrackService, Name: "web"}}
	r := start(t, cfg)
	r.wait(20 * time.Second) // unknown is never a fault
	r.wantState(vrrp.Master)
	r.see(health.Fail, 11)
	r.wantState(vrrp.Fault)
	r.wantEvent("virtual_server web is down: the servers that are up do not reach the quorum")
}

func TestAGroupIsTheSameServiceUnderEachAddress(t *testing.T) {
	cfg := pool(1, 1, func(s *Service) {
		s.Also = []desired.ServiceKey{
			{Address: netip.MustParseAddrPort("10.77.0.100:443"), Protocol: desired.TCP}, desired.Marked(7, false),
		}
		s.Markings = []desired.Marking{{Mark: 7}}
	})
	r := start(t, cfg)
	r.see(health.Pass, 11)
	var got []string
	for _, s := range r.desired.Services {
		got = append(got, s.ServiceKey.String()+" "+s.Destinations[0].Address.String())
	}
	want := []string{"tcp 10.77.0.100:80 10.77.0.11:80", "tcp 10.77.0.100:443 10.77.0.11:443", "fwmark 7 10.77.0.11:0"}
	if !slices.Equal(got, want) || len(r.desired.Markings) != 1 {
		t.Errorf("wished for are %q with %v, want %q", got, r.desired.Markings, want)
	}
}

func TestACheckWithAWeightOnlyAddsIt(t *testing.T) {
	cfg := pool(1, 5, func(s *Service) {
		s.RealServers[0].Checks = append(s.RealServers[0].Checks, ServerCheck{Check: "load", Weighted: true, Weight: 10, Health: health.Config{Fall: 1}})
	})
	r := start(t, cfg)
	r.see(health.Pass, 11)
	r.wantTable("10.77.0.11:80=5")
	r.observe("load", health.Pass)
	r.wantTable("10.77.0.11:80=15")
	r.observe("load", health.Fail)
	r.wantTable("10.77.0.11:80=5")
}

func TestWhatTheSystemLacksIsToldOnce(t *testing.T) {
	r := start(t, config())
	lacks := []string{"this node does not forward IPv4: run sysctl -w net.ipv4.ip_forward=1"}
	r.give(ServicesApplied{Lacks: lacks})
	r.give(ServicesApplied{Lacks: lacks, Repaired: []string{"x"}})
	if n := r.count("does not forward IPv4"); n != 1 {
		t.Errorf("it was told %d times, want once", n)
	}
	r.give(ServicesApplied{})
	r.wantEvent("the system has what the services need")
}

func TestServersThatNobodyChecksAreUpWithoutAnEventEach(t *testing.T) {
	r := start(t, pool(3, 1, func(s *Service) {
		for k := range s.RealServers[:2] {
			s.RealServers[k].Checks = nil
		}
	}))
	r.see(health.Pass, 13)
	r.wantTable("10.77.0.11:80=1 10.77.0.12:80=1 10.77.0.13:80=1")
	if up := r.count("unknown -> up"); up != 1 {
		t.Errorf("there are %d events of servers that are up, want that of the one that is checked:\n%s", up, strings.Join(r.events, "\n"))
	}
}
