package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// stream is a host's view of a scheduler: it hands out assignments and keeps what comes, with the time since the start.
type stream struct {
	t        *testing.T
	requests chan *pluginv1.CheckerRequest
	began    time.Time

	mu      sync.Mutex
	results []string
	beats   []*pluginv1.Heartbeat
	events  int
}

// schedule runs a scheduler in a bubble, where time passes only while all wait.
func schedule[C any](t *testing.T, check func(context.Context, Target, C) Result, test func(*stream)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := Checker("test", check)
		s := &stream{t: t, requests: make(chan *pluginv1.CheckerRequest), began: time.Now()}
		events := make(chan *pluginv1.CheckerEvent)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			newScheduler(map[string]*Component{"test": &c}, slog.New(slog.DiscardHandler)).loop(ctx, s.requests, events)
		}()
		go func() {
			for {
				select {
				case e := <-events:
					s.take(e)
				case <-ended:
					return
				}
			}
		}()
		test(s)
		cancel()
		<-ended
	})
}

func (s *stream) take(e *pluginv1.CheckerEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events++
	for _, r := range e.GetResults() {
		line := fmt.Sprintf("%v %d %v", time.Since(s.began), r.GetId(), r.GetStatus())
		if r.GetReason() != "" {
			line += " " + r.GetReason()
		}
		s.results = append(s.results, line)
	}
	if e.GetHeartbeat() != nil {
		s.beats = append(s.beats, e.GetHeartbeat())
	}
}

// assign assigns a check; changes are made on what is sent.
func (s *stream) assign(id uint32, interval, timeout time.Duration, changes ...func(*pluginv1.Assignment)) {
	a := &pluginv1.Assignment{
		Id: id, Component: "test", Target: fmt.Sprint(id), Interval: durationpb.New(interval), Timeout: durationpb.New(timeout),
	}
	for _, change := range changes {
		change(a)
	}
	s.requests <- &pluginv1.CheckerRequest{Assign: []*pluginv1.Assignment{a}}
}

func (s *stream) unassign(id uint32) { s.requests <- &pluginv1.CheckerRequest{Unassign: []uint32{id}} }

// after lets time pass and returns the results that came in it.
func (s *stream) after(d time.Duration) []string {
	time.Sleep(d) // in the bubble
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	results := s.results
	s.results = nil
	return results
}

func (s *stream) want(d time.Duration, want ...string) {
	s.t.Helper()
	if got := s.after(d); !slices.Equal(got, want) {
		s.t.Errorf("results:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// waited is when a result without news is sent: after the delay of a batch, or with the next heartbeat.
func waited(at time.Duration) time.Duration {
	return min(at+batchDelay, at.Truncate(time.Second)+time.Second)
}

// slotted is when a run begins that is due at an instant, with an interval of a second or more.
func slotted(at time.Duration) time.Duration { return (at + maxSlot - 1).Truncate(maxSlot) }

func passing(context.Context, Target, struct{}) Result { return Pass() }

func TestAChangeIsSentAtOnceAndWhatIsAsBeforeWaitsForCompany(t *testing.T) {
	schedule(t, passing, func(s *stream) {
		s.assign(1, time.Second, time.Second, func(a *pluginv1.Assignment) { a.Phase = durationpb.New(100 * time.Millisecond) })
		first := 100 * time.Millisecond
		second := first + 500*time.Millisecond + spread(1, 500*time.Millisecond)
		s.want(2500*time.Millisecond,
			fmt.Sprint(first, " 1 PASS"), // the first result is a change
			fmt.Sprint(waited(slotted(second)), " 1 PASS"),
			fmt.Sprint(waited(slotted(second+time.Second)), " 1 PASS"),
		)
	})
}

func TestAfterAFailureTheRetryIntervalHoldsUntilTheNextPass(t *testing.T) {
	var runs atomic.Int32
	check := func(context.Context, Target, struct{}) Result {
		if n := runs.Add(1); n == 1 || n > 3 {
			return Pass()
		}
		return Failf("no")
	}
	schedule(t, check, func(s *stream) {
		s.assign(1, 10*time.Second, time.Second, func(a *pluginv1.Assignment) { a.RetryInterval = durationpb.New(time.Second) })
		second := 5*time.Second + spread(1, 5*time.Second)
		s.want(second+12*time.Second-time.Millisecond,
			"0s 1 PASS",
			fmt.Sprint(slotted(second), " 1 FAIL no"),
			fmt.Sprint(waited(slotted(second+time.Second)), " 1 FAIL no"),
			fmt.Sprint(slotted(second+2*time.Second), " 1 PASS"),
		)
	})
}

func TestARunThatOverrunsItsIntervalMakesBeatsFallOutAndNeverOverlaps(t *testing.T) {
	var now, most, runs atomic.Int32
	check := func(context.Context, Target, struct{}) Result {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		runs.Add(1)
		time.Sleep(2500 * time.Millisecond)
		return Pass()
	}
	schedule(t, check, func(s *stream) {
		s.assign(1, time.Second, 10*time.Second)
		s.after(30 * time.Second)
		if most.Load() != 1 || runs.Load() < 9 || runs.Load() > 11 {
			t.Errorf("%d runs, %d at a time; want a run every 3 s, one at a time", runs.Load(), most.Load())
		}
	})
}

func TestARunSeesItsDeadline(t *testing.T) {
	check := func(ctx context.Context, _ Target, _ struct{}) Result {
		<-ctx.Done()
		return Fail(ctx.Err())
	}
	schedule(t, check, func(s *stream) {
		s.assign(1, time.Hour, 300*time.Millisecond)
		s.want(time.Minute, "300ms 1 FAIL context deadline exceeded")
	})
}

func TestARunThatIgnoresItsDeadlineIsStuckUntilItReturns(t *testing.T) {
	var runs atomic.Int32
	check := func(context.Context, Target, struct{}) Result {
		if runs.Add(1) == 1 {
			time.Sleep(time.Minute)
		}
		return Pass()
	}
	schedule(t, check, func(s *stream) {
		s.assign(1, 10*time.Second, time.Second)
		s.want(59*time.Second, "1.25s 1 FAIL stuck: the check did not return by its deadline of 1s")
		s.mu.Lock()
		if last := s.beats[len(s.beats)-1]; last.GetStuck() != 1 || last.GetRuns() != 1 {
			t.Errorf("heartbeat %v, want one run, stuck", last)
		}
		s.mu.Unlock()
		if got := s.after(11 * time.Second); len(got) != 1 || !strings.HasSuffix(got[0], "1 PASS") {
			t.Errorf("after it returned: %q, want one pass", got)
		}
	})
}

func TestAPanicIsAnErrorOfTheCheckAndNothingElse(t *testing.T) {
	check := func(_ context.Context, target Target, _ struct{}) Result {
		if target.Name == "1" {
			panic("oops")
		}
		return Pass()
	}
	schedule(t, check, func(s *stream) {
		s.assign(1, time.Hour, time.Second)
		s.assign(2, time.Hour, time.Second)
		got := s.after(time.Minute)
		slices.Sort(got)
		if !slices.Equal(got, []string{"0s 1 ERROR panic: oops", "0s 2 PASS"}) {
			t.Errorf("results %q", got)
		}
	})
}

func TestAnUnassignedTargetIsSilentEvenInTheMiddleOfARun(t *testing.T) {
	ended := make(chan error, 1)
	check := func(ctx context.Context, _ Target, _ struct{}) Result {
		<-ctx.Done()
		ended <- ctx.Err()
		return Pass()
	}
	schedule(t, check, func(s *stream) {
		s.assign(1, time.Second, time.Hour)
		s.after(time.Second)
		s.unassign(1)
		s.want(time.Minute)
		if err := <-ended; err != context.Canceled {
			t.Errorf("the run ended with %v, want it cancelled", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if last := s.beats[len(s.beats)-1]; last.GetTargets() != 0 {
			t.Errorf("heartbeat %v, want no target", last)
		}
	})
}

func TestNoMoreThanTheLimitRunAtOnce(t *testing.T) {
	var now, most, runs atomic.Int32
	check := func(context.Context, Target, struct{}) Result {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		runs.Add(1)
		time.Sleep(100 * time.Millisecond)
		return Pass()
	}
	schedule(t, check, func(s *stream) {
		for id := range uint32(3000) {
			s.assign(id+1, time.Hour, time.Minute)
		}
		s.after(time.Second)
		if most.Load() != maxRuns || runs.Load() != 3000 {
			t.Errorf("%d runs, %d at once; want 3000, %d at once", runs.Load(), most.Load(), maxRuns)
		}
	})
}

func TestAHostThatDoesNotReadHoldsUpNoCheckAndLosesTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		c := Checker("test", func(context.Context, Target, struct{}) Result { runs.Add(1); return Pass() })
		requests, events := make(chan *pluginv1.CheckerRequest), make(chan *pluginv1.CheckerEvent)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go newScheduler(map[string]*Component{"test": &c}, slog.New(slog.DiscardHandler)).loop(ctx, requests, events)
		s := &stream{requests: requests}
		for id := range uint32(100) {
			s.assign(id+1, 10*time.Millisecond, time.Second)
		}
		time.Sleep(3 * time.Second)
		e := <-events
		if runs.Load() < 29000 || len(e.GetResults()) != maxBatch || e.GetHeartbeat().GetDropped() < 29000-maxPending {
			t.Errorf("%d runs, %d results in an event, %d dropped", runs.Load(), len(e.GetResults()), e.GetHeartbeat().GetDropped())
		}
	})
}

func TestAHeartbeatComesEverySecond(t *testing.T) {
	schedule(t, passing, func(s *stream) {
		s.after(10500 * time.Millisecond)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.beats) != 11 {
			t.Errorf("%d heartbeats in 10.5 s, want 11", len(s.beats))
		}
	})
}

func TestManyResultsTravelInFewEvents(t *testing.T) {
	schedule(t, passing, func(s *stream) {
		for id := range uint32(1000) {
			s.assign(id+1, time.Second, time.Second)
		}
		s.after(2 * time.Second)
		s.mu.Lock()
		before := s.events
		s.mu.Unlock()
		n := len(s.after(5 * time.Second))
		s.mu.Lock()
		defer s.mu.Unlock()
		if events := s.events - before; n < 4900 || n > 5100 || events > 120 { // an event's worth at the edges
			t.Errorf("%d results in %d events, want about 5000 in at most 100", n, events)
		}
	})
}

// opening counts how often configurations are opened and closed.
type opening struct {
	Name string `vipward:"name"`
	log  *openingLog
}

type openingLog struct{ opened, closed, fail atomic.Int32 }

var openings sync.Map // by Name, since Open gets nothing else from the test

func (o *opening) Open(context.Context) error {
	v, _ := openings.LoadOrStore(o.Name, &openingLog{})
	o.log = v.(*openingLog)
	o.log.opened.Add(1)
	if o.log.fail.Add(-1) >= 0 {
		return fmt.Errorf("not yet")
	}
	return nil
}

func (o *opening) Close() error {
	o.log.closed.Add(1)
	return nil
}

func TestAConfigurationIsOpenedOnceForAllItsTargetsAndClosedAfterTheLast(t *testing.T) {
	check := func(_ context.Context, _ Target, c opening) Result {
		if c.log == nil {
			return Errorf("not open")
		}
		return Pass()
	}
	log := &openingLog{}
	log.fail.Store(1)
	openings.Store(t.Name(), log)
	config := func(a *pluginv1.Assignment) { a.ConfigJson = fmt.Appendf(nil, `{"name":%q}`, t.Name()) }
	schedule(t, check, func(s *stream) {
		s.assign(1, time.Second, time.Second, config)
		s.want(500*time.Millisecond, "0s 1 ERROR configuration: not yet")
		s.after(time.Second)
		s.assign(2, time.Second, time.Second, config)
		s.after(5 * time.Second)
		if log.opened.Load() != 2 {
			t.Errorf("opened %d times, want once after the failure", log.opened.Load())
		}
		s.unassign(1)
		s.after(time.Second)
		if log.closed.Load() != 0 {
			t.Error("closed while a target uses it")
		}
		s.unassign(2)
		s.after(time.Second)
		if log.closed.Load() != 1 {
			t.Errorf("closed %d times, want once", log.closed.Load())
		}
	})
}

func TestWhatCannotBeCheckedIsAnErrorNotAFailure(t *testing.T) {
	check := func(context.Context, Target, everything) Result { return Pass() }
	schedule(t, check, func(s *stream) {
		s.assign(1, time.Hour, time.Second, func(a *pluginv1.Assignment) { a.Component = "other" })
		s.want(time.Second, `0s 1 ERROR no checker "other" in this plugin`)
		s.assign(2, time.Hour, time.Second, func(a *pluginv1.Assignment) { a.Address = "nowhere" })
		if got := s.after(time.Second); len(got) != 1 || !strings.Contains(got[0], "2 ERROR address of the target") {
			t.Errorf("results %q", got)
		}
		s.assign(3, time.Hour, time.Second, func(a *pluginv1.Assignment) { a.ConfigJson = []byte(`{"name":"n","rule":[{"max":9}]}`) })
		s.want(time.Second, "2s 3 ERROR configuration: rule[0].max: 9 is out of range: at most 5")
	})
}

func TestChecksThatAreDueTogetherStartTogetherAndTheirLatenessIsCounted(t *testing.T) {
	var mu sync.Mutex
	starts := map[time.Time]int{}
	check := func(context.Context, Target, struct{}) Result {
		mu.Lock()
		defer mu.Unlock()
		starts[time.Now()]++
		return Pass()
	}
	schedule(t, check, func(s *stream) {
		const targets = 2000
		for id := range uint32(targets) {
			s.assign(id, time.Second, time.Second, func(a *pluginv1.Assignment) {
				a.Phase = durationpb.New(time.Duration(id) * time.Second / targets)
			})
		}
		s.after(10*time.Second + maxSlot)
		mu.Lock()
		defer mu.Unlock()
		if n := len(starts); n > 1010 {
			t.Errorf("the scheduler woke up %d times in 10 s for %d targets, want at most each %v", n, targets, maxSlot)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		last := s.beats[len(s.beats)-1]
		var counted, late uint64
		for class, n := range last.GetLate() {
			counted += n
			if class > 3 { // more than 10 ms
				late += n
			}
		}
		if counted < 9*targets || late > 0 || last.GetLateSum().AsDuration() > time.Duration(counted)*maxSlot {
			t.Errorf("%d runs were counted, %d as later than %v, %v in all; want nearly all and none late", counted, late, maxSlot, last.GetLateSum().AsDuration())
		}
	})
}

func TestARunThatHasToWaitForAFreeOneIsLate(t *testing.T) {
	check := func(context.Context, Target, struct{}) Result {
		time.Sleep(300 * time.Millisecond)
		return Pass()
	}
	schedule(t, check, func(s *stream) {
		for id := range uint32(maxRuns + 100) {
			s.assign(id, time.Hour, time.Minute)
		}
		s.after(10 * time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		late := s.beats[len(s.beats)-1].GetLate()
		if len(late) != len(pluginv1.LateClasses())+1 || late[8] != 100 || late[0] != maxRuns {
			t.Errorf("late %v, want %d in time and 100 later than 200 ms, at most 500 ms", late, maxRuns)
		}
	})
}

func TestAShortIntervalHasShortSlots(t *testing.T) {
	began := time.Now()
	s := scheduler{began: began}
	for _, c := range []struct{ due, interval, want time.Duration }{
		{0, time.Second, 0},
		{time.Nanosecond, time.Second, 10 * time.Millisecond},
		{10 * time.Millisecond, time.Hour, 10 * time.Millisecond},
		{101 * time.Millisecond, 100 * time.Millisecond, 101 * time.Millisecond},
		{1500 * time.Microsecond, 100 * time.Millisecond, 2 * time.Millisecond},
		{1510 * time.Microsecond, 10 * time.Millisecond, 1600 * time.Microsecond},
	} {
		if got := s.slot(began.Add(c.due), c.interval).Sub(began); got != c.want {
			t.Errorf("slot(%v, every %v) = %v, want %v", c.due, c.interval, got, c.want)
		}
	}
}

func TestTheLoggerOfARunKnowsComponentAndTarget(t *testing.T) {
	var b strings.Builder
	task := &task{component: "tcp", target: Target{Name: "web"}, config: &sharedConfig{call: func(ctx context.Context, _ Target) Result {
		Logger(ctx).Info("hello")
		inner, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		Logger(inner).Info("again")
		return Pass()
	}}}
	task.run(t.Context(), newLogger(&b))
	if n := strings.Count(b.String(), `"component":"tcp","target":"web"`); n != 2 {
		t.Errorf("the log is %q, want component and target in two lines", b.String())
	}
}
