package kernel

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

func syncOn(role desired.SyncRole, iface string) desired.Sync {
	return desired.Sync{Role: role, Interface: iface, ID: 51, Group: desired.SyncGroup(), Port: desired.SyncPort, TTL: desired.SyncTTL}
}

// wishSync wishes for a daemon and no services.
func (d *director) wishSync(s desired.Sync) {
	d.Set(&desired.State{Sync: s})
	synctest.Wait()
}

// runs compares the daemon that was last reported to run.
func (d *director) runs(want desired.Sync) {
	d.Helper()
	if len(d.reports) == 0 || d.reports[len(d.reports)-1].Sync != want {
		d.Errorf("the reports are %+v, want one of %v", d.reports, want)
	}
	d.by(func() { d.reports = nil })
}

func TestSyncFollowsItsRoleWithoutAGap(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wishSync(syncOn(desired.SyncBackup, "eth0"))
		d.expect("start backup on eth0 id 51")
		d.runs(syncOn(desired.SyncBackup, "eth0"))
		d.wishSync(syncOn(desired.SyncMaster, "eth0"))
		d.expect("start master on eth0 id 51", "stop backup on eth0 id 51")
		d.runs(syncOn(desired.SyncMaster, "eth0"))
		d.wishSync(syncOn(desired.SyncMaster, "eth0"))
		d.after(time.Minute)
		d.expect()
		d.wishSync(syncOn(desired.SyncMaster, "eth1"))
		d.expect("stop master on eth0 id 51", "start master on eth1 id 51")
		d.wishSync(desired.Sync{})
		d.expect("stop master on eth1 id 51")
		d.runs(desired.Sync{})
	})
}

func TestSyncIsRepaired(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wishSync(syncOn(desired.SyncBackup, "eth0"))
		d.asked()
		d.runs(syncOn(desired.SyncBackup, "eth0"))
		d.by(func() { d.syncs = nil })
		d.after(1100 * time.Millisecond)
		d.expect("start backup on eth0 id 51")
		d.reported("the synchronisation of connections as backup on eth0 had been stopped; it was started again")
	})
}

func TestSyncThatCannotStartIsToldAndTriedAgain(t *testing.T) {
	table := &fakeIPVS{refuse: map[string]error{"start": unix.ENODEV}}
	direct(t, table, "", func(d *director) {
		d.Set(&desired.State{Sync: syncOn(desired.SyncBackup, "eth0"), Services: []desired.Service{service("10.0.0.1:80")}})
		synctest.Wait()
		d.expect("start backup on eth0 id 51", createWeb) // the services are made all the same
		d.reported("start the synchronisation of connections as backup on eth0: there is no such interface, or it is down (no such device)")
		d.by(func() { table.refuse = nil })
		d.after(6 * time.Second)
		d.expect("start backup on eth0 id 51")
		d.runs(syncOn(desired.SyncBackup, "eth0"))
	})
}

func TestSyncOfAFormerRun(t *testing.T) {
	owned := filepath.Join(t.TempDir(), "owned.json")
	table := &fakeIPVS{}
	direct(t, table, owned, func(d *director) {
		d.wishSync(syncOn(desired.SyncBackup, "eth0"))
		d.asked()
	}) // it is killed here
	direct(t, table, owned, func(d *director) { // and adopted
		d.wishSync(syncOn(desired.SyncBackup, "eth0"))
		d.expect()
		d.runs(syncOn(desired.SyncBackup, "eth0"))
	})
	direct(t, table, owned, func(d *director) { // or removed
		d.by(func() { table.syncs = append(table.syncs, syncOn(desired.SyncMaster, "eth9")) })
		d.wishSync(desired.Sync{})
		d.expect("stop backup on eth0 id 51")
	})
	if want := syncOn(desired.SyncMaster, "eth9"); !slices.Equal(table.syncs, []desired.Sync{want}) {
		t.Errorf("left are %v, want %v, which somebody else has started", table.syncs, want)
	}
}
