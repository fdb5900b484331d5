package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/vipward/vipward/core/event"
)

// work delivers what waits in q until ctx ends.
func (o *Outbox) work(ctx context.Context, q *queue) {
	for ctx.Err() == nil {
		e, ok := q.take()
		if !ok {
			select {
			case <-ctx.Done():
			case <-q.wake:
			}
			continue
		}
		o.settle(ctx, q, e)
		signal(o.moved)
	}
}

// settle makes attempts until the event is delivered or given up, or ctx ends.
func (o *Outbox) settle(ctx context.Context, q *queue, e event.Event) {
	for attempt := 1; ; attempt++ {
		n := q.config() // a reload may have mended it
		outcome, retryAfter, err := o.attempt(ctx, q, e, attempt)
		switch {
		case outcome == Delivered:
			o.success(q)
			return
		case ctx.Err() != nil:
			return
		case outcome == Drop, attempt > n.Retry:
			o.giveUp(q, e, attempt, err)
			return
		}
		o.Logger.Info("notifier failed, next attempt follows", "notifier", n.Name, "event", e.Seq, "attempt", attempt, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause(attempt, retryAfter)):
		}
	}
}

func (o *Outbox) attempt(ctx context.Context, q *queue, e event.Event, attempt int) (Outcome, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	outcome, retryAfter, err := o.Deliver(ctx, q.config(), []event.Event{e}, key(e), attempt)
	if outcome == Delivered && err != nil {
		outcome = Retry
	}
	return outcome, retryAfter, err
}

// key identifies an event over all restarts of the daemon: Seq alone begins at 1 again.
func key(e event.Event) string { return fmt.Sprintf("%s/%d/%d", e.Node, e.Time.UnixNano(), e.Seq) }

// pause is how long to wait after an attempt.
func pause(attempt int, retryAfter time.Duration) time.Duration {
	if retryAfter > 0 {
		return min(retryAfter, mostPause)
	}
	return min(firstPause<<min(attempt-1, 10), longestPause)
}

// success tells of the end of a failure.
func (o *Outbox) success(q *queue) {
	lost := q.delivered()
	if lost == 0 {
		return
	}
	o.Event(event.Event{
		Code: "notifier.recovered", Severity: event.Info, Kind: event.Notifier, Subject: q.config().Name,
		Reason: fmt.Sprintf("it works again; it missed %d events", lost),
	})
}

// giveUp tells of the first event that a notifier misses. Those that follow are only counted and logged, until one arrives.
func (o *Outbox) giveUp(q *queue, e event.Event, attempts int, err error) {
	name := q.config().Name
	o.Logger.Warn("event given up", "notifier", name, "event", e.Seq, "about", e.String(), "attempts", attempts, "error", err)
	if q.failed() {
		o.missed(name, fmt.Sprintf("%q was not delivered in %d attempts: %v", e.String(), attempts, err))
	}
}

// missed tells that a notifier misses events from now on.
func (o *Outbox) missed(name, reason string) {
	o.Event(event.Event{Code: "notifier.failed", Severity: event.Warning, Kind: event.Notifier, Subject: name, Reason: reason})
}
