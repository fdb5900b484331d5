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
	// lingerTime is how long the addresses are still held after the peer's first advert: until its announcements are in every
	// cache, packets keep coming here.
	lingerTime = 50 * time.Millisecond
)

// handover is a planned hand-over that waits for a peer. The zero value is none.
type handover struct {
	since    time.Time
	stop     bool // end afterwards
	repeated bool
	leave    string // why to end in BACKUP where no peer comes; empty to stay master
}

func (h handover) active() bool { return !h.since.IsZero() }

// linger is the time after a hand-over in which both routers hold the addresses. The zero value is none.
type linger struct {
	until time.Time
	stop  bool // end afterwards
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

// handoverTimer repeats the resignation once, and later gives up.
func (r *Router) handoverTimer(now time.Time) {
	if !r.handover.repeated {
		r.handover.repeated = true
		if now.Sub(r.deadline) < handoverRepeat {
			r.send(now, 0)
		}
		r.deadline = r.handover.since.Add(r.handoverWait())
		return
	}
	stop, leave := r.handover.stop, r.handover.leave
	r.endHandover(HandoverResult{Reason: fmt.Sprintf("no other router took over within %s", r.handoverWait())})
	switch {
	case stop:
		r.enter(now, Init, "shutdown; "+r.out.Handover.Reason)
	case leave != "":
		r.becomeBackup(now, leave)
	default:
		r.advertiseNow(now)
	}
}

// takenOver lets go after somebody else's first advert, whatever its priority.
func (r *Router) takenOver(now time.Time, src netip.Addr, a Advert) {
	if a.Priority == 0 {
		return
	}
	h := r.handover
	r.endHandover(HandoverResult{OK: true, Peer: src, Took: now.Sub(h.since)})
	r.yield(now, src, a, "handed over to "+src.String())
	r.yielded, r.yieldedTo = !h.stop, a.Priority
	r.linger = linger{until: now.Add(lingerTime), stop: h.stop}
	if h.stop {
		r.deadline = time.Time{} // the end comes first, whatever the peer does
	}
}

func (r *Router) endHandover(result HandoverResult) {
	r.handover = handover{}
	r.out.Handover = &result
}

// endLinger lets the addresses go when the time is over.
func (r *Router) endLinger(now time.Time) {
	if r.linger.until.IsZero() || now.Before(r.linger.until) {
		return
	}
	stop := r.linger.stop
	r.linger = linger{}
	if stop {
		r.leave(now, Init, "shutdown")
	}
}
