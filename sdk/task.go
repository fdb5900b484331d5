package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"runtime/debug"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// state of a task: what its time in the agenda means.
type state uint8

const (
	waiting state = iota // at is when the next run is due
	queued               // due, and waiting for one of the concurrent runs to end
	running              // at is when the run counts as stuck
	stuck                // in no agenda until the run returns
)

// task is one assigned target.
type task struct {
	id              uint32
	component       string
	target          Target
	interval, retry time.Duration
	timeout         time.Duration
	fault           error // of the assignment; every run reports it
	config          *sharedConfig

	state  state
	at     time.Time
	index  int // in the agenda; -1 when not there
	due    time.Time
	runs   uint64
	last   pluginv1.Status
	gone   bool // unassigned
	cancel context.CancelFunc
}

// job is a run to be made.
type job struct {
	ctx  context.Context
	task *task
}

// outcome is a run that returned.
type outcome struct {
	task   *task
	result Result
	began  time.Time
	took   time.Duration
}

// sharedConfig is a configuration and how many tasks and runs use it.
type sharedConfig struct {
	key  string
	call func(context.Context, Target) Result
	shut func()
	uses int
}

// run makes one run and turns a panic into an error. It is called outside of the goroutine that owns the task.
func (t *task) run(ctx context.Context, log *slog.Logger) (r Result) {
	ctx = runContext{ctx, log, t}
	defer func() {
		if p := recover(); p != nil {
			log.With("component", t.component).Error("the check panicked", "target", t.target.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			r = Errorf("panic: %v", p)
		}
	}()
	if t.fault != nil {
		return Errorf("%v", t.fault)
	}
	return t.config.call(ctx, t.target)
}

// runContext is the context of a run. Most runs log nothing: their logger is made when it is asked for.
type runContext struct {
	context.Context
	log  *slog.Logger
	task *task
}

// Value knows the logger besides what the parent knows.
func (c runContext) Value(key any) any {
	if key == (loggerKey{}) {
		return c.log.With("component", c.task.component, "target", c.task.target.Name)
	}
	return c.Context.Value(key)
}

// next is when the run after the one that was due at t.due begins. Runs keep their beat: one that took longer than the
// interval makes the beats in between fall out. The second run of a task comes up to half an interval early, so that
// tasks that were assigned together do not stay together.
func (t *task) next(now time.Time, status pluginv1.Status) time.Time {
	failed := status == pluginv1.Status_FAIL || status == pluginv1.Status_ERROR
	gap := t.interval
	switch {
	case failed && t.retry > 0:
		gap = t.retry
	case t.runs == 1:
		gap = t.interval/2 + spread(t.id, t.interval/2)
	}
	at := t.due.Add(gap)
	if at.Before(now) {
		at = at.Add((now.Sub(at)/gap + 1) * gap)
	}
	return at
}

// spread maps ids evenly to durations from 0 to d: neighbours lie far apart (Fibonacci hashing).
func spread(id uint32, d time.Duration) time.Duration {
	hash := uint64(id) * 0x9E3779B97F4A7C15
	hi, _ := bits.Mul64(hash, uint64(d))
	return time.Duration(hi)
}

// agenda is a heap of tasks by their time.
type agenda []*task

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

func (a *agenda) Push(x any) {
	t := x.(*task)
	t.index = len(*a)
	*a = append(*a, t)
}

func (a *agenda) Pop() any {
	old := *a
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*a = old[:len(old)-1]
	t.index = -1
	return t
}
