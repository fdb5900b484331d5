package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// State of a plugin.
type State string

// The states. Restarting means that it has ended or did not start, and is about to be started again; Tripped that this has
// happened so often that it is tried only once a minute.
const (
	Starting   State = "starting"
	Running    State = "running"
	Restarting State = "restarting"
	Tripped    State = "tripped"
	Stopped    State = "stopped"
)

// idleTime is how long a plugin that only a schema was asked of is kept for the next question, or for Apply.
const idleTime = time.Minute

var errIdle = errors.New("nobody needs it")

// process is one plugin as it is wanted, through all its starts. run, in one goroutine, owns the starts.
type process struct {
	host   *Host
	decl   config.Plugin
	ctx    context.Context // ends when the plugin is to be stopped
	cancel context.CancelFunc
	hurry  chan struct{} // ends a pause between two starts
	extra  capabilities  // that its checks take

	replacing sync.Mutex // held during a replacement

	flow    sync.Mutex // of observations; taken before mu
	speaker *session   // whose observations count

	mu        sync.Mutex
	changed   chan struct{} // closed at the next change of state
	state     State
	err       error // why it is restarting or stopped
	session   *session
	described *pluginv1.DescribeResponse
	restarts  int
	dropped   uint64
	refused   uint64
	checks    Checks        // as the process that speaks says
	wish      *wish         // nil while only a schema is asked for
	wished    chan struct{} // closed at the next change of the wish
	used      time.Time
}

func newProcess(h *Host, decl config.Plugin) *process {
	p := &process{
		host: h, decl: decl, hurry: make(chan struct{}, 1), wished: make(chan struct{}),
		state: Starting, changed: make(chan struct{}), used: time.Now(),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// run starts the plugin, and again whenever it ends, until it is not wanted any more.
func (p *process) run() {
	defer p.cancel()
	var b breaker
	for {
		began := time.Now()
		err := p.once()
		if p.ctx.Err() != nil || p.host.retire(p) {
			p.end(err)
			return
		}
		was := b.tripped
		wait := b.died(time.Now(), time.Since(began))
		p.died(err, b.tripped, was)
		select {
		case <-time.After(wait):
		case <-p.hurry:
		case <-p.ctx.Done():
			p.end(err)
			return
		}
		p.set(Starting, nil, err)
	}
}

// once is one life of the plugin: it starts, works, and ends for the reason that is returned. A process that was replaced hands
// its life on to the next.
func (p *process) once() error {
	s, err := start(p.ctx, p)
	if err != nil {
		return fmt.Errorf("start plugin %s: %w", p.decl.Name, err)
	}
	s.begin(p.ctx)
	p.succeed(nil, s)
	p.report("plugin.started", event.Info, Starting, Running, "")
	for {
		<-s.ended
		next := p.successor(s)
		s.stop()
		if next == nil {
			return s.err
		}
		s = next
	}
}

// successor is the process that has taken the place of one that has ended; nil for none.
func (p *process) successor(ended *session) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session != ended {
		return p.session
	}
	p.change(Restarting, nil, ended.err)
	return nil
}

// died records the end of a life that is to be followed by another.
func (p *process) died(err error, tripped, before bool) {
	code, to := "plugin.exited", Restarting
	if errors.As(err, new(*hungError)) {
		code = "plugin.hung"
	}
	if tripped {
		to = Tripped
	}
	p.mu.Lock()
	from, news := Running, true
	if p.state == Starting {
		from, news = Starting, p.err == nil || p.err.Error() != err.Error()
	}
	p.restarts++
	p.change(to, nil, err)
	p.mu.Unlock()
	if news { // the same failure to start is told once
		p.report(code, event.Warning, from, Restarting, err.Error())
	}
	if tripped && !before {
		p.report("plugin.tripped", event.Critical, Restarting, Tripped, fmt.Sprintf(
			"it ended %d times within %v and is tried once in %v; the last verdicts stay: %v", maxDeaths, deathsWithin, trippedDelay, err))
	}
}

// end records that the plugin was stopped, or that nobody needs it any more.
func (p *process) end(err error) {
	told := err != nil || p.host.isClosed()
	if err == nil {
		err = fmt.Errorf("plugin %s: stopped", p.decl.Name)
	}
	p.set(Stopped, nil, err)
	if !told {
		p.report("plugin.stopped", event.Info, Running, Stopped, "")
	}
}

// set changes the state and wakes who waits for it.
func (p *process) set(state State, s *session, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change(state, s, err)
}

// change is set with the lock held.
func (p *process) change(state State, s *session, err error) {
	p.state, p.session = state, s
	if err != nil || state == Running {
		p.err = err
	}
	if s != nil {
		p.described = s.described
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *process) report(code string, severity event.Severity, from, to State, reason string) {
	p.host.o.Event(event.Event{
		Code: code, Severity: severity, Kind: event.Plugin, Subject: p.decl.Name,
		From: string(from), To: string(to), Reason: reason,
	})
}

// await is the running process, for one call: the caller says calls.Done on it after that. It waits while the plugin starts, and
// does not wait for one that has just failed to.
func (p *process) await(ctx context.Context) (*session, error) {
	for {
		p.mu.Lock()
		state, s, err, changed := p.state, p.session, p.err, p.changed
		p.used = time.Now()
		if s != nil {
			s.calls.Add(1) // before a replacement could wait for the last one
		}
		p.mu.Unlock()
		switch {
		case s != nil:
			return s, nil
		case state != Starting:
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for plugin %s: %w", p.decl.Name, ctx.Err())
		}
	}
}

// describe is what the plugin says of itself. What it once said is good while it restarts.
func (p *process) describe(ctx context.Context) (*pluginv1.DescribeResponse, error) {
	p.mu.Lock()
	known := p.described
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	s, err := p.await(ctx)
	if err != nil {
		return nil, err
	}
	defer s.calls.Done()
	return s.described, nil
}

// want sets what is wanted of the plugin; nil for nothing. Runs that stay the same keep their identity, and so go on. A check
// that joins a run hears at once what the run has just found.
func (p *process) want(w *wish) {
	p.flow.Lock()
	defer p.flow.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wish != nil {
		for key, old := range p.wish.runs {
			before := old.ids
			old.ids = nil
			if w == nil || w.runs[key] == nil {
				continue // its results are dropped from now on
			}
			old.ids, w.runs[key] = w.runs[key].ids, old
			for _, id := range old.ids {
				if !slices.Contains(before, id) && old.young(time.Now()) {
					p.host.o.Observe(id, old.last)
				}
			}
		}
	}
	p.wish = w
	close(p.wished)
	p.wished = make(chan struct{})
}

// wanted is what is wanted now, nil for nothing, and a channel that is closed when it changes. It is never written to.
func (p *process) wanted() (*wish, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wish, p.wished
}

// count takes note of results that belong to nothing, and of figures that cannot be shown.
func (p *process) count(dropped, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped += uint64(dropped)
	p.refused += uint64(refused)
}

// beat takes note of what a process says of its checks.
func (p *process) beat(from *session, h *pluginv1.Heartbeat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == from {
		p.checks = checksOf(h)
	}
}

// touch keeps an unwanted process from being idle.
func (p *process) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = time.Now()
}

// idle tells whether nobody has needed the plugin for a while.
func (p *process) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wish == nil && time.Since(p.used) > idleTime
}
