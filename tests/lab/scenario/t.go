package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Result is what became of a scenario.
type Result struct {
	Scenario string
	OK       bool
	// Again tells that it had failed once before.
	Again bool
	Took  time.Duration
	// Failures say what was not as it should be.
	Failures []string
	// Figures are what was measured, as "name value".
	Figures []string
	// Log is what the scenario noted and what the processes said last; kept for a failure only.
	Log []string
}

// T is one run of a scenario. Errorf, Fatalf and Logf are for its goroutine and those that it starts; Fatalf ends the
// goroutine of the scenario.
type T struct {
	// Dir is a directory of the run; it is removed afterwards.
	Dir string
	// Bin is the directory of the binaries under test.
	Bin string

	// Began is when the run did.
	Began time.Time

	mu       sync.Mutex
	result   Result
	cleanups []func()
}

// Play plays a scenario; bin is the directory of the binaries. One that fails is played once more, since a guest on a shared machine now and then stalls for longer
// than any timing survives; the result tells what failed first, and how long this process was not woken meanwhile. What is
// wrong with the program fails twice.
func Play(s Scenario, bin string) Result {
	stop := meter()
	r := once(s, bin)
	stall := stop()
	if r.OK {
		return r
	}
	first := r.Failures[0]
	r = once(s, bin)
	r.Again = true
	r.Figures = append(r.Figures, fmt.Sprintf("played again (stall %v): %s", stall.Round(time.Millisecond), strings.TrimSpace(first)))
	return r
}

// meter measures until it is stopped how late this process was woken at worst.
func meter() (stop func() time.Duration) {
	const nap = 10 * time.Millisecond
	done, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		var late time.Duration
		for {
			due := time.Now().Add(nap)
			select {
			case <-done:
				worst <- late
				return
			case <-time.After(nap):
				late = max(late, time.Since(due))
			}
		}
	}()
	return func() time.Duration { close(done); return <-worst }
}

// once runs a scenario to its end and tidies up after it.
func once(s Scenario, bin string) Result {
	t := &T{Bin: bin, Began: time.Now(), result: Result{Scenario: s.Name}}
	dir, err := os.MkdirTemp("", "vw-") // short, for the sockets in it have room for 107 bytes
	if err != nil {
		t.result.Failures = []string{err.Error()}
		return t.result
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // users of plugins pass through to their sockets
		t.result.Failures = []string{err.Error()}
		return t.result
	}
	t.Dir = dir
	t.guarded(func() { s.Run(t) })
	for _, f := range slices.Backward(t.cleanups) {
		t.guarded(f)
	}
	t.result.Took = time.Since(t.Began)
	if t.result.OK = len(t.result.Failures) == 0; t.result.OK {
		t.result.Log = nil
	}
	return t.result
}

// patience is how long a scenario may take before it counts as hung.
const patience = 3 * time.Minute

// guarded runs f in a goroutine, which Fatalf may end, a panic may fail, and which is given up when it hangs.
func (t *T) guarded(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		stacks := make([]byte, 64<<10)
		t.Errorf("hung for %v:\n%s", patience, stacks[:runtime.Stack(stacks, true)])
	}
}

// Errorf notes a failure; the scenario goes on.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Failures = append(t.result.Failures, t.stamp()+fmt.Sprintf(format, args...))
}

// Fatalf notes a failure and ends the scenario.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Must ends the scenario for an error of the laboratory itself.
func (t *T) Must(err error) {
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// Logf notes what happened, for the reader of a failure.
func (t *T) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Log = append(t.result.Log, t.stamp()+fmt.Sprintf(format, args...))
}

// Figure notes what was measured.
func (t *T) Figure(name string, value any) {
	t.Logf("%s: %v", name, value)
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, ok := value.(time.Duration); ok {
		value = d.Round(100 * time.Microsecond)
	}
	t.result.Figures = append(t.result.Figures, fmt.Sprintf("%s %v", name, value))
}

// Cleanup has f called after the scenario, the last one first.
func (t *T) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// Eventually waits until f returns nil, and fails with what it said last. It returns how long that took.
func (t *T) Eventually(what string, within time.Duration, f func() error) time.Duration {
	began := time.Now()
	for {
		err := f()
		took := time.Since(began)
		if err == nil {
			t.Logf("%s after %v", what, took.Round(time.Millisecond))
			return took
		}
		if took > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stamp is the time since the beginning of the scenario.
func (t *T) stamp() string { return fmt.Sprintf("%6.2fs ", time.Since(t.Began).Seconds()) }

// Failed tells whether anything has failed so far.
func (t *T) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.result.Failures) > 0
}

// Background runs f until the returned function is called, which is done at the end of the scenario at the latest.
func (t *T) Background(f func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// Tail is the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
