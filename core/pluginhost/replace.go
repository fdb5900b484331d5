package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

const (
	enough    = 95 // percent of the checks whose result a new process needs to take over
	maxWarm   = 30 * time.Second
	minWarm   = 5 * time.Second // the first runs are spread over a second and take up to their time-out
	drainTime = 5 * time.Second // for calls that wait for the old process
)

// UnknownPlugin says that no plugin of that name is in use.
type UnknownPlugin struct {
	Name string
	// InUse are the names of those that are.
	InUse []string
}

func (e *UnknownPlugin) Error() string { return fmt.Sprintf("no plugin %q is in use", e.Name) }

// Reload replaces the process of a plugin without a gap: the new one starts beside the old, is given all checks, and takes over
// when it has results for nearly all of them, within two intervals and 30 s at most. If it fails to, the old one goes on, and the
// error says why. A plugin that does not run is started at once. The name of one that is not in use is an [*UnknownPlugin].
func (h *Host) Reload(ctx context.Context, name string) error {
	h.mu.Lock()
	p := h.applied[name]
	closed, names := h.closed, slices.Sorted(maps.Keys(h.applied))
	if p != nil && !closed {
		h.running.Add(1)
		defer h.running.Done()
	}
	h.mu.Unlock()
	switch {
	case closed:
		return errClosed
	case p == nil:
		return &UnknownPlugin{Name: name, InUse: names}
	}
	if !p.replacing.TryLock() {
		return fmt.Errorf("a reload of plugin %s is under way", name)
	}
	defer p.replacing.Unlock()
	return p.replace(ctx)
}

// replace is the work of Reload.
func (p *process) replace(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	p.mu.Lock()
	old := p.session
	p.mu.Unlock()
	switch {
	case old == nil:
		return p.startNow(ctx)
	case old.attached:
		return fmt.Errorf("plugin %s runs elsewhere: restart it there", p.decl.Name)
	}
	next, err := start(ctx, p)
	if err != nil {
		return p.keepOld(err)
	}
	next.begin(p.ctx)
	if err = p.warm(ctx, next); err == nil && !p.succeed(old, next) {
		err = errors.New("the old process has ended in the meantime")
	}
	if err != nil {
		next.over()
		<-next.ended
		next.stop()
		return p.keepOld(err)
	}
	p.report("plugin.reloaded", event.Info, "", "", fmt.Sprintf(
		"process %d, version %s, has taken over from process %d, version %s",
		next.runner.pid(), next.described.GetVersion(), old.runner.pid(), old.described.GetVersion()))
	old.drain()
	old.over() // run sees its end, stops it and goes on with the next
	return nil
}

func (p *process) keepOld(err error) error {
	return fmt.Errorf("reload plugin %s: the process that was running goes on, for the new one failed: %w", p.decl.Name, err)
}

// startNow ends the pause before the next start of a plugin that does not run, and waits for what becomes of it.
func (p *process) startNow(ctx context.Context) error {
	p.mu.Lock()
	before := p.restarts
	p.mu.Unlock()
	select {
	case p.hurry <- struct{}{}:
	default:
	}
	for {
		p.mu.Lock()
		state, failed, err, next := p.state, p.restarts > before, p.err, p.changed
		p.mu.Unlock()
		switch {
		case state == Running:
			return nil
		case failed || state == Stopped:
			return fmt.Errorf("reload plugin %s: %w", p.decl.Name, err)
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// warm waits until a new process has results for enough of the checks.
func (p *process) warm(ctx context.Context, next *session) error {
	want, _ := p.wanted()
	if err := next.suits(want); err != nil {
		return err
	}
	limit := time.NewTimer(warmTime(want))
	defer limit.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		ready, total, reason := p.results(next)
		if ready*100 >= total*enough {
			return nil
		}
		select {
		case <-look.C:
		case <-next.ended:
			return fmt.Errorf("it ended: %w", next.err)
		case <-limit.C:
			return fmt.Errorf("it has a result of %d of %d checks after %v%s", ready, total, warmTime(want), reason)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// warmTime is how long a new process may take: two intervals of the slowest check.
func warmTime(w *wish) time.Duration {
	longest := time.Duration(0)
	if w != nil {
		for _, r := range w.runs {
			longest = max(longest, r.check.Interval)
		}
	}
	return min(max(2*longest, minWarm), maxWarm)
}

// suits tells why a process cannot do what is wanted of it.
func (s *session) suits(w *wish) error {
	if w == nil {
		return nil
	}
	for _, kind := range w.kinds {
		has := func(c *pluginv1.Component) bool { return c.GetKind() == kind && c.GetName() == w.decl.Name }
		if !slices.ContainsFunc(s.described.GetComponents(), has) {
			return fmt.Errorf("it has no %s %q any more", kindName(kind), w.decl.Name)
		}
	}
	return nil
}

// results counts the checks for which a process that does not speak yet has a result. That a check could not be made is none,
// unless it could not be made before either; why it could not is the reason.
func (p *process) results(next *session) (ready, total int, reason string) {
	p.flow.Lock()
	defer p.flow.Unlock()
	want, _ := p.wanted()
	if want == nil {
		return 0, 0, ""
	}
	for _, r := range want.runs {
		h, ok := next.held[r]
		worse := h.last.Outcome == health.Error && !r.at.IsZero() && r.last.Outcome != health.Error
		switch {
		case ok && !worse:
			ready++
		case ok:
			reason = fmt.Sprintf("; %s could not be made: %s", r.check.Name, h.last.Reason)
		}
	}
	return ready, len(want.runs), reason
}

// succeed makes a process the one that speaks, in the place of the old one, nil for none. It is false where that one has ended.
// What the new one has found after the last word of the old one is handed on now: nothing is lost and nothing comes late.
func (p *process) succeed(old, next *session) bool {
	p.flow.Lock()
	defer p.flow.Unlock()
	p.mu.Lock()
	if p.session != old || old != nil && p.ctx.Err() != nil {
		p.mu.Unlock()
		return false
	}
	p.change(Running, next, nil)
	p.mu.Unlock()
	p.speaker = next
	for r, h := range next.held {
		if h.at.After(r.at) {
			p.tell(r, h)
		}
	}
	next.held = nil
	return true
}

// finding is an observation of a run.
type finding struct {
	run *run
	health.Observation
}

// deliver hands observations on, or keeps the latest ones of a process that does not speak yet. It counts those that nobody wants.
func (p *process) deliver(from *session, findings []finding) (dropped int) {
	p.flow.Lock()
	defer p.flow.Unlock()
	now := time.Now()
	for _, f := range findings {
		h := heard{last: f.Observation, at: now}
		switch {
		case from == p.speaker:
			if !p.tell(f.run, h) {
				dropped++
			}
		default:
			if from.held == nil {
				from.held = make(map[*run]heard)
			}
			from.held[f.run] = h
		}
	}
	return dropped
}

// tell tells every check of a run; false where there is none. The lock flow is held.
func (p *process) tell(r *run, h heard) bool {
	r.heard = h
	for _, id := range r.ids {
		p.host.o.Observe(id, h.last)
	}
	return len(r.ids) > 0
}

// drain waits for the calls that the process still has to answer.
func (s *session) drain() {
	done := make(chan struct{})
	go func() {
		s.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainTime):
	}
}
