package node

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/health"
)

// drain is the command for a server of the service "web".
func drain(server string) Drain {
	return Drain{Service: "web", Server: netip.MustParseAddrPort(server)}
}

// command gives a drain and returns its answer.
func (r *rig) command(in Drain) Answer {
	r.t.Helper()
	before := len(r.answers)
	r.give(in)
	if len(r.answers) != before+1 {
		r.t.Fatalf("%d answers to one command", len(r.answers)-before)
	}
	return r.answers[before]
}

func TestDrainKeepsAServerWithoutNewConnections(t *testing.T) {
	r := start(t, pool(2, 10, nil))
	r.see(health.Pass, 11, 12)
	if a := r.command(drain("10.77.0.12:80")); a.Err != nil || a.Text != "10.77.0.12:80 of web takes no new connections" {
		t.Errorf("the answer is %q, %v", a.Text, a.Err)
	}
	r.wantTable("10.77.0.11:80=10 10.77.0.12:80=0")
	r.wantEvent("real_server 10.77.0.12:80 of web: up -> drain (drained by an operator)")
	if a := r.command(drain("10.77.0.12:80")); a.Err != nil || a.Text != "10.77.0.12:80 of web is drained already" {
		t.Errorf("the second answer is %q, %v", a.Text, a.Err)
	}
	back := drain("10.77.0.12:80")
	back.Undo = true
	if a := r.command(back); a.Err != nil || a.Text != "10.77.0.12:80 of web takes connections again" {
		t.Errorf("the answer to its end is %q, %v", a.Text, a.Err)
	}
	r.wantTable("10.77.0.11:80=10 10.77.0.12:80=10")
	r.wantEvent("real_server 10.77.0.12:80 of web: drain -> up (put back by an operator)")
	if a := r.command(back); a.Err != nil || a.Text != "10.77.0.12:80 of web is not drained" {
		t.Errorf("the second answer to its end is %q, %v", a.Text, a.Err)
	}
}

func TestDrainSurvivesReloadAndRestart(t *testing.T) {
	cfg := pool(2, 10, nil)
	r := start(t, cfg)
	r.see(health.Pass, 11, 12)
	r.command(drain("10.77.0.12:80"))
	kept := r.node.Drains()
	r.take(r.node.Configure(r.now, cfg))
	r.wantTable("10.77.0.11:80=10 10.77.0.12:80=0")

	again := &rig{t: t, now: r.now.Add(time.Minute), node: New(cfg)}
	again.give(links(true))
	again.give(Start{Drains: append(kept, Drained{Service: "web", Server: netip.MustParseAddrPort("10.77.0.99:80"), Since: r.now})})
	again.see(health.Pass, 11, 12)
	again.wantTable("10.77.0.11:80=10 10.77.0.12:80=0")
	if got := again.node.Drains(); len(got) != 1 || got[0] != kept[0] {
		t.Errorf("after the restart %v is drained, want %v", got, kept)
	}
	row := again.node.Snapshot(again.now).Services[0].RealServers[1]
	if !row.Drained || !row.Since.Equal(r.now) || row.Reason != "drained by an operator" {
		t.Errorf("the status is %+v", row)
	}
}

func TestDrainIsOverWithTheServer(t *testing.T) {
	r := start(t, pool(3, 10, nil))
	r.see(health.Pass, 11, 12, 13)
	r.command(drain("10.77.0.13:80"))
	r.take(r.node.Configure(r.now, pool(2, 10, nil)))
	r.take(r.node.Configure(r.now, pool(3, 10, nil)))
	r.see(health.Pass, 13)
	r.wantTable("10.77.0.11:80=10 10.77.0.12:80=10 10.77.0.13:80=10")
}

func TestDrainIsRefusedWhereTheServiceWouldGoDown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Service)
		up     []int
		drain  string
		force  bool
		want   string // of the error; empty for none
	}{
		{"the last one", nil, []int{11}, "10.77.0.11:80", false, "refused: without 10.77.0.11:80 the service web would have no server that takes connections"},
		{"the last one, by force", nil, []int{11}, "10.77.0.11:80", true, ""},
		{"one of two", nil, []int{11, 12}, "10.77.0.11:80", false, ""},
		{"one that is down", nil, []int{11}, "10.77.0.12:80", false, ""},
		{"one that is down where all are", nil, nil, "10.77.0.12:80", false, ""},
		{
			"below the quorum", func(s *Service) { s.Quorum = 20 },
			[]int{11, 12},
			"10.77.0.11:80", false,
			"refused: without 10.77.0.11:80 the service web would go down: the weight of its other servers is 10, and its quorum asks for 20",
		},
		{"at the quorum with hysteresis", func(s *Service) { s.Quorum, s.Hysteresis = 15, 5 }, []int{11, 12}, "10.77.0.11:80", false, ""},
		{"no such server", nil, []int{11}, "10.77.0.19:80", false, "not found: web has no real_server 10.77.0.19:80"},
	} {
		r := start(t, pool(2, 10, tt.change))
		r.see(health.Pass, tt.up...)
		in := drain(tt.drain)
		in.Force = tt.force
		_, foreseen := r.node.DrainsAfter(r.now, in)
		got := ""
		if err := r.command(in).Err; err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if (foreseen == nil) != (tt.want == "") {
			t.Errorf("%s: foreseen %v, and it is %q", tt.name, foreseen, got)
		}
	}
}

func TestDrainedServerCountsForNoQuorum(t *testing.T) {
	r := start(t, pool(2, 10, nil))
	r.see(health.Pass, 11, 12)
	r.command(drain("10.77.0.11:80"))
	r.see(health.Fail, 12)
	if r.node.services[0].up {
		t.Error("the service is up with nothing but a drained server")
	}
	in := drain("10.77.0.11:80")
	in.Undo = true
	r.command(in)
	if !r.node.services[0].up {
		t.Error("the service is down though its server is back")
	}
}

func TestDrainedServerThatFailsLeavesAndComesBackDrained(t *testing.T) {
	r := start(t, pool(2, 10, nil))
	r.see(health.Pass, 11, 12)
	r.command(drain("10.77.0.12:80"))
	r.see(health.Fail, 12)
	r.wantTable("10.77.0.11:80=10")
	if row := r.node.Snapshot(r.now).Services[0].RealServers[1]; row.Reason != "drained by an operator; its checks say down: because" {
		t.Errorf("the reason is %q", row.Reason)
	}
	r.see(health.Pass, 12)
	r.wantTable("10.77.0.11:80=10 10.77.0.12:80=0")
}

func TestDrainAfterTheStopIsRefused(t *testing.T) {
	r := start(t, pool(2, 10, nil))
	r.see(health.Pass, 11, 12)
	r.give(Stop{})
	if a := r.command(drain("10.77.0.12:80")); !errors.Is(a.Err, ErrRefused) {
		t.Errorf("the answer is %v", a.Err)
	}
}
