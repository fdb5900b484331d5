//go:build linux

package nginx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/sdk"
)

// restarter restarts nginx: one restart at a time, one for each time that it is dead, and so many in an hour. A restart goes on
// beside the runs of the check.
type restarter struct {
	*Restart
	tester  *tester // nil for none
	history history

	work    sync.WaitGroup
	mu      sync.Mutex
	current *attempt // under way, or the latest; nil before the first
	tried   *attempt // since nginx was well; nil for none
}

// attempt is a restart, or why there is none. Its fields but done and began are written before done is closed.
type attempt struct {
	done      chan struct{}
	began     time.Time
	ended     time.Time
	ran       bool   // the command was started
	elsewhere bool   // another process restarts nginx
	words     string // what became of it
}

func newRestarter(c *Restart, t *tester) *restarter {
	return &restarter{Restart: c, tester: t, history: newHistory(c.StateDir, c.Command)}
}

// begin begins a restart because nginx was dead at the time of a look. Where one is under way, or has ended since, it is that one;
// where one has not helped before, the attempt is over and says so.
func (r *restarter) begin(ctx context.Context, looked time.Time) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.current; a != nil && (!a.over() || a.ended.After(looked)) {
		return a
	}
	if r.tried != nil {
		return finished(&attempt{began: looked, words: r.tried.words + ", which did not help"})
	}
	a := &attempt{began: time.Now(), done: make(chan struct{})}
	r.current = a
	log := sdk.Logger(ctx)
	r.work.Go(func() {
		r.restart(a, log)
		r.mu.Lock()
		defer r.mu.Unlock()
		a.ended = time.Now()
		if a.ran {
			r.tried = a
		}
		close(a.done)
	})
	return a
}

func finished(a *attempt) *attempt {
	a.done = make(chan struct{})
	close(a.done)
	return a
}

func (a *attempt) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// recovered says that nginx answers: the next time that it is dead, it may be restarted again.
func (r *restarter) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil || r.current.over() {
		r.tried = nil
	}
}

// restart makes one restart, where the hour and the configuration of nginx allow it.
func (r *restarter) restart(a *attempt, log *slog.Logger) {
	if r.tester != nil {
		if fault := r.tester.now(context.Background()); fault != "" {
			a.words = "not restarted: " + fault
			return
		}
	}
	release, err := r.history.claim(a.began, r.PerHour, log)
	switch {
	case errors.Is(err, errBusy):
		a.elsewhere, a.words = true, err.Error()
		return
	case err != nil:
		a.words = "not restarted: " + err.Error()
		return
	}
	defer release()
	log.Warn("restarting nginx", "command", strings.Join(r.Command, " "))
	a.ran = true
	a.words = "restarted at " + a.began.Format(time.TimeOnly)
	if text, err := run(context.Background(), r.Command, r.Timeout); err != nil {
		a.words = fmt.Sprintf("%s by %q: %v", a.words, strings.Join(r.Command, " "), withOutput(err, text))
	}
	log.Warn("restarted nginx", "took", time.Since(a.began), "outcome", a.words)
}

func (r *restarter) wait() {
	if r != nil {
		r.work.Wait()
	}
}
