package pluginhost

import (
	"math/rand/v2"
	"slices"
	"time"
)

const (
	firstDelay = 200 * time.Millisecond
	maxDelay   = 30 * time.Second
	steadyRun  = 60 * time.Second // a process that lived this long has earned a fresh start

	maxDeaths    = 5 // within deathsWithin: more starts at once would only cost
	deathsWithin = 2 * time.Minute
	trippedDelay = time.Minute
)

// breaker decides how long to wait before a plugin is started again. It never gives up. The zero value has seen no death.
type breaker struct {
	row     int         // deaths since the last steady life
	recent  []time.Time // of them, those of the last two minutes
	tripped bool
}

// died takes note of the end of a life and says how long to wait.
func (b *breaker) died(now time.Time, lived time.Duration) time.Duration {
	if lived >= steadyRun {
		*b = breaker{}
	}
	b.row++
	b.recent = slices.DeleteFunc(append(b.recent, now), func(t time.Time) bool { return now.Sub(t) >= deathsWithin })
	b.tripped = b.tripped || len(b.recent) >= maxDeaths
	if b.tripped {
		return trippedDelay
	}
	return backoff(b.row)
}

// backoff is how long to wait before the start after so many deaths in a row, from 1: not at all after the first, then twice
// as long each time, with a fifth of jitter.
func backoff(deaths int) time.Duration {
	if deaths <= 1 {
		return 0
	}
	d := maxDelay
	if shift := deaths - 2; shift < 10 {
		d = min(firstDelay<<shift, maxDelay)
	}
	return d - d/10 + rand.N(d/5)
}
