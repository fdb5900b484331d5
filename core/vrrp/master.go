package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// Answers to resignations and losing adverts are limited to one each tenth of an interval, at least answerLeast, and the announcements that go
// with them to one burst each announceLeast: whoever forges adverts must not make this node flood the link.
const (
	answerLeast   = 10 * time.Millisecond
	announceLeast = time.Second
)

// becomeMaster advertises before anything else, so that a loser lets go first (RFC 9568 section 6.4.2).
func (r *Router) becomeMaster(now time.Time, reason string) {
	r.send(now, r.effective)
	r.enter(now, Master, reason)
	r.deadline = now.Add(r.cfg.Interval)
	r.yielded = false
	r.master = peer{}
	r.counters.BecameMaster++
	r.announce(now)
}

// advertTimer keeps to the beat: a timer that fires late does not make the next advert late as well.
func (r *Router) advertTimer(now time.Time) {
	late := now.Sub(r.deadline)
	r.advertiseNow(now)
	if late < r.cfg.Interval/2 {
		r.deadline = r.deadline.Add(-late)
	}
	if r.owed && now.Sub(r.announced) >= announceLeast {
		r.announce(now)
	}
}

// advertiseNow sends an advert ahead of time and waits a whole interval from it. It does nothing where this router is not
// master or has resigned.
func (r *Router) advertiseNow(now time.Time) {
	if r.state == Master && !r.handover.active() {
		r.send(now, r.effective)
		r.deadline = now.Add(r.cfg.Interval)
	}
}

// advertInMaster is RFC 9568 section 6.4.3.
func (r *Router) advertInMaster(now time.Time, src netip.Addr, a Advert) {
	order := src.Compare(r.cfg.Source)
	better := a.Priority > r.effective || a.Priority == r.effective && order > 0
	switch {
	case order == 0:
		// An echo, or a node with our address. To yield would be wrong for the first, to answer a storm with both.
		r.note(now, NoteSource, NoteSource, "an advert came from %s, the address of this router", src)
	case r.handover.active():
		r.takenOver(now, src, a)
	case a.Priority == 0:
		r.rival = peer{}
		if r.mayAnswer(now) {
			r.advertiseNow(now)
		}
		r.reannounce(now)
	case better && r.resists(now):
		r.answer(now, src, a)
	case a.Priority > r.effective:
		r.yield(now, src, a, fmt.Sprintf("%s has a higher priority (%d)", src, a.Priority))
	case better:
		r.yield(now, src, a, fmt.Sprintf("%s has the same priority (%d) and the higher address", src, a.Priority))
	default:
		r.answer(now, src, a)
	}
}

// yield follows the new master. It sends no resignation: the winner advertises already. It lets the addresses go when the winner has
// had time to take and announce them, so that nothing is lost in between; at once, where that was done before, or where this process
// was asleep and the advert is an old one.
func (r *Router) yield(now time.Time, src netip.Addr, a Advert, reason string) {
	asleep := now.Sub(r.deadline) > lateGrace
	r.enter(now, Backup, reason)
	r.accept(src, a)
	if !asleep && !r.cfg.Announced {
		r.linger = linger{until: now.Add(lingerTime), tell: true}
	}
}

// answer tells a master of lower rank that it has lost, and announces the addresses again, which it may have taken over in
// everybody's caches. RFC 3768 stays silent; keepalived answers in version 2 as well.
func (r *Router) answer(now time.Time, src netip.Addr, a Advert) {
	r.hearRival(now, src, a.Priority)
	if now.Sub(r.since) > r.cfg.Interval { // before, it is the one that was replaced
		r.note(now, NoteLosing, NoteLosing, "%s is master as well, with priority %d against %d here; it was told so", src, a.Priority, r.effective)
	}
	if !r.mayAnswer(now) {
		return
	}
	r.send(now, r.effective) // the advert timer runs on (RFC 9568 section 6.4.3)
	r.reannounce(now)
}

// reannounce announces the addresses again because another router was master as well, now or with a later advert.
func (r *Router) reannounce(now time.Time) {
	if now.Sub(r.announced) >= announceLeast {
		r.announce(now)
	} else {
		r.owed = true
	}
}

// mayAnswer tells whether it is time for another answer, and takes it for given.
func (r *Router) mayAnswer(now time.Time) bool {
	if !r.answered.IsZero() && now.Sub(r.answered) < max(r.cfg.Interval/10, answerLeast) {
		return false
	}
	r.answered = now
	return true
}

// checkStall makes a master step down, silently, that was asleep for so long that a peer may have taken over: three of its
// intervals since its last advert, which is one interval before the deadline. Where nobody is there that could, it goes on.
func (r *Router) checkStall(now time.Time) {
	if !r.stalled(now) || now.Sub(r.sent) <= r.alone {
		return
	}
	reason := "stalled for " + now.Sub(r.sent).Round(max(r.cfg.Interval/10, time.Millisecond)).String()
	r.note(now, NoteStalled, NoteStalled, "no advert was sent for %s; another router may have taken over", now.Sub(r.sent).Round(time.Millisecond))
	if r.handover.stop {
		r.enter(now, Init, reason)
		return
	}
	r.becomeBackup(now, reason)
	r.gate.follows = r.cfg.Gated // as far as it knows, another is master: the group must not be torn apart
}

func (r *Router) stalled(now time.Time) bool {
	return r.state == Master && now.Sub(r.deadline) > 2*r.cfg.Interval
}
