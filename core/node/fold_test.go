package node

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
)

// crowded is the usual configuration with a service of many servers, all checked by the plugin "tcp", each result good for
// 4 seconds, and the others by "http".
func crowded(servers int) Config {
	cfg := perishable()
	cfg.Checkers[0].Plugin = "http"
	for i := range cfg.Services[0].RealServers {
		cfg.Services[0].RealServers[i].Checks[0].Plugin = "http"
	}
	many := Service{Name: "many", Quorum: 1, Service: desired.Service{
		ServiceKey: desired.ServiceKey{Address: netip.MustParseAddrPort("10.77.0.101:80"), Protocol: desired.TCP},
	}}
	for i := range servers {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 88, byte(i / 250), byte(i % 250)}), 80)
		many.RealServers = append(many.RealServers, RealServer{
			Destination: desired.Destination{Address: address, Weight: 1},
			Checks: []ServerCheck{{
				Check: crowdCheck(i), Plugin: "tcp", Health: health.Config{Rise: 1, Fall: 1, Initial: health.Up, FreshFor: 4 * time.Second},
			}},
		})
	}
	cfg.Services = append(cfg.Services, many)
	return cfg
}

func crowdCheck(i int) string { return fmt.Sprintf("crowd/%d", i) }

// crowd gives each of the checks from..to a result, spread over a second, and repeats that.
func (r *rig) crowd(d time.Duration, from, to int) {
	for end := r.now.Add(d); r.now.Before(end); {
		const parts = 10
		for part := range parts {
			var results Observations
			for i := from; i < to; i++ {
				if i%parts == part {
					results = append(results, Observed{Check: crowdCheck(i), Observation: health.Observation{Outcome: health.Pass, Weight: -1}})
				}
			}
			r.give(results)
			for _, check := range []string{"checker/local", "10.77.0.11:80", "10.77.0.12:80"} {
				r.observe(check, health.Pass)
			}
			r.wait(time.Second / parts)
		}
	}
}

func TestAPluginThatDiesWithManyTargetsIsOnePieceOfNews(t *testing.T) {
	const servers = 1000
	r := master(t, crowded(servers))
	r.crowd(5*time.Second, 0, servers)
	told, wish := len(r.events), len(r.desired.Services[1].Destinations)

	r.crowd(20*time.Second, 0, 0)
	if got, want := r.since(told), "plugin tcp: checks.stale (no result of 1000 of its 1000 checks, for up to 4s; their verdicts stay)"; got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
	s := r.node.Snapshot(r.now)
	for _, server := range s.Services[1].RealServers {
		if !server.Stale || server.Status != health.Up || server.EffectiveWeight != 1 {
			t.Fatalf("server %+v, want it stale and up with its weight", server)
		}
	}
	if got := len(r.desired.Services[1].Destinations); got != wish {
		t.Errorf("IPVS is to hold %d servers, want %d", got, wish)
	}

	told = len(r.events)
	r.crowd(5*time.Second, 0, servers)
	if got, want := r.since(told), "plugin tcp: checks.fresh (1000 of its checks have results again)"; got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
	if s := r.node.Snapshot(r.now); s.Services[1].RealServers[0].Stale || s.Services[1].RealServers[servers-1].Stale {
		t.Error("a server is still stale")
	}
}

func TestFewChecksOfAPluginAreToldOneByOne(t *testing.T) {
	r := master(t, crowded(maxSingle))
	r.crowd(5*time.Second, 0, maxSingle)
	told := len(r.events)
	r.crowd(10*time.Second, 0, 0)
	if got := r.since(told); strings.Count(got, "of many: real_server.stale") != maxSingle || strings.Contains(got, "checks.stale") {
		t.Errorf("events:\n%s\nwant one of each server", got)
	}
	told = len(r.events)
	r.crowd(5*time.Second, 0, maxSingle)
	if got := r.since(told); strings.Count(got, "of many: real_server.fresh") != maxSingle || strings.Contains(got, "checks.fresh") {
		t.Errorf("events:\n%s\nwant one of each server", got)
	}
}

func TestWhatDoesNotComeBackWithTheOthersIsToldByName(t *testing.T) {
	r := master(t, crowded(100))
	r.crowd(5*time.Second, 0, 100)
	told := len(r.events)
	r.crowd(10*time.Second, 0, 0)
	r.crowd(10*time.Second, 0, 98)
	want := "plugin tcp: checks.stale (no result of 100 of its 100 checks, for up to 4s; their verdicts stay)\n" +
		"plugin tcp: checks.fresh (98 of its checks have results again, and 2 have none)\n" +
		"real_server 10.88.0.98:80 of many: real_server.stale (no result for 14s; it stays up)\n" +
		"real_server 10.88.0.99:80 of many: real_server.stale (no result for 14s; it stays up)"
	if got := r.since(told); got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
	told = len(r.events)
	r.crowd(2*time.Second, 0, 100)
	want = "real_server 10.88.0.98:80 of many: real_server.fresh (it is checked again)\n" +
		"real_server 10.88.0.99:80 of many: real_server.fresh (it is checked again)"
	if got := r.since(told); got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
}

func TestAPluginThatCrashesAgainAndAgainIsToldOnceForEachTimeThatItWorked(t *testing.T) {
	r := master(t, crowded(100))
	r.crowd(5*time.Second, 0, 100)
	told := len(r.events)
	for range 3 { // it comes back for half of them only
		r.crowd(10*time.Second, 0, 0)
		r.crowd(time.Second, 0, 50)
	}
	if got := strings.Count(r.since(told), "\n") + 1; got > 6 {
		t.Errorf("%d events of three crashes, want at most two of each:\n%s", got, r.since(told))
	}
	told = len(r.events)
	r.crowd(10*time.Second, 0, 100)
	if got := r.since(told); !strings.HasSuffix(got, "of its checks have results again)") || strings.Contains(got, "stale") {
		t.Errorf("events:\n%s\nwant it told that all are back", got)
	}
}

func TestAReloadThatRemovesTheChecksEndsTheNews(t *testing.T) {
	r := master(t, crowded(100))
	r.crowd(5*time.Second, 0, 100)
	r.crowd(10*time.Second, 0, 0)
	told := len(r.events)
	r.take(r.node.Configure(r.now, crowded(3)))
	r.crowd(5*time.Second, 0, 3)
	if got := r.since(told); strings.Count(got, "checks.fresh (3 of its checks") > 1 || strings.Contains(got, "stale") {
		t.Errorf("events:\n%s\nwant no more than that the three are back", got)
	}
	if len(r.node.folds) > 0 {
		t.Errorf("folds %v are left", r.node.folds)
	}
}

func figuresOf(s RealServerStatus) (out string) {
	for _, c := range s.Checks {
		out += fmt.Sprintf("%s %v %v; ", c.Check, c.Outcome, c.Values)
	}
	return out
}

func TestFiguresOfChecksAreInTheSnapshot(t *testing.T) {
	cfg := crowded(1)
	cfg.Services[1].RealServers[0].Checks = append(cfg.Services[1].RealServers[0].Checks, ServerCheck{Check: "second", Plugin: "tcp"})
	r := master(t, cfg)
	figure := func(check string, values map[string]float64) {
		r.give(Observed{Check: check, Observation: health.Observation{Outcome: health.Pass, Weight: -1, Values: values}})
		r.wait(2 * figuresEvery)
	}
	figure(crowdCheck(0), map[string]float64{"answer_seconds": 1})
	figure("second", map[string]float64{"answer_seconds": 2})
	figure("checker/local", map[string]float64{"load": 3})
	s := r.node.Snapshot(r.now)
	if got, want := figuresOf(s.Services[1].RealServers[0]), "tcp pass map[answer_seconds:1]; tcp-2 pass map[answer_seconds:2]; "; got != want {
		t.Errorf("figures of the server %s, want %s", got, want)
	}
	if got := s.Checkers[0].Values["load"]; got != 3 {
		t.Errorf("load of the checker %v, want 3", got)
	}
	figure(crowdCheck(0), nil)
	if got, want := figuresOf(r.node.Snapshot(r.now).Services[1].RealServers[0]), "tcp pass map[]; tcp-2 pass map[answer_seconds:2]; "; got != want {
		t.Errorf("figures after a result without any %s, want %s", got, want)
	}
}

func TestASnapshotIsNotChangedByTheNext(t *testing.T) {
	r := master(t, crowded(2))
	r.crowd(2*time.Second, 0, 2)
	before := r.node.Snapshot(r.now)
	for range 3 {
		r.observe(crowdCheck(1), health.Fail)
	}
	after := r.node.Snapshot(r.now)
	if before.Services[1].RealServers[1].Status != health.Up || after.Services[1].RealServers[1].Status != health.Down {
		t.Errorf("the server was %s and is %s, want it up in the old snapshot and down in the new one",
			before.Services[1].RealServers[1].Status, after.Services[1].RealServers[1].Status)
	}
}
