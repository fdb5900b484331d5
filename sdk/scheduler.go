package sdk

import (
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

const (
	maxRuns    = 1024                   // at the same time
	endGrace   = time.Second            // for runs to come back when the stream ends
	stuckGrace = 250 * time.Millisecond // for a run to come back after its deadline
	// Bounds on the timing of an assignment, against a host that sends nonsense.
	minInterval = 10 * time.Millisecond
	maxTimeout  = time.Hour
	// Runs start together in slots of a hundredth of the interval, at most maxSlot: a thousand targets a second then wake the
	// processor a hundred times a second. What a run waits for its slot counts as lateness.
	maxSlot  = 10 * time.Millisecond
	slotPart = 100
)

// scheduler runs the checks of one stream: each target at its own beat, one run at a time, with a deadline, and at most
// maxRuns in all. One goroutine, in loop, owns all of it but the channels; the others make one run after the other.
type scheduler struct {
	components map[string]*Component
	log        *slog.Logger

	began   time.Time // from where slots are counted
	tasks   map[uint32]*task
	agenda  agenda
	queue   []*task // due, without a free run
	configs map[string]*sharedConfig
	running int
	stuck   uint32
	runs    uint64
	lag     time.Duration
	late    lateness
	jobs    chan job // for a goroutine that has nothing to do
	done    chan outcome
	ended   chan struct{} // closed when nobody takes from done any more
	batch   batch
}

func newScheduler(components map[string]*Component, log *slog.Logger) *scheduler {
	return &scheduler{
		components: components, log: log,
		tasks: make(map[uint32]*task), configs: make(map[string]*sharedConfig),
		jobs: make(chan job), done: make(chan outcome, maxRuns), ended: make(chan struct{}),
	}
}

// loop schedules until ctx ends. Requests come in, events go out; an event that nobody takes holds up nothing but events.
func (s *scheduler) loop(ctx context.Context, requests <-chan *pluginv1.CheckerRequest, events chan<- *pluginv1.CheckerEvent) {
	defer s.end()
	s.began = time.Now()
	s.batch.beat = s.began
	timer := time.NewTimer(0)
	defer timer.Stop()
	var armed time.Time // what the timer waits for
	for {
		now := time.Now()
		s.startDue(ctx, now)
		event, out := s.batch.event(now, s.heartbeat), events
		if event == nil {
			out = nil
		}
		if at := s.wake(now, out != nil); !at.Equal(armed) {
			timer.Reset(at.Sub(now))
			armed = at
		}
		select {
		case <-ctx.Done():
			return
		case r := <-requests:
			s.apply(time.Now(), r)
		case o := <-s.done:
			now := time.Now()
			s.finish(now, o)
			for range len(s.done) { // nobody else takes from it
				s.finish(now, <-s.done)
			}
		case out <- event:
			s.batch.sent(time.Now(), event)
		case <-timer.C:
			armed = time.Time{}
		}
	}
}

// wake is when there is something to do again.
func (s *scheduler) wake(now time.Time, sending bool) time.Time {
	at := now.Add(beatInterval)
	if !sending {
		at = s.batch.due()
	}
	if len(s.agenda) > 0 && s.agenda[0].at.Before(at) {
		at = s.agenda[0].at
	}
	return at
}

func (s *scheduler) heartbeat() *pluginv1.Heartbeat {
	return &pluginv1.Heartbeat{
		Targets: uint32(len(s.tasks)), Runs: s.runs, Lag: durationProto(s.lag), Stuck: s.stuck, Dropped: s.batch.dropped,
		Late: slices.Clone(s.late.counts[:]), LateSum: durationProto(s.late.sum),
	}
}

func (s *scheduler) apply(now time.Time, r *pluginv1.CheckerRequest) {
	for _, id := range r.GetUnassign() {
		s.unassign(id)
	}
	for _, a := range r.GetAssign() {
		s.unassign(a.GetId())
		s.assign(now, a)
	}
}

func (s *scheduler) assign(now time.Time, a *pluginv1.Assignment) {
	t := &task{id: a.GetId(), component: a.GetComponent(), index: -1}
	t.interval = max(a.GetInterval().AsDuration(), minInterval)
	t.timeout = min(max(a.GetTimeout().AsDuration(), time.Millisecond), maxTimeout)
	if a.GetRetryInterval() != nil {
		t.retry = max(a.GetRetryInterval().AsDuration(), minInterval)
	}
	t.target, t.fault = targetOf(a)
	c, ok := s.components[a.GetComponent()]
	if ok {
		t.config = s.use(c, a.GetConfigJson())
	} else {
		t.fault = fmt.Errorf("no checker %q in this plugin", a.GetComponent())
	}
	s.tasks[t.id] = t
	s.schedule(t, now.Add(max(a.GetPhase().AsDuration(), 0)))
}

func (s *scheduler) unassign(id uint32) {
	t, ok := s.tasks[id]
	if !ok {
		return
	}
	delete(s.tasks, id)
	t.gone = true
	if t.cancel != nil {
		t.cancel()
	}
	if t.index >= 0 && t.state != running {
		heap.Remove(&s.agenda, t.index)
	}
	s.release(t.config)
}

// use is the shared form of a configuration: what it opens, it opens once for all targets.
func (s *scheduler) use(c *Component, raw []byte) *sharedConfig {
	key := c.name + "\x00" + string(raw)
	shared, ok := s.configs[key]
	if !ok {
		b := c.check(raw)
		shared = &sharedConfig{key: key, call: b.call, shut: b.close}
		s.configs[key] = shared
	}
	shared.uses++
	return shared
}

func (s *scheduler) release(c *sharedConfig) {
	if c == nil {
		return
	}
	c.uses--
	if c.uses == 0 {
		delete(s.configs, c.key)
		go c.shut() // the author's code: it may take its time
	}
}

func (s *scheduler) schedule(t *task, at time.Time) {
	t.state, t.at, t.due = waiting, s.slot(at, t.interval), at
	heap.Push(&s.agenda, t)
}

// slot is the end of the slot that an instant falls into.
func (s *scheduler) slot(at time.Time, interval time.Duration) time.Time {
	width := min(interval/slotPart, maxSlot)
	if over := at.Sub(s.began) % width; over > 0 {
		return at.Add(width - over)
	}
	return at
}

// startDue starts what is due and marks what is stuck.
func (s *scheduler) startDue(ctx context.Context, now time.Time) {
	for len(s.agenda) > 0 && !s.agenda[0].at.After(now) {
		t := heap.Pop(&s.agenda).(*task)
		if t.state == running {
			s.markStuck(now, t)
			continue
		}
		t.state = queued
		s.queue = append(s.queue, t)
	}
	for len(s.queue) > 0 && s.running < maxRuns {
		t := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		if !t.gone {
			s.start(ctx, now, t)
		}
	}
}

func (s *scheduler) start(ctx context.Context, now time.Time, t *task) {
	ctx, t.cancel = context.WithTimeout(ctx, t.timeout)
	t.state, t.at = running, now.Add(t.timeout+stuckGrace)
	heap.Push(&s.agenda, t)
	s.running++
	s.runs++
	t.runs++
	s.lag = now.Sub(t.due)
	if t.config != nil {
		t.config.uses++
	}
	j := job{ctx: ctx, task: t}
	select {
	case s.jobs <- j:
	default:
		go s.work(j)
	}
}

// work makes one run after the other: a goroutine that is used again has its stack already.
func (s *scheduler) work(j job) {
	for {
		began := time.Now()
		r := j.task.run(j.ctx, s.log)
		select {
		case s.done <- outcome{j.task, r, began, time.Since(began)}:
		case <-s.ended:
			return
		}
		j = job{}
		select {
		case j = <-s.jobs:
		case <-s.ended:
			return
		}
	}
}

// markStuck reports a run that ignored its deadline. Its target has no other run until this one returns.
func (s *scheduler) markStuck(now time.Time, t *task) {
	s.running--
	if t.gone {
		t.state = stuck
		s.stuck++
		return
	}
	t.state = stuck
	s.stuck++
	s.report(now, t, Failf("stuck: the check did not return by its deadline of %v", t.timeout), now, t.timeout+stuckGrace)
}

// finish takes a run that returned.
func (s *scheduler) finish(now time.Time, o outcome) {
	t := o.task
	t.cancel()
	t.cancel = nil
	s.late.add(o.began.Sub(t.due))
	if t.state == stuck {
		s.stuck--
	} else {
		s.running--
		heap.Remove(&s.agenda, t.index)
		if !t.gone {
			s.report(now, t, o.result, o.began, o.took)
		}
	}
	s.release(t.config)
	if !t.gone {
		s.schedule(t, t.next(now, t.last))
	}
}

func (s *scheduler) report(now time.Time, t *task, r Result, began time.Time, took time.Duration) {
	p := r.proto(t.id)
	p.At, p.Took = timestampProto(began.Add(took)), durationProto(took)
	s.batch.add(now, p, p.GetStatus() != t.last)
	t.last = p.GetStatus()
}

// end gives up everything: runs see their context end and have a moment to return; what a configuration holds open is closed
// when no run uses it any more.
func (s *scheduler) end() {
	defer close(s.ended)
	for id := range s.tasks {
		s.unassign(id)
	}
	patience := time.After(endGrace)
	for s.running > 0 || s.stuck > 0 {
		select {
		case o := <-s.done:
			s.finish(time.Now(), o)
		case <-patience:
			return
		}
	}
}
