package node

import (
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// perishable is the usual configuration with checks whose results are good for 5 seconds.
func perishable() Config {
	cfg := config()
	cfg.Checkers[0].Health.FreshFor = 5 * time.Second
	for i := range cfg.Services[0].RealServers {
		cfg.Services[0].RealServers[i].Checks[0].Health.FreshFor = 5 * time.Second
	}
	return cfg
}

// tick gives every check the result that it has had, every second.
func (r *rig) tick(d time.Duration, checks ...string) {
	for end := r.now.Add(d); r.now.Before(end); r.wait(time.Second) {
		for _, c := range checks {
			r.observe(c, health.Pass)
		}
	}
}

func (r *rig) since(n int) string { return strings.Join(r.events[n:], "\n") }

func TestAStaleCheckIsToldAndChangesNothing(t *testing.T) {
	r := master(t, perishable())
	const first, second = "10.77.0.11:80", "10.77.0.12:80"
	r.tick(6*time.Second, "checker/local", first, second)
	told, priority, wish := len(r.events), r.node.Snapshot(r.now).Instances[0].Effective, r.desired.Services

	r.tick(8*time.Second, second)
	want := "checker local: checker.stale (no result for 5s; it stays up)\n" +
		"real_server 10.77.0.11:80 of web: real_server.stale (no result for 5s; it stays up)"
	if got := r.since(told); got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
	s := r.node.Snapshot(r.now)
	if servers := s.Services[0].RealServers; !servers[0].Stale || servers[1].Stale || servers[0].Status != health.Up || servers[0].EffectiveWeight != 1 {
		t.Errorf("servers %+v, want the first stale and up, the second fresh", servers)
	}
	if i := s.Instances[0]; !s.Checkers[0].Stale || !i.Tracks[0].Stale || i.State != vrrp.Master || i.Effective != priority {
		t.Errorf("instance %+v, checkers %+v: want a stale checker and nothing else", i, s.Checkers)
	}
	if len(r.desired.Services[0].Destinations) != len(wish[0].Destinations) {
		t.Errorf("IPVS is to hold %v, want all servers", r.desired.Services)
	}

	told = len(r.events)
	r.tick(2*time.Second, first, second, "checker/local")
	want = "real_server 10.77.0.11:80 of web: real_server.fresh (it is checked again)\n" +
		"checker local: checker.fresh (it has results again)"
	if got := r.since(told); got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
	if s := r.node.Snapshot(r.now); s.Checkers[0].Stale || s.Services[0].RealServers[0].Stale {
		t.Error("they are still stale")
	}
}

func TestAServerWithTwoStaleChecksIsToldOnce(t *testing.T) {
	cfg := perishable()
	cfg.Services[0].RealServers[0].Checks = append(cfg.Services[0].RealServers[0].Checks, ServerCheck{
		Check: "second", Health: health.Config{Rise: 1, Fall: 1, FreshFor: 8 * time.Second},
	})
	r := master(t, cfg)
	told := len(r.events)
	r.tick(2*time.Second, "10.77.0.11:80", "second")
	r.wait(20 * time.Second)
	r.tick(time.Second, "second")
	if got := r.since(told); strings.Count(got, "10.77.0.11:80 of web: real_server.stale") != 1 || strings.Contains(got, "10.77.0.11:80 of web: real_server.fresh") {
		t.Errorf("want one event, and no other while one of its checks is stale:\n%s", got)
	}
	r.tick(time.Second, "10.77.0.11:80")
	if got := r.since(told); strings.Count(got, "10.77.0.11:80 of web: real_server.fresh") != 1 {
		t.Errorf("want it told that the server is fresh:\n%s", got)
	}
}

func TestACheckThatCannotBeMadeBecomesStale(t *testing.T) {
	r := master(t, perishable())
	told := len(r.events)
	for range 20 {
		r.observe("checker/local", health.Error)
		r.wait(time.Second)
	}
	if n := strings.Count(r.since(told), "checker local: checker.stale"); n != 1 {
		t.Errorf("told %d times, want once:\n%s", n, r.since(told))
	}
}

func TestWhyACheckCannotBeMadeIsShown(t *testing.T) {
	r := master(t, perishable())
	const server = "10.77.0.11:80"
	r.tick(time.Second, "checker/local", server)
	told := len(r.events)
	for range 10 {
		r.observe("checker/local", health.Error)
		r.observe(server, health.Error)
		r.wait(time.Second)
	}
	const want = "because; cannot be checked now: because"
	s := r.node.Snapshot(r.now)
	if track, checker, row := s.Instances[0].Tracks[0].Reason, s.Checkers[0].Reason, s.Services[0].RealServers[0].Reason; track != want || checker != want ||
		!strings.HasSuffix(row, "cannot be checked now: because") && row != "cannot be checked: because" {
		t.Errorf("the track says %q, the checker %q, the server %q", track, checker, row)
	}
	if got := r.since(told); strings.Count(got, "(no result for 5s: because; it stays up)") != 2 {
		t.Errorf("told is\n%s", got)
	}
	r.tick(time.Second, "checker/local", server)
	if got := r.node.Snapshot(r.now).Checkers[0].Reason; got != "because" {
		t.Errorf("afterwards it says %q", got)
	}
}

func TestNothingIsStaleBeforeTheStartNorDuringTheStop(t *testing.T) {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(perishable())}
	r.give(links(true))
	r.wait(time.Minute)
	r.give(Start{})
	r.give(Stop{})
	r.wait(time.Minute)
	if got := strings.Join(r.events, "\n"); strings.Contains(got, "stale") {
		t.Errorf("events:\n%s", got)
	}
}

func TestAReloadChangesHowLongAResultIsGood(t *testing.T) {
	r := master(t, perishable())
	r.observe("checker/local", health.Pass)
	cfg := perishable()
	cfg.Checkers[0].Health.FreshFor = time.Hour
	r.take(r.node.Configure(r.now, cfg))
	r.wait(time.Minute)
	if r.node.Snapshot(r.now).Checkers[0].Stale {
		t.Error("the checker is stale after a minute, want an hour")
	}
}

func TestARestartBeginsWithTheVerdictsOfTheRunBefore(t *testing.T) {
	old := master(t, perishable())
	old.observe("10.77.0.11:80", health.Pass)
	old.observe("10.77.0.12:80", health.Fail)
	old.observe("10.77.0.12:80", health.Fail)
	verdicts := old.node.Verdicts()
	if len(verdicts) != 3 || verdicts[1].Status != health.Down || verdicts[1].Reason != "because" {
		t.Fatalf("verdicts %+v, want three with the second server down", verdicts)
	}

	r := &rig{t: t, now: old.now.Add(3 * time.Second), node: New(perishable())}
	r.give(links(true))
	r.give(Start{Verdicts: append(verdicts, Verdict{Check: "gone", Status: health.Down}, Verdict{Check: "10.77.0.11:80", Status: "odd"})})
	s := r.node.Snapshot(r.now)
	first, second := s.Services[0].RealServers[0], s.Services[0].RealServers[1]
	if first.Status != health.Up || !first.Stale || second.Status != health.Down || second.Reason != "because" {
		t.Errorf("servers %+v, want the first up and stale, the second down because of what was", s.Services[0].RealServers)
	}
	if d := r.desired.Services[0].Destinations; len(d) != 1 || d[0].Address.String() != "10.77.0.11:80" {
		t.Errorf("the first wish has %v, want the first server", d)
	}
	if s.Instances[0].State == vrrp.Init {
		t.Error("the instance waits for a checker whose verdict is known")
	}
	for i, e := range r.events {
		if len(r.notify[i]) > 0 && !strings.HasPrefix(e, "instance") {
			t.Errorf("somebody is notified of what was so before: %s", e)
		}
	}
	told := len(r.events)
	r.tick(2*time.Second, "10.77.0.11:80")
	if strings.Contains(r.since(told), "10.77.0.11:80") {
		t.Errorf("the confirmation is news:\n%s", r.since(told))
	}
	if r.node.Snapshot(r.now).Services[0].RealServers[0].Stale {
		t.Error("the first result does not make it fresh")
	}
	r.tick(4*time.Second, "10.77.0.11:80")
	if !strings.Contains(r.since(told), string(event.RealServer)+" 10.77.0.12:80 of web: real_server.stale (no result for 5s; it stays down)") {
		t.Errorf("a server that is not checked after the restart is not told:\n%s", r.since(told))
	}
	if v := r.node.Verdicts(); !v[1].Heard.Equal(verdicts[1].Heard) {
		t.Errorf("an unconfirmed verdict got younger: %v, want %v", v[1].Heard, verdicts[1].Heard)
	}
}

func TestOnUnknownSaysWhatSilenceMeans(t *testing.T) {
	cfg := config()
	cfg.Services[0].RealServers = []RealServer{realServer("10.77.0.11:80"), realServer("10.77.0.12:80")}
	h := &cfg.Services[0].RealServers[1].Checks[0].Health
	h.FreshFor, h.OnUnknown = 5*time.Second, health.Down
	cfg.Services[0].RealServers[0].Checks[0].Health.FreshFor = 5 * time.Second
	r := start(t, cfg)
	r.see(health.Pass, 11, 12)
	r.wait(6 * time.Second)
	r.wantTable("10.77.0.11:80=1")
	r.wantEvent("real_server 10.77.0.12:80 of web: up -> down (taken for down by on_unknown: no result for 5s)")
	r.see(health.Error, 12)
	r.wantTable("10.77.0.11:80=1")
	r.see(health.Pass, 12)
	r.wantTable("10.77.0.11:80=1 10.77.0.12:80=1")
}
