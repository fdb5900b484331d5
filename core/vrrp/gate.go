package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// gateState is what a gated router needs besides its state. The zero value is that of any other router.
type gateState struct {
	wants   string // why it would be master, were it alone; empty where it would not
	follows bool   // in BACKUP: a master was heard to which it submits, and is not overdue
}

// want is what becomes of the end of the master down timer in a gated router. RFC 9568 knows no groups, and no evidence but adverts.
func (r *Router) want(reason string) {
	r.gate = gateState{wants: reason}
	r.deadline, r.skewed = time.Time{}, false
}

func (r *Router) promote(now time.Time) {
	if reason := r.Wants(); reason != "" {
		r.becomeMaster(now, reason)
	}
}

// restrain is HOLD for reasons that others know. The wish stays.
func (r *Router) restrain(now time.Time, reason string) {
	wants := r.Wants()
	switch {
	case wants == "":
	case r.state == Hold:
		r.reason = reason
	default:
		r.enter(now, Hold, reason)
		r.gate.wants = wants
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

// release is a withdrawal of who may be cut off, or has a rival: it lets go at once.
func (r *Router) release(now time.Time, reason string) {
	if r.state != Master {
		return
	}
	r.send(now, 0)
	stop := r.handover.stop
	r.becomeBackup(now, reason)
	if stop {
		r.enter(now, Init, "shutdown; "+reason)
	}
}

// leaveGate lets a router that nobody gates any more do by itself what it has waited for.
func (r *Router) leaveGate(now time.Time) {
	if r.cfg.Gated || r.Wants() == "" {
		return
	}
	if r.state == Hold {
		r.enter(now, Backup, "nothing holds it any more")
	}
	r.gate = gateState{}
	r.arm(now)
}

// holdsAgainst tells whether an advert leaves a restrained router where it is: that of a master which it would replace.
func (r *Router) holdsAgainst(now time.Time, a Advert) bool {
	return r.Wants() != "" && a.Priority > 0 && a.Priority < r.effective && r.preempts(now)
}

// Wants is why a gated router, in BACKUP or HOLD, would be master; empty where it would not.
func (r *Router) Wants() string {
	if r.state != Backup && r.state != Hold {
		return ""
	}
	return r.gate.wants
}

// Follows tells whether the router is in BACKUP and submits to a master that it hears.
func (r *Router) Follows() bool { return r.state == Backup && r.gate.follows }

// Cause is why a router would become master.
type Cause uint8

// The causes.
const (
	// CauseSilence: no advert has come for a down interval, or none was ever heard.
	CauseSilence Cause = iota
	// CauseResigned: the master has resigned within the last down interval.
	CauseResigned
	// CauseRank: a master of lower priority was heard within the last down interval.
	CauseRank
)

// Cause is why the router would become master at this instant.
func (r *Router) Cause(now time.Time) Cause {
	m := r.master
	switch {
	case !m.addr.IsValid() || now.Sub(m.last) >= r.MasterDown():
		return CauseSilence
	case m.priority == 0:
		return CauseResigned
	case m.priority < r.effective:
		return CauseRank
	}
	return CauseSilence
}

func (r *Router) whyMaster(now time.Time) string {
	m := r.master
	switch {
	case !m.addr.IsValid():
		return "no master heard"
	case m.priority == 0:
		return m.addr.String() + " resigned"
	case r.Cause(now) == CauseRank:
		return fmt.Sprintf("%s has a lower priority (%d)", m.addr, m.priority)
	}
	return fmt.Sprintf("no advert from %s for %s", m.addr, now.Sub(m.last).Round(time.Millisecond))
}

// Suspect is when the silence of the master begins to be suspicious: one and a half intervals after its last advert, which leaves
// as much time to look around before the router wants to be master. It is zero where no silence is waited for.
func (r *Router) Suspect() time.Time {
	if r.state != Backup || r.deadline.IsZero() || !r.skewed || r.linger.stop {
		return time.Time{}
	}
	return r.deadline.Add(3*r.interval/2 - r.MasterDown())
}

// Preempts tells whether the router would replace a master of lower priority at this instant.
func (r *Router) Preempts(now time.Time) bool {
	return !now.Before(r.deferred) && (r.effective == 255 || r.cfg.Preempt && !r.yielded && !now.Before(r.preemptAt))
}

// Rival is another master of lower rank that this one hears.
type Rival struct {
	// Addr of it; invalid for none.
	Addr     netip.Addr
	Priority uint8
	// Since and Last are when it was heard first, and last.
	Since, Last time.Time
}

// Rival is one that was heard within a down interval.
func (r *Router) Rival(now time.Time) Rival {
	if v := r.rival; r.state == Master && v.addr.IsValid() && now.Sub(v.last) < r.MasterDown() {
		return Rival{v.addr, v.priority, r.rivalSince, v.last}
	}
	return Rival{}
}

// hearRival notes a master of lower rank.
func (r *Router) hearRival(now time.Time, src netip.Addr, priority uint8) {
	if r.rival.addr != src || now.Sub(r.rival.last) >= r.MasterDown() {
		r.rivalSince = now
	}
	r.rival = peer{src, priority, now}
}

// resistLimit is for how many intervals a router resists a master of higher rank whose ownership may be the older one.
const resistLimit = 3

// resists tells whether a router that was told to resist does so against an advert now. It does not for longer than the other
// needs to learn who is right: two masters would be worse than a needless move.
func (r *Router) resists(now time.Time) bool {
	if !r.resist {
		return false
	}
	if r.resisted.IsZero() {
		r.resisted = now
	}
	return now.Sub(r.resisted) < resistLimit*r.cfg.Interval
}

// Overdue tells whether the silence of a master has come to its end at this instant, or a master was stopped
// that may go on: what has arrived meanwhile should be read before the next step.
func (r *Router) Overdue(now time.Time) bool {
	return r.alone > 0 && r.stalled(now) || (r.state == Backup || r.state == Hold) && !r.deadline.IsZero() && !now.Before(r.deadline)
}

// call has a master of lower rank yield that learns by adverts alone that there is a better one, as an advert of this router as master
// would. It holds no addresses yet.
func (r *Router) call(now time.Time) {
	if r.Wants() != "" {
		r.send(now, r.effective)
	}
}
