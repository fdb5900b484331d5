package vrrp

import "time"

// syncState is what a member of a sync group needs besides its state. The zero value is that of any other router.
type syncState struct {
	wants   string // why it would be master, were it alone; empty where it would not
	follows bool   // in BACKUP: a master was heard to which it submits, and is not overdue
}

// want is what becomes of the end of the master down timer in a sync group: the group decides. RFC 9568 knows no groups.
func (r *Router) want(reason string) {
	r.sync = syncState{wants: reason}
	r.deadline, r.skewed = time.Time{}, false
}

func (r *Router) promote(now time.Time) {
	if reason := r.Wants(); reason != "" {
		r.becomeMaster(now, reason)
	}
}

func (r *Router) withdraw(now time.Time, reason string) {
	switch {
	case r.state != Master:
	case r.handover.active():
		r.handover.leave = reason
	default:
		r.send(now, 0)
		r.becomeBackup(now, reason)
		r.linger = linger{until: now.Add(lingerTime)} // who takes one member takes all
	}
}

// leaveGroup lets a router that is in no group any more do by itself what it has waited for.
func (r *Router) leaveGroup(now time.Time) {
	if !r.cfg.Sync && r.sync.wants != "" && r.state == Backup {
		r.sync = syncState{}
		r.arm(now)
	}
}

// Wants is why a member of a sync group in BACKUP would be master, were it alone; empty where it would not.
func (r *Router) Wants() string {
	if r.state != Backup {
		return ""
	}
	return r.sync.wants
}

// Follows tells whether the router is in BACKUP and submits to a master that it hears.
func (r *Router) Follows() bool { return r.state == Backup && r.sync.follows }
