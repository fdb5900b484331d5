//go:build linux

package nginx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/sdk/command"
)

// tester tests the configuration of nginx from time to time, beside the runs: a test may take longer than a run.
type tester struct {
	command           []string
	interval, timeout time.Duration

	work   sync.WaitGroup
	mu     sync.Mutex
	done   chan struct{} // of the latest test; nil before the first
	due    time.Time     // of the next one
	latest string        // fault that the latest has found
}

// fault is what is wrong with the configuration of nginx; empty for nothing. It waits for the first test, at most until ctx ends;
// a later one that goes on counts when it has ended. A nil tester finds nothing.
func (t *tester) fault(ctx context.Context) string {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	first := t.done == nil
	if now := time.Now(); first || t.ended() && !now.Before(t.due) {
		done := make(chan struct{})
		t.done, t.due = done, now.Add(t.interval)
		t.work.Go(func() {
			defer close(done)
			t.now(context.Background())
		})
	}
	done, latest := t.done, t.latest
	t.mu.Unlock()
	if !first {
		return latest
	}
	select {
	case <-done:
	case <-ctx.Done():
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest
}

func (t *tester) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// now makes a test and keeps what it finds.
func (t *tester) now(ctx context.Context) string {
	fault := t.test(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = fault
	return fault
}

func (t *tester) test(ctx context.Context) string {
	text, err := run(ctx, t.command, t.timeout)
	if err == nil {
		return ""
	}
	if why, ok := emergency(text.String()); ok {
		return "the configuration is broken: " + why
	}
	return fmt.Sprintf("%s: %v", strings.Join(t.command, " "), withOutput(err, text))
}

// emergency is what nginx says is wrong, without the time and the process that it may write before it:
// "2026/01/02 03:04:05 [emerg] 12#12: unknown directive …".
func emergency(output string) (string, bool) {
	_, why, ok := strings.Cut(output, "[emerg] ")
	why, _, _ = strings.Cut(why, "\n")
	if process, rest, cut := strings.Cut(why, ": "); cut && strings.Trim(process, "0123456789#") == "" {
		why = rest
	}
	return strings.TrimSpace(why), ok
}

func (t *tester) wait() {
	if t != nil {
		t.work.Wait()
	}
}

// run runs a command for at most timeout and keeps what it says.
func run(ctx context.Context, argv []string, timeout time.Duration) (*command.Output, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	text := &command.Output{}
	cmd, err := command.New(ctx, argv)
	if err != nil {
		return text, err
	}
	cmd.Stdout, cmd.Stderr = text, text
	err = command.Run(cmd)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		return text, fmt.Errorf("it did not end within %v and was killed", timeout)
	}
	return text, err
}

// withOutput is an error with the last that the command said.
func withOutput(err error, text *command.Output) error {
	if line := text.LastLine(); line != "" {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}
