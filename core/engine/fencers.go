package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/metrics"
	"github.com/vipward/vipward/core/pluginhost"
)

const (
	// probeEvery is how often each fencer is asked how its node is, so that a broken one is known before it is needed.
	probeEvery = 5 * time.Minute
	// probesAtOnce bounds how many are asked at a time.
	probesAtOnce = 4
)

// The states of a fencer; see [control.Fencer].
const (
	fencerUnknown     = "unknown"
	fencerReady       = "ready"
	fencerUnreachable = "unreachable"
)

// fencers asks the fencers how their nodes are, every few minutes, and keeps what they said. It is never the loop's business:
// a call may take a minute.
type fencers struct {
	ask  func(context.Context, pluginhost.FenceCall) pluginhost.Fenced
	tell func(event.Event)
	set  chan struct{} // has a value when there may be other fencers
	each time.Duration

	mu     sync.Mutex
	wanted []config.Fencer
	peers  []string // nodes to ask about, the first that a fencer knows
	said   map[string]probe
}

// probe is what a fencer said.
type probe struct {
	of       string // the fencer's configuration: see identity
	state    string
	at       time.Time
	node     string
	evidence string
}

func newFencers(ask func(context.Context, pluginhost.FenceCall) pluginhost.Fenced, tell func(event.Event)) *fencers {
	return &fencers{ask: ask, tell: tell, set: make(chan struct{}, 1), each: probeEvery, said: map[string]probe{}}
}

// Set takes the fencers of a configuration. One that is as it was keeps what it said.
func (f *fencers) Set(c *config.Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted, f.peers = c.Fencers, othersOf(c)
	kept := map[string]probe{}
	for _, w := range f.wanted {
		if p, ok := f.said[w.Name]; ok && p.of == identityOf(w) {
			kept[w.Name] = p
		}
	}
	f.said = kept
	select {
	case f.set <- struct{}{}:
	default:
	}
}

// othersOf are the nodes that a fencer may be about: all but this one, or this one where it is alone.
func othersOf(c *config.Config) []string {
	var names []string
	for _, n := range c.Nodes {
		if n.Name != c.Node.Name {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		names = []string{c.Node.Name}
	}
	return names
}

func identityOf(f config.Fencer) string { return fmt.Sprintf("%s %v %s", f.Kind, f.Timeout, f.Config) }

// run asks each new fencer at once, and all of them from time to time, until ctx ends.
func (f *fencers) run(ctx context.Context) error {
	tick := time.NewTicker(f.each)
	defer tick.Stop()
	for {
		all := false
		select {
		case <-ctx.Done():
			return nil
		case <-f.set:
		case <-tick.C:
			all = true
		}
		f.probe(ctx, all)
	}
}

// probe asks those that were not asked yet, or all.
func (f *fencers) probe(ctx context.Context, all bool) {
	f.mu.Lock()
	var due []config.Fencer
	for _, w := range f.wanted {
		if _, ok := f.said[w.Name]; all || !ok {
			due = append(due, w)
		}
	}
	peers := f.peers
	f.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(probesAtOnce)
	for _, w := range due {
		g.Go(func() error {
			f.keep(ctx, w, f.question(ctx, w, peers))
			return nil
		})
	}
	_ = g.Wait() // nothing fails
}

// question asks about one node after the other, until the fencer knows one: most are for one node, some for several.
func (f *fencers) question(ctx context.Context, w config.Fencer, peers []string) probe {
	p := probe{of: identityOf(w), state: fencerUnreachable}
	for _, node := range peers {
		r := f.ask(ctx, pluginhost.FenceCall{Fencer: w, Action: pluginhost.FenceStatus, Node: node})
		p.at, p.node, p.evidence = time.Now(), node, r.Evidence
		if r.Verdict != pluginhost.Unknown {
			p.state = fencerReady
			break
		}
	}
	return p
}

// keep takes note of an answer, and tells of what has changed. The end of the daemon, and a reload meanwhile, are no answers.
func (f *fencers) keep(ctx context.Context, w config.Fencer, p probe) {
	f.mu.Lock()
	wanted := slices.ContainsFunc(f.wanted, func(o config.Fencer) bool { return o.Name == w.Name && identityOf(o) == p.of })
	before := cmp.Or(f.said[w.Name].state, fencerUnknown)
	if wanted && ctx.Err() == nil {
		f.said[w.Name] = p
	}
	f.mu.Unlock()
	if !wanted || ctx.Err() != nil || p.state == before {
		return
	}
	e := event.Event{
		Code: "fencer." + p.state, Severity: event.Info, Kind: event.Fencer, Subject: w.Name, From: before, To: p.state, Reason: p.evidence,
	}
	if p.state == fencerUnreachable {
		e.Severity = event.Warning
	}
	f.tell(e)
}

// status is what the fencers said, in the order of the configuration.
func (f *fencers) status() []control.Fencer {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []control.Fencer
	for _, w := range f.wanted {
		s := control.Fencer{Name: w.Name, Kind: w.Kind, TimeoutMS: w.Timeout.Milliseconds(), State: fencerUnknown}
		if p, ok := f.said[w.Name]; ok {
			s.State, s.Checked, s.Node, s.Evidence = p.state, &p.at, p.node, p.evidence
		}
		out = append(out, s)
	}
	return out
}

// metrics is what a scrape shows: those that were asked.
func (f *fencers) metrics() []metrics.Fencer {
	var out []metrics.Fencer
	for _, s := range f.status() {
		if s.State != fencerUnknown {
			out = append(out, metrics.Fencer{Name: s.Name, Kind: s.Kind, Up: s.State == fencerReady})
		}
	}
	return out
}

// request answers an operator.
func (f *fencers) request(ctx context.Context, r control.FenceRequest, c *config.Config) (control.FenceAnswer, error) {
	a := control.FenceAnswer{Fencer: r.Fencer, Action: r.Action}
	w, err := fencerNamed(c, r.Fencer)
	if err != nil {
		return a, err
	}
	if a.Node, err = nodeFor(c, r.Node); err != nil {
		return a, err
	}
	status := f.ask(ctx, pluginhost.FenceCall{Fencer: w, Action: pluginhost.FenceStatus, Node: a.Node})
	a.Verdict, a.Evidence, a.Ready = string(status.Verdict), status.Evidence, status.Verdict != pluginhost.Unknown
	if a.Ready || a.Node == f.about(w.Name) { // a fencer that works for one node may not know another
		f.keep(ctx, w, probe{identityOf(w), map[bool]string{true: fencerReady, false: fencerUnreachable}[a.Ready], time.Now(), a.Node, a.Evidence})
	}
	if r.Action == "test" {
		dry := f.ask(ctx, pluginhost.FenceCall{Fencer: w, Action: pluginhost.FenceOff, Node: a.Node, DryRun: true})
		a.DryRun, a.Ready = dry.Evidence, a.Ready && dry.Rehearsed()
	}
	return a, nil
}

// about is the node that a fencer was last asked about; empty for none.
func (f *fencers) about(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said[name].node
}

func fencerNamed(c *config.Config, name string) (config.Fencer, error) {
	var names []string
	for _, f := range c.Fencers {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return config.Fencer{}, fmt.Errorf("%w fencer %q: the configuration has no block fencer", control.ErrNotFound, name)
	}
	return config.Fencer{}, control.Unknown("fencer", name, names)
}

// nodeFor is the node that a request is about: the one that it names, or the only other one.
func nodeFor(c *config.Config, name string) (string, error) {
	others := othersOf(c)
	if name == "" && len(others) == 1 {
		return others[0], nil
	}
	if name == "" {
		return "", fmt.Errorf("%w: there are several other nodes; name one of %v", control.ErrRequest, others)
	}
	names := []string{c.Node.Name}
	for _, n := range c.Nodes {
		names = append(names, n.Name)
	}
	if !slices.Contains(names, name) {
		return "", control.Unknown("node", name, slices.Compact(slices.Sorted(slices.Values(names))))
	}
	return name, nil
}

// Fence asks a fencer something that has no effect.
func (e *engine) Fence(ctx context.Context, r control.FenceRequest) (control.FenceAnswer, error) {
	return e.fencers.request(ctx, r, e.config.Load())
}
