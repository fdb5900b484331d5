package kernel

import "time"

// Announcements leave an interface as from a bucket of tokens: so many at once, and then evenly. Switches send ARP and neighbour
// discovery through a small processor, which drops what comes too fast, and what is dropped is an address that nobody finds; on
// the other hand hundreds of addresses want to be told of in the moment when they move. Where garp.interval is set, it takes
// the place of both.
const (
	paceAtOnce = 256
	paceEvery  = time.Millisecond
	// paceWake is how many are waited for where the bucket is empty, so that they do not wake the process one by one.
	paceWake = 16
)

// pace keeps the rate on each interface. It holds the instant at which the bucket would be full again, had it room for one (the
// theoretical arrival time of the generic cell rate algorithm, ITU-T I.371).
type pace map[string]time.Time

// limits are those of a burst with that interval between its announcements; 0 for none.
func limits(interval time.Duration) (every time.Duration, atOnce, wake int) {
	if interval > 0 {
		return interval, 1, 1
	}
	return paceEvery, paceAtOnce, paceWake
}

// free is when a frame of a burst with that interval may go out.
func (p pace) free(link string, interval time.Duration) time.Time {
	every, atOnce, _ := limits(interval)
	full := p[link]
	if full.IsZero() {
		return full
	}
	return full.Add(-time.Duration(atOnce-1) * every)
}

// wake is when it is worth to look again for one that is due: when several may go out, where it must wait.
func (p pace) wake(link string, interval time.Duration, due time.Time) time.Time {
	every, _, several := limits(interval)
	free := p.free(link, interval)
	if !due.Before(free) {
		return due
	}
	return free.Add(time.Duration(several-1) * every)
}

// take counts one that has gone out.
func (p pace) take(now time.Time, link string, interval time.Duration) {
	every, _, _ := limits(interval)
	full := p[link]
	if full.Before(now) {
		full = now
	}
	p[link] = full.Add(every)
}
