package vrrp

import (
	"net/netip"
	"time"
)

// authenticate judges the trailer of an advert. The signature is looked at before the time, so that a wrong clock is told from
// a forgery; a number that was used before is a replay, whatever its time.
func (r *Router) authenticate(now time.Time, h Header, message, trailer []byte, a *Advert) Reason {
	auth := r.cfg.Auth
	if len(trailer) == 0 {
		if auth.enabled() && auth.Mode == AuthEnforce {
			return ReasonAuthMissing
		}
		return ""
	}
	if trailer[0] != hmacSHA256 || trailer[2] != 0 || trailer[3] != 0 {
		return ReasonAuthType
	}
	a.Key.ID, a.Sequence = trailer[1], sequenceOf(trailer)
	key, known := auth.key(a.Key.ID)
	switch {
	case !known:
		return ReasonAuthKey
	case !authentic(message, trailer, h.Source, key):
		return ReasonAuth
	}
	mark := r.marks.of(h.Source)
	ahead := a.Sequence.ahead(now).Abs()
	if ahead.Truncate(time.Second) > r.cfg.window() { // whole seconds, as keepalived compares
		if mark.alive(now, a.Sequence) {
			return ReasonAuthStale
		}
		return ReasonAuthReplay
	}
	if !mark.fresh(now, a.Sequence) {
		return ReasonAuthReplay
	}
	if 4*ahead > r.cfg.window() {
		r.noteClock(now, h.Source, a.Sequence)
	}
	return ""
}

func (r *Router) noteClock(now time.Time, src netip.Addr, seq Sequence) {
	r.note(now, NoteClock, NoteClock, "the clock of %s is %s this node's; its signed adverts are refused beyond %s; synchronise both clocks",
		src, apart(seq.ahead(now)), r.cfg.window())
}

// apart says in words how far a clock is ahead of another.
func apart(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Millisecond).String() + " behind"
	}
	return d.Round(time.Millisecond).String() + " ahead of"
}

// stale is an advert with a valid signature and a time outside of the window: one of the two clocks is wrong. It is not
// followed, but its sender is there, so this router must not become a second master: it stays in BACKUP, and in HOLD once its
// timer has run out, for as long as such adverts come. A master yields as it would to a valid advert, and tells a loser.
func (r *Router) stale(now time.Time, src netip.Addr, a Advert) {
	r.note(now, NoteClock, NoteClock+"-stale",
		"a signed advert of %s is refused: its clock is %s this node's, and %s is allowed; this node does not take over meanwhile; synchronise both clocks",
		src, apart(a.Sequence.ahead(r.came)), r.cfg.window())
	order := src.Compare(r.cfg.Source)
	wins := a.Priority > r.effective || a.Priority == r.effective && order > 0
	switch {
	case order == 0 || r.linger.stop:
	case a.Priority == 0:
		r.staleResigned(src)
	case r.state != Master:
		r.suspect(now, src, a.Priority)
	case r.handover.active():
		r.takenOver(now, src, a)
	case wins:
		r.suspect(now, src, a.Priority)
		r.enterHold(now)
	default:
		r.answer(now, src, a)
	}
}

// suspect notes a master that is there, and cannot be followed.
func (r *Router) suspect(now time.Time, src netip.Addr, priority uint8) {
	r.unsure = peer{src, priority, r.came}
	r.hear(now, src, priority)
	if r.Wants() != "" {
		r.enterHold(now)
	}
	if r.state == Hold {
		r.armDown(r.came)
	}
}

// staleResigned ends the restraint: who held the addresses lets go.
func (r *Router) staleResigned(src netip.Addr) {
	if r.unsure.addr != src {
		return
	}
	r.unsure = peer{}
	if r.state != Master {
		r.arm(r.came.Add(r.skew()))
	}
}

// mustHold tells whether somebody was heard lately whose adverts cannot be trusted in time, and goes to HOLD for it.
func (r *Router) mustHold(now time.Time) bool {
	return r.unsure.addr.IsValid() && now.Sub(r.unsure.last) < r.MasterDown()
}

func (r *Router) enterHold(now time.Time) {
	r.enter(now, Hold, r.unsure.addr.String()+" is master, and its clock or this node's is wrong")
	r.arm(r.unsure.last.Add(r.MasterDown()))
}
