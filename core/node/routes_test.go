package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/vrrp"
)

var (
	defaultRoute = desired.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Type: desired.Unicast, Via: netip.MustParseAddr("10.0.0.254"), Table: 100}
	fromVIP      = desired.Rule{Priority: 100, From: netip.MustParsePrefix("10.0.0.100/32"), Type: desired.Lookup, Table: 100}
)

// routed is the configuration of a master with a route and a rule.
func routed(untracked bool) Config {
	cfg := config()
	cfg.Instances[0].Tracks = nil
	cfg.Instances[0].Routes = []Route{{defaultRoute, untracked}}
	cfg.Instances[0].Rules = []Rule{{fromVIP, untracked}}
	return cfg
}

func (r *rig) wantRoutes(n int) {
	r.t.Helper()
	if len(r.desired.Routes) != n || len(r.desired.Rules) != n {
		r.t.Errorf("wished are the routes %v and the rules %v, want %d of each", r.desired.Routes, r.desired.Rules, n)
	}
}

func TestRoutesAreWishedWhileMaster(t *testing.T) {
	r := start(t, routed(false))
	r.wantRoutes(0)
	r.wait(r.node.Deadline().Sub(r.now))
	r.wantState(vrrp.Master)
	r.wantRoutes(1)
	r.give(links(false))
	r.wantState(vrrp.Fault)
	r.wantRoutes(0)
}

func TestRouteOfTwoInstancesIsWishedOnce(t *testing.T) {
	cfg := routed(false)
	other := cfg.Instances[0]
	other.Name, other.VRRP.VRID = "other", 77
	cfg.Instances = append(cfg.Instances, other)
	r := start(t, cfg)
	r.wait(10 * time.Second)
	r.wantRoutes(1)
}

func TestRefusedRouteTakesTheInstanceOutAndIsTriedAgain(t *testing.T) {
	r := start(t, routed(false))
	r.wait(r.node.Deadline().Sub(r.now))
	r.give(Applied{FailedRoutes: map[string]string{fromVIP.String(): "set it: file exists"}})
	r.wantState(vrrp.Fault)
	r.wantEvent("the kernel refuses a route or rule: set it: file exists")
	r.wantEvent("set it: file exists; it takes part again in 5s, and for 1m0s only where there is no other master")
	r.wantRoutes(0)
	r.wait(retryFirst)
	r.wantState(vrrp.Backup)
	r.wait(5 * time.Second)
	r.wantState(vrrp.Master)
	r.wantRoutes(1)
}

func TestRefusedRouteThatIsNotTrackedIsTold(t *testing.T) {
	r := start(t, routed(true))
	r.wait(r.node.Deadline().Sub(r.now))
	failed := Applied{FailedRoutes: map[string]string{defaultRoute.String(): "set it: network is unreachable"}}
	r.give(failed)
	r.wantState(vrrp.Master)
	r.wantEvent("set it: network is unreachable; web goes on without it")
	before := len(r.events)
	r.give(failed)
	if len(r.events) != before {
		t.Errorf("it was told twice: %v", r.events[before:])
	}
	r.give(Applied{})
	r.give(failed)
	if len(r.events) != before+1 {
		t.Errorf("after it was there %d events came, want 1", len(r.events)-before)
	}
}

func TestRepairedRouteIsTold(t *testing.T) {
	r := start(t, routed(false))
	r.wait(r.node.Deadline().Sub(r.now))
	r.give(Applied{RepairedRoutes: []string{defaultRoute.String()}})
	r.wantState(vrrp.Master)
	r.wantEvent("somebody else had removed or changed it")
}

func TestVirtualMACIsUpWhileMasterAndAdvertsComeFromIt(t *testing.T) {
	cfg := routed(false)
	cfg.Instances[0].VMAC = "vrrp.51"
	mac := vrrp.VirtualMAC(cfg.Instances[0].VRRP.VRID, false)
	r := start(t, cfg)
	r.wantVMAC(desired.VMAC{Name: "vrrp.51", Parent: "eth0", MAC: mac})
	if got := r.next(); len(got) > 0 {
		t.Errorf("adverts are sent before the VIPs are here: %+v", got)
	}
	if got := r.node.Step(r.now, Applied{}).Adverts; len(got) == 0 || got[0].MAC != mac {
		t.Errorf("the first adverts are %+v, want some from %v", got, mac)
	}
	if got := r.node.Step(r.now, Applied{}).Adverts; len(got) > 0 {
		t.Errorf("adverts are sent again: %+v", got)
	}
	r.wantVMAC(desired.VMAC{Name: "vrrp.51", Parent: "eth0", MAC: mac, Up: true})
	r.give(links(false))
	r.wantVMAC(desired.VMAC{Name: "vrrp.51", Parent: "eth0", MAC: mac})
	r.give(links(true))
	r.give(Stop{})
	r.wait(10 * time.Second)
	if len(r.desired.VMACs) != 0 {
		t.Errorf("after the end wished are %v, want none", r.desired.VMACs)
	}
}

// next lets the deadline come, and gives the adverts that follow.
func (r *rig) next() []Advert {
	r.t.Helper()
	r.now = r.node.Deadline()
	out := r.node.Step(r.now, Timeout{})
	r.take(out)
	return out.Adverts
}

func TestUnicastAdvertsComeFromTheInterfacesOwnMAC(t *testing.T) {
	cfg := routed(false)
	cfg.Instances[0].VMAC = "vrrp.51"
	cfg.Instances[0].VRRP.Peers = []netip.Addr{netip.MustParseAddr("10.0.0.9")}
	r := start(t, cfg)
	r.next()
	if got := r.next(); len(got) == 0 || got[0].MAC != [6]byte{} {
		t.Errorf("the adverts are %+v, want some from no address of their own", got)
	}
}

func (r *rig) wantVMAC(want desired.VMAC) {
	r.t.Helper()
	if len(r.desired.VMACs) != 1 || r.desired.VMACs[0] != want {
		r.t.Errorf("wished are %+v, want %+v", r.desired.VMACs, want)
	}
}
