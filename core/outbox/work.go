package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

// work delivers what waits in q until ctx ends.
func (o *Outbox) work(ctx context.Context, q *queue) {
	for ctx.Err() == nil {
		if events, wait := o.take(q); len(events) > 0 {
			o.settle(ctx, q, events)
			signal(o.moved)
		} else {
			rest(ctx, q.wake, wait)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	q.taken, q.waiting = nil, q.items() // they are still to be delivered
}

// rest waits for a wake-up, for at most d where d is above 0, or for the end of ctx.
func rest(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	var due <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
	case <-wake:
	case <-due:
	}
}

// take is what q's notifier is to be told of now, or how long nothing is; see [queue.take].
func (o *Outbox) take(q *queue) (events []event.Event, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	wait = q.take(time.Now(), o.hurry)
	for _, it := range q.taken {
		events = append(events, it.event)
	}
	return events, wait
}

// settle makes attempts until the events are delivered or given up, or ctx ends.
func (o *Outbox) settle(ctx context.Context, q *queue, events []event.Event) {
	for attempt := 1; ; attempt++ {
		n := o.config(q) // a reload may have mended it
		outcome, retryAfter, err := o.attempt(ctx, n, events, attempt)
		switch {
		case outcome == Delivered:
			o.success(q)
			return
		case ctx.Err() != nil:
			return
		case outcome == Drop, attempt > n.Retry:
			o.giveUp(q, events, attempt, err)
			return
		}
		if attempt == tellAfter {
			o.tell(q, undelivered(events, attempt, err)+"; it is tried again")
		}
		o.Logger.Info("notifier failed, next attempt follows", "notifier", n.Name, "event", events[0].Seq, "attempt", attempt, "error", err)
		rest(ctx, nil, pause(attempt, retryAfter))
		if ctx.Err() != nil {
			return
		}
	}
}

func (o *Outbox) config(q *queue) config.Notifier {
	o.mu.Lock()
	defer o.mu.Unlock()
	return q.cfg
}

func (o *Outbox) attempt(
	ctx context.Context, n config.Notifier, events []event.Event, attempt int,
) (Outcome, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	outcome, retryAfter, err := o.Deliver(ctx, n, events, key(events), attempt)
	if outcome == Delivered && err != nil {
		outcome = Retry
	}
	return outcome, retryAfter, err
}

// key identifies some events over all restarts of the daemon.
func key(events []event.Event) string {
	e := events[0]
	k := fmt.Sprintf("%s/%d/%d", e.Node, e.Time.UnixNano(), e.Seq)
	if len(events) > 1 {
		k += fmt.Sprintf("+%d", len(events)-1)
	}
	return k
}

// pause is how long to wait after an attempt.
func pause(attempt int, retryAfter time.Duration) time.Duration {
	if retryAfter > 0 {
		return min(retryAfter, mostPause)
	}
	return min(firstPause<<min(attempt-1, 10), longestPause)
}

// undelivered says what was not delivered and why.
func undelivered(events []event.Event, attempts int, err error) string {
	what := fmt.Sprintf("%q was", events[0].String())
	if len(events) > 1 {
		what = fmt.Sprintf("%d events from %q on were", len(events), events[0].String())
	}
	return fmt.Sprintf("%s not delivered in %d attempts: %v", what, attempts, err)
}

// success settles what was taken, and tells of the end of a failure.
func (o *Outbox) success(q *queue) {
	o.mu.Lock()
	settled := q.settle()
	o.record(done(q.cfg.Name, settled))
	q.stats.Delivered += uint64(len(settled))
	lost, told, name := q.lost, q.told, q.cfg.Name
	q.lost, q.told = 0, false
	o.mu.Unlock()
	if !told {
		return
	}
	reason := "it works again, and missed nothing"
	if lost > 0 {
		reason = fmt.Sprintf("it works again; it missed %d events", lost)
	}
	o.Event(event.Event{Code: "notifier.recovered", Severity: event.Info, Kind: event.Notifier, Subject: name, Reason: reason})
}

// giveUp settles what was taken, and tells of the first events that a notifier misses. Those that follow are only counted and
// logged, until one arrives.
func (o *Outbox) giveUp(q *queue, events []event.Event, attempts int, err error) {
	o.mu.Lock()
	settled := q.settle()
	o.record(done(q.cfg.Name, settled))
	q.stats.Failed += uint64(len(settled))
	q.lost += uint64(len(settled))
	name := q.cfg.Name
	o.mu.Unlock()
	o.Logger.Warn("events given up", "notifier", name, "event", events[0].Seq, "events", len(events), "about", events[0].String(),
		"attempts", attempts, "error", err)
	o.tell(q, undelivered(events, attempts, err))
}

// tell says that a notifier fails, unless that is known.
func (o *Outbox) tell(q *queue, reason string) {
	o.mu.Lock()
	told, name := q.told, q.cfg.Name
	q.told = true
	o.mu.Unlock()
	if !told {
		o.missed(name, reason)
	}
}

// missed tells that a notifier misses events, or hears of them late.
func (o *Outbox) missed(name, reason string) {
	o.Event(event.Event{Code: "notifier.failed", Severity: event.Warning, Kind: event.Notifier, Subject: name, Reason: reason})
}
