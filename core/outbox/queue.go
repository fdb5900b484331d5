package outbox

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

// item is an event as it waits. It never changes, and may wait in several queues.
type item struct {
	id    uint64 // by which the journal knows it
	event event.Event
	text  []byte    // the event as the journal has it
	since time.Time // when it was added to this process
}

// queue is what waits for one notifier. The outbox's lock guards it.
type queue struct {
	wake chan struct{} // there may be something to take, sooner than thought

	cfg     config.Notifier
	waiting []*item
	taken   []*item // by the worker, and not settled
	bytes   int     // of both
	stats   Stat
	lost    uint64 // events since the last one that was delivered
	told    bool   // that it fails
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) configure(n config.Notifier) {
	q.cfg, q.stats.Notifier = n, n.Name
	signal(q.wake)
}

// add queues an item. Where the queue is full, the oldest that is not critical goes, for the newest state counts; where all are
// critical, the oldest. dropped are those that went.
func (q *queue) add(it *item) (dropped []*item) {
	for len(q.waiting) > 0 && (len(q.waiting) >= queueSize || q.bytes+len(it.text) > queueBytes) {
		i := max(0, slices.IndexFunc(q.waiting, func(w *item) bool { return w.event.Severity != event.Critical }))
		dropped = append(dropped, q.waiting[i])
		q.bytes -= len(q.waiting[i].text)
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.stats.Dropped += uint64(len(dropped))
	q.lost += uint64(len(dropped))
	q.waiting = append(q.waiting, it)
	q.bytes += len(it.text)
	signal(q.wake)
	return dropped
}

// hears tells whether an event is for a notifier: it takes the kind, and is named by what the event is about. What no block
// with a `notify` stands for, such as plugins, is heard by everyone who takes the kind, except of itself.
func hears(n config.Notifier, e event.Event) bool {
	if !slices.Contains(n.Kinds, e.Kind) {
		return false
	}
	switch e.Kind {
	case event.Instance, event.Group, event.Service, event.RealServer:
		return slices.Contains(e.Notify, n.Name)
	case event.Notifier:
		return e.Subject != n.Name
	}
	return true
}

// take moves what is to be delivered next into taken: one event, or for a notifier that folds all that wait. Without anything to
// take now, wait is how long until there is; 0 where nothing waits at all. hurry cuts the time for which events are gathered.
func (q *queue) take(now time.Time, hurry bool) (wait time.Duration) {
	if len(q.waiting) == 0 {
		return 0
	}
	n := 1
	if q.cfg.Folds && (q.cfg.Batch > 0 || len(q.waiting) >= storm) {
		if left := q.cfg.Batch - now.Sub(q.waiting[0].since); left > 0 && !hurry && !q.urgent() {
			return left
		}
		n = len(q.waiting)
	}
	q.taken = slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return 0
}

// urgent tells whether what waits is not to be gathered any longer.
func (q *queue) urgent() bool {
	return len(q.waiting) >= queueSize || slices.ContainsFunc(q.waiting, func(it *item) bool { return it.event.Severity == event.Critical })
}

// settle ends the delivery of what was taken.
func (q *queue) settle() (settled []*item) {
	settled, q.taken = q.taken, nil
	for _, it := range settled {
		q.bytes -= len(it.text)
	}
	return settled
}

// items are all that are not settled, the oldest first.
func (q *queue) items() []*item { return slices.Concat(q.taken, q.waiting) }

func (q *queue) stat() Stat {
	s := q.stats
	if all := q.items(); len(all) > 0 {
		s.Queued, s.Oldest = len(all), all[0].event.Time
	}
	return s
}
