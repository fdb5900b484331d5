package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// synced is a configuration that exchanges connections, which takes 23 s.
func synced() Config {
	cfg := config()
	cfg.Sync = Sync{Instance: cfg.Instances[0].Name, Daemon: desired.Sync{Interface: "eth0", ID: 51}, Complete: 23 * time.Second}
	cfg.Instances[0].PreemptWhenSynced = true
	return cfg
}

// apply is a kernel that has the wished daemon.
func (r *rig) applySync() { r.give(ServicesApplied{Sync: r.desired.Sync}) }

// advert lets the peer send one with a priority.
func (r *rig) advert(priority uint8) {
	src := netip.MustParseAddr("10.77.0.2")
	dst := vrrp.Group(src)[0]
	a := vrrp.Advert{Version: 3, VRID: 51, Priority: priority, Interval: time.Second, Addresses: []netip.Addr{vip.Addr()}, Rule: vrrp.ChecksumPseudo}
	r.give(Received{Interface: "eth0", Header: vrrp.Header{Source: src, Destination: dst, TTL: 255}, Payload: a.Append(nil, src, dst)})
}

func TestSyncFollowsTheInstance(t *testing.T) {
	r := start(t, synced())
	if got := r.desired.Sync.Role; got != desired.SyncBackup {
		t.Errorf("before the election the role is %q", got)
	}
	r.observe("checker/local", health.Pass)
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)
	if got := r.desired.Sync; got != (desired.Sync{Role: desired.SyncMaster, Interface: "eth0", ID: 51}) {
		t.Errorf("as master the daemon is %+v", got)
	}
	r.applySync()
	r.wantEvent("service ipvs: master (connections are told of on eth0)")
	r.give(links(false))
	if got := r.desired.Sync.Role; got != desired.SyncBackup {
		t.Errorf("in FAULT the role is %q", got)
	}
	r.give(Stop{})
	if got := r.desired.Sync.Role; !r.stopped || got != "" {
		t.Errorf("after the end the role is %q, stopped %v", got, r.stopped)
	}
}

// hears lets the peer send an advert a second for so long, or until the node is master, and tells for how long it did not take over.
func (r *rig) hears(priority uint8, most time.Duration) time.Duration {
	began := r.now
	for r.now.Sub(began) < most && r.node.instances[0].router.State() != vrrp.Master {
		r.advert(priority)
		r.wait(time.Second)
	}
	return r.now.Sub(began)
}

func TestPreemptionWaitsForTheTable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    func(r *rig)
		least time.Duration // that it waits
		most  time.Duration
	}{
		{"the daemon listens at once", func(r *rig) { r.applySync() }, 23 * time.Second, 28 * time.Second},
		{"the daemon never listens", func(*rig) {}, 83 * time.Second, 88 * time.Second},
		{"the daemon listens after 10 s", func(r *rig) { r.hears(50, 10*time.Second); r.applySync() }, 23 * time.Second, 28 * time.Second},
		{"the daemon is started again", func(r *rig) {
			r.applySync()
			r.hears(50, 10*time.Second)
			r.give(ServicesApplied{})
			r.give(ServicesApplied{Sync: r.desired.Sync})
		}, 23 * time.Second, 28 * time.Second},
		{"the link was down", func(r *rig) {
			r.applySync()
			r.hears(50, 10*time.Second)
			r.give(links(false))
			r.give(links(true))
		}, 23 * time.Second, 28 * time.Second},
	} {
		r := start(t, synced())
		r.observe("checker/local", health.Pass)
		tt.do(r)
		if got := r.hears(50, 5*time.Minute); got < tt.least || got > tt.most {
			t.Errorf("%s: it took over after %v, want %v to %v", tt.name, got, tt.least, tt.most)
		}
		r.wantEvent("instance web: instance.deferred (does not preempt until it ")
		if n := r.count("instance.deferred"); n > 2 {
			t.Errorf("%s: told %d times", tt.name, n)
		}
	}
}

func TestOnlyPreemptionWaitsForTheTable(t *testing.T) {
	r := start(t, synced())
	r.observe("checker/local", health.Pass)
	r.applySync()
	r.advert(50)
	r.wait(time.Second)
	if got := r.node.Snapshot(r.now).Instances[0].Reason; got != "started; does not preempt until it knows the connections of 10.77.0.2, for 22s at most" {
		t.Errorf("the reason is %q", got)
	}
	r.wait(3 * time.Second) // the master is dead
	r.wantState(vrrp.Master)
}

func TestPreemptionThatNeedNotWait(t *testing.T) {
	cfg := synced()
	cfg.Instances[0].PreemptWhenSynced = false
	r := start(t, cfg)
	r.observe("checker/local", health.Pass)
	r.applySync()
	if got := r.hears(50, time.Minute); got > 5*time.Second {
		t.Errorf("it waited for %v", got)
	}
}
