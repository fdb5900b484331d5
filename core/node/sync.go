package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/vrrp"
)

// syncPatience is how much longer than it takes preemption waits for a daemon that does not begin to listen: where it never does,
// waiting saves no connection.
const syncPatience = time.Minute

// Sync is how the directors exchange the connections that IPVS knows: the master of an instance tells of them, the others listen.
type Sync struct {
	// Instance whose master tells; empty for no exchange.
	Instance string
	// Daemon is what runs, but for its role.
	Daemon desired.Sync
	// Complete is how long a backup has to listen until it knows every connection that had packets all the time.
	Complete time.Duration
}

// wishSync is the daemon that should run: that of the master for as long as this node holds the addresses.
func (n *Node) wishSync() desired.Sync {
	if n.cfg.Sync.Instance == "" {
		return desired.Sync{}
	}
	d := n.cfg.Sync.Daemon
	d.Role = desired.SyncBackup
	if slices.ContainsFunc(n.instances, func(i *instance) bool { return i.cfg.Name == n.cfg.Sync.Instance && i.holds }) {
		d.Role = desired.SyncMaster
	}
	return d
}

// syncApplied takes note of the daemon that runs, and tells of a change.
func (n *Node) syncApplied(now time.Time, in ServicesApplied) {
	if in.SyncError != n.table.unsaid && in.SyncError != "" {
		n.emit(event.Event{Code: "ipvs.unsynced", Severity: event.Critical, Kind: event.Service, Subject: "ipvs", Reason: in.SyncError})
	}
	n.table.unsaid = in.SyncError
	runs := in.Sync
	if runs == n.synced {
		return
	}
	if runs.Role != n.synced.Role {
		n.emit(event.Event{
			Code: "ipvs.sync", Severity: event.Info, Kind: event.Service, Subject: "ipvs",
			From: string(n.synced.Role), To: string(runs.Role), Reason: syncReason(runs),
		})
	}
	n.synced, n.syncedAt = runs, now
}

func syncReason(runs desired.Sync) string {
	switch runs.Role {
	case desired.SyncMaster:
		return "connections are told of on " + runs.Interface
	case desired.SyncBackup:
		return "connections of the master are taken over on " + runs.Interface
	}
	return "connections are not exchanged"
}

// listen notes since when this node hears of the master's connections without a gap.
func (n *Node) listen(now time.Time) {
	hears := n.synced.Role == desired.SyncBackup && n.links[n.synced.Interface].Up
	if hears == !n.listening.IsZero() {
		return
	}
	n.listening, n.everything = time.Time{}, true
	if hears {
		n.listening = now
	}
}

// settleSync has an instance leave a master of lower priority alone until this node knows its connections, or may hope that the kernel
// no longer refuses what it needs.
func (n *Node) settleSync(now time.Time, i *instance) {
	until := n.deferral(i)
	if !until.Equal(i.deferred) {
		i.deferred = until
		n.step(now, i, vrrp.Defer{Until: until})
	}
	why := n.defers(now, i)
	if why != "" && !i.toldDeferral {
		n.emit(event.Event{Code: "instance.deferred", Severity: event.Info, Kind: event.Instance, Subject: i.cfg.Name, Reason: why})
	}
	i.toldDeferral = why != ""
}

// deferral is when the instance may preempt; zero for at any time.
func (n *Node) deferral(i *instance) time.Time { return latest(i.shyUntil(), n.ignorance(i)) }

// ignorance is when this node knows the connections of the master, as far as it waits for that.
func (n *Node) ignorance(i *instance) time.Time {
	if !i.cfg.PreemptWhenSynced || n.cfg.Sync.Instance == "" || i.router.State() != vrrp.Backup || i.owner() {
		return time.Time{}
	}
	last := i.router.Since().Add(n.cfg.Sync.Complete + syncPatience)
	if n.listening.IsZero() {
		return last
	}
	return earlier(last, n.listening.Add(n.cfg.Sync.Complete))
}

// defers says why the instance does not preempt though it has the better priority; empty where it is not so.
func (n *Node) defers(now time.Time, i *instance) string {
	addr, priority, _ := i.router.Master()
	worse := priority > 0 && priority < i.router.Effective() && (i.cfg.VRRP.Preempt || i.owner()) && i.router.Follows()
	if !worse || !now.Before(i.deferred) {
		return ""
	}
	if why := i.shies(); why != "" {
		return fmt.Sprintf("does not preempt %s %s, for %v at most", addr, why, i.deferred.Sub(now).Round(time.Second))
	}
	what := "until it knows the connections of " + addr.String()
	if n.listening.IsZero() {
		what = fmt.Sprintf("until it can take the connections of %v over on %s", addr, n.cfg.Sync.Daemon.Interface)
	}
	return fmt.Sprintf("does not preempt %s, for %v at most", what, i.deferred.Sub(now).Round(time.Second))
}
