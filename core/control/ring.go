package control

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/vipward/vipward/core/event"
)

const (
	// ringSize is how many events are kept.
	ringSize = 4096
	// followerBuffer is how many events a follower may lag behind before it is cut off.
	followerBuffer = 256
	// maxFollowers bounds what Append has to serve.
	maxFollowers = 64
)

// ErrTooManyFollowers says that no further reader can follow the events.
var ErrTooManyFollowers = errors.New("too many clients follow the events")

// Ring keeps the latest 4096 events for readers. All methods may be called from any goroutine. No reader makes Append wait
// longer than it takes to copy a few thousand pointers. The zero value is an empty ring.
type Ring struct {
	mu        sync.Mutex
	events    []*event.Event // a ring once it is full
	next      int            // where the next event goes, and the oldest one is, once it is full
	followers map[*follower]struct{}
	cut       uint64
}

type follower struct{ ch chan event.Event }

// Append adds one event. A follower that does not keep up is cut off: its channel is closed.
func (r *Ring) Append(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) < ringSize {
		r.events = append(r.events, &e)
	} else {
		r.events[r.next] = &e
		r.next = (r.next + 1) % ringSize
	}
	for f := range r.followers {
		select {
		case f.ch <- e:
		default:
			r.cut++
			r.remove(f)
		}
	}
}

// Since is every event that is kept and not older than t, the newest last. The zero time means all.
func (r *Ring) Since(t time.Time) []event.Event {
	r.mu.Lock()
	kept := r.kept()
	r.mu.Unlock()
	return notBefore(kept, t)
}

// Subscribe is [Ring.Since], and a channel of all that comes after it, without a gap between. The channel is closed when ctx
// ends, or when the reader lags more than 256 events behind. The error is [ErrTooManyFollowers].
func (r *Ring) Subscribe(ctx context.Context, t time.Time) ([]event.Event, <-chan event.Event, error) {
	f := &follower{ch: make(chan event.Event, followerBuffer)}
	r.mu.Lock()
	if len(r.followers) >= maxFollowers {
		r.mu.Unlock()
		return nil, nil, ErrTooManyFollowers
	}
	if r.followers == nil {
		r.followers = map[*follower]struct{}{}
	}
	r.followers[f] = struct{}{}
	kept := r.kept()
	r.mu.Unlock()
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.remove(f)
	})
	return notBefore(kept, t), f.ch, nil
}

// Cut is the number of followers that were cut off because they lagged behind.
func (r *Ring) Cut() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

func (r *Ring) remove(f *follower) {
	if _, ok := r.followers[f]; ok {
		delete(r.followers, f)
		close(f.ch)
	}
}

// kept is what the ring holds, the oldest first. Only the pointers are copied while the writer waits.
func (r *Ring) kept() []*event.Event { return slices.Concat(r.events[r.next:], r.events[:r.next]) }

func notBefore(kept []*event.Event, t time.Time) []event.Event {
	out := make([]event.Event, 0, len(kept))
	for _, e := range kept {
		if !e.Time.Before(t) {
			out = append(out, *e)
		}
	}
	return out
}
