package vrrp

import (
	"net/netip"
	"time"
)

// A master down timer that fires later than lateGrace found the process asleep: adverts may wait in the socket. Then it waits once
// more so that they are read first, lateLeast, and as long as the skew where it was asleep for longer than that.
const (
	lateGrace = 50 * time.Millisecond
	lateLeast = 20 * time.Millisecond
)

func (r *Router) becomeBackup(now time.Time, reason string) {
	r.enter(now, Backup, reason)
	r.armDown(now)
}

// armDown starts the master down timer afresh.
func (r *Router) armDown(now time.Time) { r.arm(now.Add(r.MasterDown())) }

func (r *Router) arm(deadline time.Time) { r.deadline, r.skewed, r.late = deadline, true, false }

// advertInBackup is RFC 9568 section 6.4.2, with PreemptDelay.
func (r *Router) advertInBackup(now time.Time, src netip.Addr, a Advert) {
	r.reconsider(now, src, a)
	switch {
	case r.linger.stop: // about to end
	case a.Priority == 0:
		r.masterResigned(src)
	case a.Priority >= r.effective:
		r.preemptAt = time.Time{}
		r.accept(src, a)
	case !r.preempts(now):
		r.accept(src, a)
	default:
		r.hear(now, src, a.Priority) // discarded: the timer runs on
	}
}

// reconsider ends the restraint after a hand-over when the master gets worse than it was: an operator moved mastership to a
// healthy node, not to whatever becomes of it. A router that has just lost to the master says nothing about that.
func (r *Router) reconsider(now time.Time, src netip.Addr, a Advert) {
	m := r.master
	switch {
	case !r.yielded || a.Priority == 0:
	case src != m.addr && a.Priority < m.priority && now.Sub(m.last) < r.MasterDown():
	case a.Priority < r.yieldedTo:
		r.yielded = false
	default:
		r.yieldedTo = a.Priority
	}
}

// preempts tells whether a master of lower priority is to be replaced. The first one begins PreemptDelay.
func (r *Router) preempts(now time.Time) bool {
	switch {
	case r.yielded:
		return false
	case r.effective == 255:
		return !now.Before(r.deferred)
	case !r.cfg.Preempt:
		return false
	}
	if r.preemptAt.IsZero() {
		r.preemptAt = now.Add(r.cfg.PreemptDelay)
	}
	return !now.Before(r.preemptAt) && !now.Before(r.deferred)
}

// accept follows a master: learns its interval and waits for its next advert.
func (r *Router) accept(src netip.Addr, a Advert) {
	r.learn(a.Interval)
	r.master = peer{src, a.Priority, r.came}
	r.gate = gateState{follows: true}
	r.armDown(r.came)
}

// learn takes over the master's interval, as version 3 demands, within a factor of 4 of the own one: a forged interval must
// neither freeze the failover for minutes nor make it fire at once. Version 2 has discarded every other interval.
func (r *Router) learn(interval time.Duration) {
	r.interval = min(max(interval, r.cfg.Interval/4), 4*r.cfg.Interval)
}

// masterResigned waits the skew only. RFC 9568 obeys anybody; here it must be the master, where one is known, since a forged
// resignation of somebody else would force a take-over.
func (r *Router) masterResigned(src netip.Addr) {
	if r.master.addr.IsValid() && r.master.addr != src {
		return
	}
	r.master, r.gate.follows = peer{src, 0, r.came}, false
	r.arm(r.came.Add(r.skew()))
}

func (r *Router) masterDownTimer(now time.Time) {
	late := now.Sub(r.deadline)
	if !r.late && late > lateGrace {
		wait := lateLeast
		if late > r.skew() {
			wait = min(max(r.skew(), lateLeast), r.cfg.Interval)
		}
		r.deadline, r.skewed, r.late = now.Add(wait), false, true
		return
	}
	if r.mustHold(now) {
		r.enterHold(now)
		return
	}
	if r.cfg.Gated {
		reason := r.whyMaster(now)
		if r.state == Hold {
			r.enter(now, Backup, "nobody with another clock is heard any more")
		}
		r.want(reason)
		return
	}
	r.becomeMaster(now, r.whyMaster(now))
}
