package outbox

import (
	"slices"
	"sync"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

// queue is what waits for one notifier.
type queue struct {
	wake chan struct{} // there is something to take

	mu      sync.Mutex
	cfg     config.Notifier
	waiting []event.Event
	busy    bool // an event was taken and is not settled
	stats   Stat
	lost    uint64 // events since the last one that was delivered
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) configure(n config.Notifier) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cfg, q.stats.Notifier = n, n.Name
}

func (q *queue) config() config.Notifier {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cfg
}

// add queues an event that the notifier is to hear of. Where the queue is full the oldest goes: the newest state counts. first
// tells whether it is the first that is lost since the last success.
func (q *queue) add(e event.Event) (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !hears(q.cfg, e) {
		return false
	}
	if len(q.waiting) >= queueSize {
		q.waiting = slices.Delete(q.waiting, 0, 1)
		q.stats.Dropped++
		q.lost++
		first = q.lost == 1
	}
	q.waiting = append(q.waiting, e)
	signal(q.wake)
	return first
}

// hears tells whether an event is for a notifier: it takes the kind, and is named by what the event is about. What no block
// with a `notify` stands for, such as plugins, is heard by everyone who takes the kind, except of itself.
func hears(n config.Notifier, e event.Event) bool {
	if !slices.Contains(n.Kinds, e.Kind) {
		return false
	}
	switch e.Kind {
	case event.Instance, event.Service, event.RealServer:
		return slices.Contains(e.Notify, n.Name)
	case event.Notifier:
		return e.Subject != n.Name
	}
	return true
}

// take is the next event; false where none waits.
func (q *queue) take() (event.Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return event.Event{}, false
	}
	e := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	q.busy = true
	return e, true
}

// delivered settles the event that was taken; lost is the number of events that were lost since the last success.
func (q *queue) delivered() (lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost, q.lost = q.lost, 0
	q.busy = false
	q.stats.Delivered++
	return lost
}

// failed settles the event that was taken; first tells whether nothing was lost before since the last success.
func (q *queue) failed() (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = false
	q.stats.Failed++
	q.lost++
	return q.lost == 1
}

func (q *queue) stat() Stat {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Queued = len(q.waiting)
	if q.busy {
		s.Queued++
	}
	return s
}
