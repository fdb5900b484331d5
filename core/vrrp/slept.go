package vrrp

import "time"

// slept counts a time in which the machine stood still and its monotonic clock with it: the peer's has gone on. A backup only waits
// longer for it.
func (r *Router) slept(now time.Time, d time.Duration) {
	if r.state != Master || d <= 0 {
		return
	}
	r.deadline, r.sent = r.deadline.Add(-d), r.sent.Add(-d)
	r.checkStall(now)
}
