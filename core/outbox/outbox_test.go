package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

// bench is an outbox whose deliveries are written down, and decided by the test.
type bench struct {
	*Outbox
	// answer decides an attempt at an event; nil delivers it.
	answer func(ctx context.Context, n config.Notifier, e event.Event, attempt int) (Outcome, time.Duration, error)

	began time.Time
	mu    sync.Mutex
	log   []string
	keys  map[string]bool
}

// start runs f with an outbox at work, in a bubble of its own time.
func start(t *testing.T, notifiers []config.Notifier, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{began: time.Now(), keys: map[string]bool{}}
		b.Outbox = New(Options{Deliver: b.deliver, Event: b.report, Logger: slog.New(slog.DiscardHandler)})
		b.Set(notifiers)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		f(t, b)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func (b *bench) deliver(ctx context.Context, n config.Notifier, events []event.Event, key string, attempt int) (Outcome, time.Duration, error) {
	e, subjects := events[0], ""
	for _, e := range events {
		subjects += e.Subject + " "
	}
	b.note("%s %s#%d", n.Name, subjects, attempt)
	b.mu.Lock()
	b.keys[key] = true
	b.mu.Unlock()
	if b.answer == nil {
		return Delivered, 0, nil
	}
	return b.answer(ctx, n, e, attempt)
}

func (b *bench) report(e event.Event) {
	b.note("%s %s: %s", e.Code, e.Subject, e.Reason)
	b.Add(e)
}

func (b *bench) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf("%s ", time.Since(b.began))+fmt.Sprintf(format, args...))
}

// expect compares what happened so far with a log of one line each.
func (b *bench) expect(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	want = strings.ReplaceAll(strings.TrimSpace(want), "\t", "")
	if got := strings.Join(b.log, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func (b *bench) stat(name string) Stat {
	for _, s := range b.Stats() {
		if s.Notifier == name {
			return s
		}
	}
	return Stat{}
}

// notifier takes transitions of instances and real servers, and makes so many attempts after the first.
func notifier(name string, retry int) config.Notifier {
	return config.Notifier{Kind: "exec", Name: name, Kinds: []event.Kind{event.Instance, event.RealServer}, Retry: retry}
}

// transition is an event of an instance that is for some notifiers.
func transition(instance string, notify ...string) event.Event {
	return event.Event{Kind: event.Instance, Code: "instance.state", Subject: instance, To: "MASTER", Notify: notify}
}

func TestEventsArriveInOrderOneAtATime(t *testing.T) {
	start(t, []config.Notifier{notifier("ops", 0)}, func(t *testing.T, b *bench) {
		b.answer = func(context.Context, config.Notifier, event.Event, int) (Outcome, time.Duration, error) {
			time.Sleep(2 * time.Second)
			return Delivered, 0, nil
		}
		for n := range 3 {
			b.Add(transition(fmt.Sprint("i", n), "ops"))
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		b.expect(t, `
			0s ops i0 #1
			2s ops i1 #1
			4s ops i2 #1`)
		if s := b.stat("ops"); s != (Stat{Notifier: "ops", Delivered: 3}) {
			t.Errorf("stat = %+v", s)
		}
	})
}

func TestWhoHearsOfWhat(t *testing.T) {
	all := []event.Kind{event.Instance, event.Service, event.RealServer, event.Plugin, event.Notifier, event.Daemon}
	for _, tc := range []struct {
		name  string
		kinds []event.Kind
		event event.Event
		want  bool
	}{
		{"a transition for it", all, transition("web", "mail", "ops"), true},
		{"a transition for somebody else", all, transition("web", "mail"), false},
		{"a transition for nobody", all, transition("web"), false},
		{"a kind that it does not take", []event.Kind{event.RealServer}, transition("web", "ops"), false},
		{"a plugin, which no block with notify stands for", all, event.Event{Kind: event.Plugin, Subject: "http"}, true},
		{"a plugin, where it does not take plugins", []event.Kind{event.Instance}, event.Event{Kind: event.Plugin}, false},
		{"another notifier", all, event.Event{Kind: event.Notifier, Subject: "mail"}, true},
		{"itself, which it cannot be told", all, event.Event{Kind: event.Notifier, Subject: "ops"}, false},
	} {
		if got := hears(config.Notifier{Name: "ops", Kinds: tc.kinds}, tc.event); got != tc.want {
			t.Errorf("%s: hears = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestOneNotifierThatHangsHoldsUpNoOther(t *testing.T) {
	start(t, []config.Notifier{notifier("mail", 0), notifier("ops", 0)}, func(t *testing.T, b *bench) {
		b.answer = func(ctx context.Context, n config.Notifier, _ event.Event, _ int) (Outcome, time.Duration, error) {
			if n.Name == "mail" {
				<-ctx.Done()
				return Retry, 0, ctx.Err()
			}
			return Delivered, 0, nil
		}
		b.Add(transition("web", "mail"))
		synctest.Wait()
		b.Add(transition("web", "ops"))
		b.expect(t, `
			0s mail web #1
			0s ops web #1`)
		time.Sleep(attemptLimit)
		b.expect(t, `
			0s mail web #1
			0s ops web #1
			30s notifier.failed mail: "instance web: MASTER" was not delivered in 1 attempts: context deadline exceeded`)
	})
}

func TestRetriesWithBackOffUntilTheLimit(t *testing.T) {
	start(t, []config.Notifier{notifier("ops", 3)}, func(t *testing.T, b *bench) {
		b.answer = func(context.Context, config.Notifier, event.Event, int) (Outcome, time.Duration, error) {
			return Delivered, 0, errors.New("connection refused") // an error is never a success
		}
		b.Add(transition("web", "ops"))
		time.Sleep(time.Minute)
		b.expect(t, `
			0s ops web #1
			1s ops web #2
			3s ops web #3
			3s notifier.failed ops: "instance web: MASTER" was not delivered in 3 attempts: connection refused; it is tried again
			7s ops web #4`)
		if len(b.keys) != 1 {
			t.Errorf("the attempts had the keys %v, want one", b.keys)
		}
	})
}

func TestNotifierNamesThePause(t *testing.T) {
	start(t, []config.Notifier{notifier("ops", 5)}, func(t *testing.T, b *bench) {
		b.answer = func(_ context.Context, _ config.Notifier, _ event.Event, attempt int) (Outcome, time.Duration, error) {
			if attempt == 1 {
				return Retry, 90 * time.Second, errors.New("status 429")
			}
			return Delivered, 0, nil
		}
		b.Add(transition("web", "ops"))
		time.Sleep(time.Hour)
		b.expect(t, `
			0s ops web #1
			1m30s ops web #2`)
	})
}

func TestPauses(t *testing.T) {
	for _, tc := range []struct {
		attempt     int
		after, want time.Duration
	}{
		{1, 0, time.Second},
		{4, 0, 8 * time.Second},
		{7, 0, time.Minute},
		{1000, 0, time.Minute},
		{1, 5 * time.Second, 5 * time.Second},
		{9, time.Millisecond, time.Millisecond},
		{1, 48 * time.Hour, time.Hour},
	} {
		if got := pause(tc.attempt, tc.after); got != tc.want {
			t.Errorf("pause(%d, %s) = %s, want %s", tc.attempt, tc.after, got, tc.want)
		}
	}
}

func TestFailureIsReportedOnceAndItsEndWithTheLoss(t *testing.T) {
	start(t, []config.Notifier{notifier("ops", 9)}, func(t *testing.T, b *bench) {
		b.answer = func(_ context.Context, _ config.Notifier, e event.Event, _ int) (Outcome, time.Duration, error) {
			if e.Subject == "good" {
				return Delivered, 0, nil
			}
			return Drop, 0, errors.New("bad recipient")
		}
		for _, name := range []string{"bad", "worse", "good", "good"} {
			b.Add(transition(name, "ops"))
		}
		b.expect(t, `
			0s ops bad #1
			0s notifier.failed ops: "instance bad: MASTER" was not delivered in 1 attempts: bad recipient
			0s ops worse #1
			0s ops good #1
			0s notifier.recovered ops: it works again; it missed 2 events
			0s ops good #1`)
		if s := b.stat("ops"); s != (Stat{Notifier: "ops", Delivered: 2, Failed: 2}) {
			t.Errorf("stat = %+v", s)
		}
	})
}

func TestFullQueueDropsTheOldest(t *testing.T) {
	start(t, []config.Notifier{notifier("ops", 0)}, func(t *testing.T, b *bench) {
		release := make(chan struct{})
		b.answer = func(context.Context, config.Notifier, event.Event, int) (Outcome, time.Duration, error) {
			<-release
			return Delivered, 0, nil
		}
		b.Add(transition("first", "ops"))
		synctest.Wait() // it is under way, and no longer in the queue
		for n := range queueSize + 2 {
			b.Add(transition(fmt.Sprint("i", n), "ops"))
		}
		b.expect(t, `
			0s ops first #1
			0s notifier.failed ops: more than 1000 events or 8 MiB wait for it; the oldest that are not critical are dropped`)
		if s := b.stat("ops"); s != (Stat{Notifier: "ops", Queued: queueSize + 1, Dropped: 2}) {
			t.Errorf("stat = %+v", s)
		}
		close(release)
		if err := b.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got, want := b.log[3], "0s ops i2 #1"; got != want {
			t.Errorf("after the first came %q, want %q: i0 and i1 are the oldest", got, want)
		}
	})
}

func TestReloadKeepsWhatWaitsAndUsesTheNewConfiguration(t *testing.T) {
	broken, mended := notifier("ops", 100), notifier("ops", 100)
	mended.Config = []byte(`{"server":"mail2"}`)
	start(t, []config.Notifier{broken, notifier("chat", 100)}, func(t *testing.T, b *bench) {
		b.answer = func(_ context.Context, n config.Notifier, _ event.Event, _ int) (Outcome, time.Duration, error) {
			if n.Config == nil {
				return Retry, 10 * time.Second, errors.New("connection refused")
			}
			return Delivered, 0, nil
		}
		b.Add(transition("web", "ops"))
		b.Add(transition("db", "ops"))
		b.Add(transition("cache", "chat"))
		time.Sleep(time.Second)
		b.Set([]config.Notifier{mended, notifier("pager", 0)})
		time.Sleep(time.Minute)
		b.Add(transition("late", "chat"))
		synctest.Wait()
		if s := b.stat("ops"); s != (Stat{Notifier: "ops", Delivered: 2}) {
			t.Errorf("stat of the mended one = %+v, want both events delivered", s)
		}
		if n := len(b.Stats()); n != 2 {
			t.Errorf("there are %d queues, want 2: chat is gone", n)
		}
		for _, line := range b.log {
			if strings.Contains(line, "chat cache #2") || strings.Contains(line, "late") {
				t.Errorf("the removed notifier was still told: %s", line)
			}
		}
	})
}

func TestEventsBeforeRunAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{began: time.Now(), keys: map[string]bool{}}
		b.Outbox = New(Options{Deliver: b.deliver, Event: b.report, Logger: slog.New(slog.DiscardHandler)})
		b.Set([]config.Notifier{notifier("ops", 0)})
		b.Add(transition("web", "ops"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = b.Run(ctx) }()
		b.expect(t, "0s ops web #1")
	})
}

func TestFlushIsBoundedAndSaysWhatIsLeft(t *testing.T) {
	start(t, []config.Notifier{notifier("ops", 100)}, func(t *testing.T, b *bench) {
		b.answer = func(context.Context, config.Notifier, event.Event, int) (Outcome, time.Duration, error) {
			return Retry, 0, errors.New("connection refused")
		}
		b.Add(transition("web", "ops"))
		b.Add(transition("db", "ops"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := b.Flush(ctx)
		if err == nil || err.Error() != "deliver the last 2 events: context deadline exceeded" {
			t.Errorf("Flush = %v", err)
		}
		if d := time.Since(b.began); d != 5*time.Second {
			t.Errorf("Flush took %s", d)
		}
	})
}

func TestKeyTellsDaemonsApart(t *testing.T) {
	first := event.Event{Node: "lb1", Seq: 1, Time: time.Unix(1, 0)}
	again := first
	again.Time = time.Unix(2, 0) // after a restart, Seq begins anew
	if same := first; keyOf(first) == keyOf(again) || keyOf(first) != keyOf(same) {
		t.Errorf("keys %q and %q", keyOf(first), keyOf(again))
	}
	if one, two := keyOf(first), keyOf(first, again); one == two {
		t.Errorf("the key of one event and of two is %q", one)
	}
}

func keyOf(events ...event.Event) string { return key(events) }

func TestCriticalEventsAreDroppedLast(t *testing.T) {
	q := newQueue()
	for n := range queueSize {
		severity := event.Info
		if n < 2 {
			severity = event.Critical
		}
		q.add(&item{id: uint64(n), event: event.Event{Severity: severity}})
	}
	dropped := q.add(&item{id: queueSize})
	if len(dropped) != 1 || dropped[0].id != 2 || len(q.waiting) != queueSize || q.waiting[1].id != 1 {
		t.Errorf("dropped %v, want the oldest that is not critical, 2", dropped[0].id)
	}
	for _, it := range q.waiting {
		it.event.Severity = event.Critical
	}
	if dropped := q.add(&item{id: queueSize + 1}); len(dropped) != 1 || dropped[0].id != 0 {
		t.Errorf("dropped %v, want the oldest of nothing but critical ones, 0", dropped[0].id)
	}
}

func TestAQueueIsBoundedInBytes(t *testing.T) {
	q := newQueue()
	big := make([]byte, queueBytes/4)
	for n := range 4 {
		q.add(&item{id: uint64(n), text: big})
	}
	if dropped := q.add(&item{id: 4, text: big}); len(dropped) != 1 || dropped[0].id != 0 || q.bytes != queueBytes {
		t.Errorf("dropped %v, and %d bytes wait, want the oldest dropped and %d", dropped, q.bytes, queueBytes)
	}
}

// folding is a notifier that makes one message of several events.
func folding(name string, batch time.Duration) config.Notifier {
	n := notifier(name, 5)
	n.Folds, n.Batch = true, batch
	return n
}

func TestABurstIsOneMessage(t *testing.T) {
	start(t, []config.Notifier{folding("mail", 2*time.Second)}, func(t *testing.T, b *bench) {
		for n := range 3 {
			b.Add(transition(fmt.Sprint("i", n), "mail"))
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(time.Second)
		b.Add(transition("later", "mail"))
		time.Sleep(time.Minute)
		b.expect(t, `
			2s mail i0 i1 i2 #1
			4.5s mail later #1`)
	})
}

func TestACriticalEventIsNotHeldBack(t *testing.T) {
	start(t, []config.Notifier{folding("mail", time.Minute)}, func(t *testing.T, b *bench) {
		b.Add(transition("web", "mail"))
		time.Sleep(time.Second)
		fault := transition("db", "mail")
		fault.Severity = event.Critical
		b.Add(fault)
		b.expect(t, "1s mail web db #1")
	})
}

func TestAStormIsOneMessageForANotifierThatFolds(t *testing.T) {
	start(t, []config.Notifier{folding("chat", 0), notifier("script", 0)}, func(t *testing.T, b *bench) {
		release := make(chan struct{})
		b.answer = func(context.Context, config.Notifier, event.Event, int) (Outcome, time.Duration, error) {
			<-release
			return Delivered, 0, nil
		}
		b.Add(transition("first", "chat", "script"))
		synctest.Wait()
		for range storm {
			b.Add(transition("more", "chat", "script"))
		}
		close(release)
		if err := b.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		folded, single := 0, 0
		for _, line := range b.log {
			if line == "0s chat "+strings.Repeat("more ", storm)+"#1" {
				folded++
			}
			if line == "0s script more #1" {
				single++
			}
		}
		if folded != 1 || single != storm {
			t.Errorf("chat was told of the storm in %d messages, script in %d; want 1 and %d\n%s", folded, single, storm, strings.Join(b.log, "\n"))
		}
	})
}

func TestFlushDoesNotWaitForABurst(t *testing.T) {
	start(t, []config.Notifier{folding("mail", time.Minute)}, func(t *testing.T, b *bench) {
		b.Add(transition("web", "mail"))
		synctest.Wait()
		if err := b.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		b.expect(t, "0s mail web #1")
	})
}

func TestRecoveryWithoutLossIsToldToo(t *testing.T) {
	start(t, []config.Notifier{notifier("ops", 9)}, func(t *testing.T, b *bench) {
		b.answer = func(_ context.Context, _ config.Notifier, _ event.Event, attempt int) (Outcome, time.Duration, error) {
			if attempt < 4 {
				return Retry, 0, errors.New("connection refused")
			}
			return Delivered, 0, nil
		}
		b.Add(transition("web", "ops"))
		time.Sleep(time.Minute)
		b.expect(t, `
			0s ops web #1
			1s ops web #2
			3s ops web #3
			3s notifier.failed ops: "instance web: MASTER" was not delivered in 3 attempts: connection refused; it is tried again
			7s ops web #4
			7s notifier.recovered ops: it works again, and missed nothing`)
	})
}
