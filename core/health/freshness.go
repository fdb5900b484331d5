package health

import "time"

// FreshFor is how long a result is good: until the next two should have come, with a second for the way. Interval is the longest
// time between the starts of two runs, timeout the longest run.
func FreshFor(interval, timeout time.Duration) time.Duration {
	return 2*interval + timeout + time.Second
}

// Freshness tells whether a check still says something about its target. A stale check keeps its verdict: that nobody looks any
// more is no reason to change anything, only to tell. The zero value is fresh for ever.
type Freshness struct {
	limit   time.Duration
	heard   time.Time // of the last result
	from    time.Time // since when the next one is waited for
	assumed bool
	expired bool
}

// NewFreshness is that of a check which is expected to give results from now on. A limit of 0 is none.
func NewFreshness(limit time.Duration, now time.Time) Freshness {
	return Freshness{limit: limit, from: now}
}

// Stale tells whether the verdict is only what was true once: no result came in time, or none yet after [Freshness.Assume].
func (f *Freshness) Stale() bool { return f.assumed || f.expired }

// Expired tells whether no result came in time.
func (f *Freshness) Expired() bool { return f.expired }

// Heard is when the last result came; zero for never.
func (f *Freshness) Heard() time.Time { return f.heard }

// Silence is how long the next result has been waited for.
func (f *Freshness) Silence(now time.Time) time.Duration { return now.Sub(f.from) }

// Due is when the check expires unless a result comes; zero where it has already, or never will.
func (f *Freshness) Due() time.Time {
	if f.expired || f.limit <= 0 || f.from.IsZero() {
		return time.Time{}
	}
	return f.from.Add(f.limit)
}

// Begin lets the time run from now.
func (f *Freshness) Begin(now time.Time) { f.from = now }

// Assume makes the check stale from its beginning: what it was found to be at the instant heard has to be confirmed.
func (f *Freshness) Assume(heard time.Time) { f.heard, f.assumed = heard, true }

// Hear takes note of a result that says something, and tells whether it came after the check had expired. An [Error] says
// nothing: it is not to be given here.
func (f *Freshness) Hear(now time.Time) bool {
	was := f.expired
	f.heard, f.from, f.assumed, f.expired = now, now, false, false
	return was
}

// Expire tells whether the check expires at this call.
func (f *Freshness) Expire(now time.Time) bool {
	due := f.Due()
	if due.IsZero() || now.Before(due) {
		return false
	}
	f.expired = true
	return true
}

// SetLimit changes how long a result is good.
func (f *Freshness) SetLimit(limit time.Duration) { f.limit = limit }

// Limit is how long a result is good; 0 for ever.
func (f *Freshness) Limit() time.Duration { return f.limit }

// Overdue tells whether the result that should have come by now has not: more than half of the time that the last one is good
// for is over.
func (f *Freshness) Overdue(now time.Time) bool {
	return f.limit > 0 && !f.from.IsZero() && f.Silence(now) > f.limit/2
}
