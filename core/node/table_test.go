package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
)

func TestFailureInTheKernelIsThatOfItsService(t *testing.T) {
	cfg := config()
	two := cfg.Services[0]
	two.Name, two.Service.Address = "two", netip.MustParseAddrPort("10.77.0.100:81")
	cfg.Services = append(cfg.Services, two)
	r := start(t, cfg)
	failed := map[desired.ServiceKey]string{two.Service.ServiceKey: "no scheduler"}
	r.give(ServicesApplied{Failed: failed})
	r.give(ServicesApplied{Failed: failed})
	r.wantEvent("service two: service.failed (no scheduler)")
	if n := r.count("service.failed"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if s := r.node.Snapshot(r.now).Services; s[0].Error != "" || s[1].Error != "no scheduler" {
		t.Errorf("the errors are %q and %q", s[0].Error, s[1].Error)
	}
	r.give(ServicesApplied{Error: "IPVS did not answer"})
	if n := r.count("service.applied"); n != 0 {
		t.Error("what is not known any more is told to be well")
	}
	if s := r.node.Snapshot(r.now).Services; s[0].Error != "IPVS did not answer" || s[1].Error != "IPVS did not answer" {
		t.Errorf("the errors are %q and %q", s[0].Error, s[1].Error)
	}
	r.give(ServicesApplied{})
	r.wantEvent("service ipvs: service.applied (the kernel is asked again)")
	r.wantEvent("service two: service.applied (the kernel holds tcp 10.77.0.100:81 as it should)")
}

func TestServersThatLeaveAreShownAndTold(t *testing.T) {
	cfg := config()
	r := start(t, cfg)
	key, server := cfg.Services[0].Service.ServiceKey, netip.MustParseAddrPort("10.77.0.19:80")
	other := desired.Marked(7, false)
	l := Leaving{Service: key, Server: server, Until: r.now.Add(time.Minute)}
	r.give(ServicesApplied{Leaving: []Leaving{l, {Service: other, Server: server}}})
	if got := r.node.Snapshot(r.now).Services[0].Leaving; len(got) != 1 || got[0] != l {
		t.Errorf("it shows %v", got)
	}
	if got := r.node.Snapshot(r.now).Leaving; len(got) != 1 || got[0].Service != other {
		t.Errorf("of services that are not configured it shows %v", got)
	}
	r.give(ServicesApplied{Left: []Left{{Service: key, Server: server}, {Service: key, Server: server, Open: 3}}})
	r.wantEvent("real_server 10.77.0.19:80 of web: real_server.left (it had no connections any more, and was removed)")
	r.wantEvent("real_server 10.77.0.19:80 of web: real_server.left (it was removed with 3 connections, since its drain_timeout is over)")
	if got := r.node.Snapshot(r.now).Services[0].Leaving; got != nil {
		t.Errorf("then it shows %v", got)
	}
}

func TestDeadServerIsToLeaveAtOnce(t *testing.T) {
	r := start(t, config())
	r.see(health.Pass, 11, 12)
	if got := r.desired.Services[0].Gone; len(got) != 0 {
		t.Errorf("all are well, and %v are dead", got)
	}
	r.see(health.Fail, 12)
	r.see(health.Fail, 12)
	if got := r.desired.Services[0].Gone; len(got) != 1 || got[0].String() != "10.77.0.12:80" {
		t.Errorf("dead are %v", got)
	}
}
