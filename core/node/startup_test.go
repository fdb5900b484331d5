package node

import (
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

func TestAnInterfaceThatComesAndGoes(t *testing.T) {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(config())}
	r.give(Links{"lo": {Index: 1, Up: true}})
	r.give(Start{})
	r.observe("checker/local", health.Pass)
	r.wantState(vrrp.Fault)
	r.wantEvent("INIT -> FAULT (there is no interface eth0)")
	r.wait(time.Minute)
	r.wantState(vrrp.Fault)

	r.give(links(false)) // it is there, without a carrier
	r.wantState(vrrp.Fault)
	r.give(links(true))
	r.wantState(vrrp.Backup)
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)

	renamed := links(true)
	renamed["lan0"] = renamed["eth0"]
	delete(renamed, "eth0")
	r.give(renamed)
	r.wantState(vrrp.Fault)
	if len(r.desired.Addresses) != 0 {
		t.Errorf("it still wants %v on an interface that has another name", r.desired.Addresses)
	}

	again := links(true)
	again["eth0"] = Link{Index: 9, Up: true, Addresses: again["eth0"].Addresses}
	r.give(again)
	r.wantState(vrrp.Backup)
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)
	if len(r.desired.Addresses) != 1 {
		t.Errorf("it wants %v on the interface that was made again, want the VIP", r.desired.Addresses)
	}
}

func TestAnInterfaceWithoutAnAddressIsWaitedFor(t *testing.T) {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(config())}
	bare := links(true)
	bare["eth0"] = Link{Index: 2, Up: true}
	r.give(bare)
	r.give(Start{})
	r.observe("checker/local", health.Pass)
	r.wait(time.Minute)
	r.wantState(vrrp.Init)
	if got := r.node.Snapshot(r.now).Instances[0].Reason; got != "waits for an address on eth0" {
		t.Errorf("Reason = %q", got)
	}
	r.give(links(true))
	r.wantState(vrrp.Backup)
}

func TestAVIPDeletedByHandIsToldAndMovesNothing(t *testing.T) {
	r := master(t, config())
	sent := r.node.instances[0].router.Counters().BecameMaster
	key := r.node.instances[0].cfg.Addresses[0].key()
	applied := Applied{}
	applied.Repaired = append(applied.Repaired, key)
	r.give(applied)
	r.wantEvent("10.77.0.100/32: address.repaired (somebody else had removed it from eth0; it was put back)")
	r.wantState(vrrp.Master)
	if got := r.node.instances[0].router.Counters().BecameMaster; got != sent {
		t.Errorf("it became master %d times, want %d as before", got, sent)
	}
}

func TestTheStartWaitsUntilLinksAndChecksHaveSettled(t *testing.T) {
	cfg := config()
	cfg.Instances[0].StartDelay = 5 * time.Second
	r := start(t, cfg)
	r.observe("checker/local", health.Pass)
	r.wait(4 * time.Second)
	r.give(links(false)) // a bond that comes up, goes down and comes up again
	r.wait(time.Second)
	r.give(links(true))
	r.wait(4900 * time.Millisecond)
	r.wantState(vrrp.Fault)
	if got, want := r.node.Snapshot(r.now).Instances[0].Reason, "waits 5s for its links and checks to settle (start_delay)"; got != want {
		t.Errorf("Reason = %q, want %q", got, want)
	}
	r.wait(200 * time.Millisecond)
	r.wantState(vrrp.Backup)
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)

	r.give(links(false)) // once it has taken part, it takes part again at once
	r.give(links(true))
	r.wantState(vrrp.Backup)
}

func TestAfterAMissingInterfaceTheFirstVerdictIsAwaited(t *testing.T) {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(config())}
	r.give(links(false))
	r.give(Start{})
	r.wait(time.Second)
	r.give(links(true))
	r.wantState(vrrp.Fault)
	if got, want := r.node.Snapshot(r.now).Instances[0].Reason, "waits for the first verdict of checker local"; got != want {
		t.Errorf("Reason = %q, want %q", got, want)
	}
	r.observe("checker/local", health.Pass)
	r.wantState(vrrp.Backup)
}

func TestALeaseThatRunsIsAdoptedWithoutADelay(t *testing.T) {
	cfg := config()
	cfg.Instances[0].StartDelay = 5 * time.Second
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
	r.give(links(true))
	r.give(Start{Held: []desired.AddressKey{{Interface: "eth0", Prefix: vip}}})
	r.wantState(vrrp.Master)
}
