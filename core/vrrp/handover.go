package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

const (
	// handoverRepeat is when the resignation is sent a second time, against loss. Later would restart the peer's skew timer.
	handoverRepeat = 20 * time.Millisecond
	// handoverGrace is added to the longest skew that a peer may wait.
	handoverGrace = 500 * time.Millisecond
	// lingerTime is how long the addresses are still held after the first advert of the next master: until its announcements are
	// in every cache, packets keep coming here.
	lingerTime = 50 * time.Millisecond
	// lowered is the priority that invites a peer to preempt which has not obeyed the resignation, and lowerLimit the longest that
	// the invitation stands.
	lowered    = 1
	lowerLimit = 5 * time.Second
)

// handover is a planned hand-over that waits for a peer. It first resigns, twice, which every router obeys within its skew; then,
// where none has, it advertises the lowest priority until a down interval has passed; then it resigns for the last time. All the
// while the addresses are held. The zero value is none.
type handover struct {
	since    time.Time
	stop     bool // end afterwards
	repeated bool
	lower    time.Time // until when the lowest priority is advertised; zero before that
	leave    string    // why to end in BACKUP where no peer comes; empty to stay master
}

func (h handover) active() bool { return !h.since.IsZero() }

// linger is the time after a hand-over, or after the lost election of a master, in which both routers hold the addresses. The zero
// value is none.
type linger struct {
	until time.Time
	stop  bool // end afterwards
	tell  bool // the new master is still to hear that there were two
}

// handOver begins a planned hand-over: resign, but keep the addresses until a peer has them.
func (r *Router) handOver(now time.Time, stop bool) {
	switch {
	case r.handover.active():
		r.handover.stop = r.handover.stop || stop
	case !r.linger.until.IsZero() && stop:
		r.linger.stop, r.deadline = true, time.Time{}
	case r.state == Master:
		r.handover = handover{since: now, stop: stop}
		r.send(now, 0)
		r.deadline = now.Add(handoverRepeat)
	case stop:
		r.leave(now, Init, "shutdown")
	default:
		r.endHandover(HandoverResult{Reason: "not master"})
	}
}

// handoverWait is how long a peer of any priority may take.
func (r *Router) handoverWait() time.Duration {
	return SkewTime(r.cfg.Version, 0, r.cfg.Interval) + handoverGrace
}

// handoverTimer repeats the resignation once, later invites to preempt, and at last gives up.
func (r *Router) handoverTimer(now time.Time) {
	h := &r.handover
	switch {
	case !h.repeated:
		h.repeated = true
		if now.Sub(r.deadline) < handoverRepeat {
			r.send(now, 0)
		}
		r.deadline = h.since.Add(r.handoverWait())
		return
	case h.leave != "": // the rest of the sync group is gone
	case h.lower.IsZero() && (r.met || !h.stop): // at the end a peer that was never heard is not waited for
		h.lower = now.Add(min(MasterDown(r.cfg.Version, lowered, r.cfg.Interval), lowerLimit))
	}
	if h.leave == "" && now.Before(h.lower) {
		r.send(now, lowered)
		r.deadline = earlier(now.Add(r.cfg.Interval), h.lower)
		return
	}
	stop, leave := h.stop, h.leave
	if stop {
		r.send(now, 0)
	}
	r.endHandover(HandoverResult{Reason: fmt.Sprintf("no other router took over within %s", now.Sub(h.since).Round(time.Millisecond))})
	switch {
	case stop:
		r.enter(now, Init, "shutdown; "+r.out.Handover.Reason)
	case leave != "":
		r.becomeBackup(now, leave)
	default:
		r.advertiseNow(now)
	}
}

// Leaving tells whether a hand-over is under way that ends in BACKUP also where no peer comes, since the rest of the sync group has let go.
func (r *Router) Leaving() bool { return r.handover.leave != "" }

// takenOver lets go after somebody else's first advert, whatever its priority.
func (r *Router) takenOver(now time.Time, src netip.Addr, a Advert) {
	if a.Priority == 0 {
		return
	}
	h := r.handover
	r.endHandover(HandoverResult{OK: true, Peer: src, Took: now.Sub(h.since)})
	r.yield(now, src, a, "handed over to "+src.String())
	r.yielded, r.yieldedTo = !h.stop, a.Priority
	r.linger.tell = false // it takes over just now, and announces
	if r.linger.until.IsZero() && h.stop {
		r.leave(now, Init, "shutdown")
		return
	}
	if r.linger.stop = h.stop; h.stop {
		r.deadline = time.Time{} // the end comes first, whatever the peer does
	}
}

func (r *Router) endHandover(result HandoverResult) {
	r.handover = handover{}
	r.out.Handover = &result
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// lingering tells the new master once that there were two, and lets the addresses go when the time is over. The new master may be
// an old one: when a partition heals, half of the time the loser hears it first and would fall silent, and nobody would announce
// the addresses to those who have learned the loser's. By a losing advert, keepalived's higher_prio_send_advert, it knows.
func (r *Router) lingering(now time.Time) {
	if r.linger.tell {
		r.linger.tell = false
		r.send(now, r.effective)
	}
	if r.linger.until.IsZero() || now.Before(r.linger.until) {
		return
	}
	stop := r.linger.stop
	r.linger = linger{}
	if stop {
		r.leave(now, Init, "shutdown")
	}
}
