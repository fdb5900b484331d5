// Package outbox delivers events to notifiers: in order, one delivery at a time for each, again where that helps, and never in
// the way of who reports an event. What is not delivered yet is in a journal on the disk, so that neither a restart nor a crash
// of the daemon loses it: each event is delivered at least once. It is NOT where it is decided what an event is, who is to hear of
// it (core/node names them), or how it is told (plugins do).
package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

const (
	// queueSize is how many events may wait for one notifier, and queueBytes how large they may be together. Of more, the oldest
	// is dropped.
	queueSize  = 1000
	queueBytes = 8 << 20
	// storm is how many events have to wait for a notifier that folds to be told in one message, even without a time for that.
	storm = 20
	// attemptLimit is the deadline of one attempt.
	attemptLimit = 30 * time.Second
	// tellAfter is how many attempts have to fail before others are told of it.
	tellAfter = 3
	// The pause before the next attempt is firstPause, doubled each time up to longestPause, unless the notifier names one,
	// which is kept up to mostPause.
	firstPause   = time.Second
	longestPause = time.Minute
	mostPause    = time.Hour
)

// Outcome is what became of one attempt.
type Outcome uint8

// The outcomes.
const (
	// Delivered means that it is done.
	Delivered Outcome = iota
	// Retry means that it failed, and that another attempt may help.
	Retry
	// Drop means that it failed for good.
	Drop
)

// Deliver makes one attempt to tell a notifier of events, the oldest first: of one, or of several if it folds. It returns when ctx
// ends. key is the same for all attempts at the same events; attempt counts from 1. With Retry, a retryAfter above 0 is the pause
// before the next. The error says why it failed; Delivered with an error counts as Retry.
type Deliver func(ctx context.Context, n config.Notifier, events []event.Event, key string, attempt int) (o Outcome, retryAfter time.Duration, err error)

// Options of an [Outbox].
type Options struct {
	Deliver Deliver
	// Event hears of a notifier that misses events and that works again, and of a journal that cannot be read or written. It must
	// not block. It may lead to [Outbox.Add].
	Event  func(event.Event)
	Logger *slog.Logger
	// Journal is the path of the file that keeps what is not delivered yet. Empty keeps it in memory only.
	Journal string
}

// Outbox has a queue for each notifier. Its methods may be called from any goroutine.
type Outbox struct {
	Options

	mu       sync.Mutex
	queues   map[string]*queue // by the notifier's name
	restored map[string][]*item
	last     uint64 // id of an item
	seq      uint64 // of an event
	hurry    bool   // nothing is gathered any more
	disk     disk

	changed chan struct{} // there are queues without a worker, or workers without a queue
	moved   chan struct{} // a queue has become shorter
}

// New makes an outbox without notifiers. Events may be added before [Outbox.Run].
func New(o Options) *Outbox {
	return &Outbox{
		Options: o, queues: map[string]*queue{}, changed: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		disk: disk{path: o.Journal, wake: make(chan struct{}, 1)},
	}
}

// Set replaces the notifiers. What waits for one that is there before and after goes on to wait, and is delivered as the new
// configuration says; what waits for one that is gone is dropped. The first call finds what [Outbox.Restore] has read.
func (o *Outbox) Set(notifiers []config.Notifier) {
	o.mu.Lock()
	old := o.queues
	o.queues = make(map[string]*queue, len(notifiers))
	for _, n := range notifiers {
		q := old[n.Name]
		if q == nil {
			q = newQueue()
			for _, it := range o.restored[n.Name] {
				q.add(it)
			}
		}
		q.configure(n)
		o.queues[n.Name] = q
		delete(old, n.Name)
		delete(o.restored, n.Name)
	}
	gone := map[string][]*item{}
	for name, q := range old {
		gone[name] = q.items()
	}
	for name, items := range o.restored {
		gone[name] = items
	}
	for name, items := range gone {
		o.record(done(name, items))
	}
	o.restored = nil
	o.mu.Unlock()
	for name, items := range gone {
		if len(items) > 0 {
			o.Logger.Warn("events for a notifier that was removed are dropped", "notifier", name, "events", len(items))
		}
	}
	signal(o.changed)
	signal(o.moved)
}

// Add queues an event for those notifiers that are to hear of it. It never blocks: the disk is somebody else's work.
func (o *Outbox) Add(e event.Event) {
	for _, name := range o.add(e) {
		o.missed(name, fmt.Sprintf("more than %d events or %d MiB wait for it; the oldest that are not critical are dropped", queueSize, queueBytes>>20))
	}
}

// add queues an event, and names the notifiers that are to be told of as missing some.
func (o *Outbox) add(e event.Event) (missing []string) {
	text, err := json.Marshal(e)
	if err != nil { // a time beyond the year 9999
		o.Logger.Error("an event cannot be kept", "event", e.String(), "error", err)
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var to []string
	for name, q := range o.queues {
		if hears(q.cfg, e) {
			to = append(to, name)
		}
	}
	if len(to) == 0 {
		return nil
	}
	slices.Sort(to)
	o.last++
	o.seq = max(o.seq, e.Seq)
	it := &item{id: o.last, event: e, text: text, since: time.Now()}
	o.record(added(it, to))
	for _, name := range to {
		q := o.queues[name]
		dropped := q.add(it)
		if len(dropped) == 0 {
			continue
		}
		o.record(done(name, dropped))
		if !q.told {
			q.told = true
			missing = append(missing, name)
		}
	}
	return missing
}

// Run delivers until ctx ends, and keeps the journal. Call [Outbox.Flush] before that.
func (o *Outbox) Run(ctx context.Context) error {
	stop := make(chan struct{})
	written := make(chan struct{})
	go func() {
		defer close(written)
		o.keep(stop)
	}()
	o.deliver(ctx)
	close(stop)
	select {
	case <-written:
	case <-time.After(writeLimit):
		o.Logger.Error("the disk does not answer, and the notifications that wait may be lost", "file", o.Journal)
	}
	return nil
}

// deliver has a worker for each queue until ctx ends.
func (o *Outbox) deliver(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	running := map[*queue]context.CancelFunc{}
	for {
		wanted := o.wanted()
		for q, stop := range running {
			if !wanted[q] {
				stop()
				delete(running, q)
			}
		}
		for q := range wanted {
			if running[q] == nil {
				own, stop := context.WithCancel(ctx)
				running[q] = stop
				workers.Go(func() { defer stop(); o.work(own, q) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-o.changed:
		}
	}
}

func (o *Outbox) wanted() map[*queue]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := make(map[*queue]bool, len(o.queues))
	for _, q := range o.queues {
		w[q] = true
	}
	return w
}

// Flush waits until every queue is empty; from now on nothing is gathered. When ctx ends before, the error says how many events
// are left. With a journal they are delivered by the next run.
func (o *Outbox) Flush(ctx context.Context) error {
	o.mu.Lock()
	o.hurry = true
	for _, q := range o.queues {
		signal(q.wake)
	}
	o.mu.Unlock()
	for {
		left := 0
		for _, s := range o.Stats() {
			left += s.Queued
		}
		if left == 0 {
			return nil
		}
		select {
		case <-o.moved:
		case <-ctx.Done():
			return fmt.Errorf("deliver the last %d events: %w", left, ctx.Err())
		}
	}
}

// Stat is the state of one notifier's queue. The counters begin at 0 when the notifier is first configured.
type Stat struct {
	Notifier string
	// Queued events wait or are being delivered. Oldest is when the first of them happened, zero without any.
	Queued int
	Oldest time.Time
	// Delivered events are out, Dropped found the queue full, Failed were given up.
	Delivered, Dropped, Failed uint64
}

// Stats are those of all notifiers, by name.
func (o *Outbox) Stats() []Stat {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]Stat, 0, len(o.queues))
	for _, q := range o.queues {
		out = append(out, q.stat())
	}
	slices.SortFunc(out, func(a, b Stat) int { return cmp.Compare(a.Notifier, b.Notifier) })
	return out
}

// signal wakes who waits on ch, now or later.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
