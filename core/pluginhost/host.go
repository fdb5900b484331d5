package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// closeTimeout bounds Close.
const closeTimeout = 3 * time.Second

// MaxRunDir is the longest RunDir: a unix socket's path has at most 108 bytes (unix(7)), and go-plugin adds its part.
const MaxRunDir = 60

// Options of a host.
type Options struct {
	// Dirs are where plugins are looked for; see [DefaultDirs].
	Dirs []string
	// RunDir is the directory for the plugins' sockets, at most 60 bytes long. It is the host's own: made when the first plugin
	// starts, emptied of what an earlier host left, removed by Close. Empty for a temporary one. Where it lies in a folder that
	// users of plugins cannot pass through, one in /run takes its place.
	RunDir string
	// Reattach are plugins by name that already run, in a debugger as a rule: see [ParseReattach]. Nil for none.
	Reattach map[string]pluginv1.Reattach
	// Version of the daemon, told to the plugins.
	Version string
	// Logger takes what the plugins log. Nil for nothing.
	Logger *slog.Logger
	// Observe takes each observation of an applied check, by the ID of the check. It is called from goroutines of the host
	// and must return at once. Nil where nothing is applied.
	Observe func(check string, o health.Observation)
	// Event takes what happens to the plugins. It is called like Observe. Nil for nobody.
	Event func(event.Event)
}

// Host runs the plugins of one daemon, or of one command. All its methods may be called from any goroutine.
type Host struct {
	o       Options
	spawner *spawner
	running sync.WaitGroup // supervisors of processes
	fencing turns

	mu      sync.Mutex
	dir     string              // of the sockets, once made
	procs   map[string]*process // by identity
	told    map[string]bool     // what is said once
	applied map[string]*process // what Apply asked for, by the plugin's name
	closed  bool
}

// errClosed is what a host says after Close.
var errClosed = errors.New("the plugin host is closed")

// New makes a host. Nothing is started until a plugin is asked for.
func New(o Options) *Host {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, health.Observation) {}
	}
	if o.Event == nil {
		o.Event = func(event.Event) {}
	}
	return &Host{o: o, spawner: newSpawner(), procs: make(map[string]*process), applied: make(map[string]*process), told: make(map[string]bool)}
}

// Schema is what a component of a plugin takes. The plugin is started where it does not run; it is kept for a minute, or for
// as long as Apply wants it. A plugin that is not there is a [*config.MissingPlugin].
func (h *Host) Schema(ctx context.Context, kind pluginv1.Kind, name string, decl config.Plugin) (*pluginv1.Schema, error) {
	decl.Name = name
	if err := h.lookUp(decl); err != nil {
		return nil, err
	}
	p, err := h.process(decl)
	if err != nil {
		return nil, err
	}
	described, err := p.describe(ctx)
	if err != nil {
		return nil, err
	}
	var offered []string
	for _, c := range described.GetComponents() {
		if c.GetKind() == kind && c.GetName() == name {
			return c.GetConfig(), nil
		}
		offered = append(offered, fmt.Sprintf("%s %q", kindName(c.GetKind()), c.GetName()))
	}
	return nil, fmt.Errorf("plugin %s has no %s %q; it has %s", name, kindName(kind), name, strings.Join(offered, ", "))
}

// Validate asks a plugin about one configuration, a JSON object that fits the schema.
func (h *Host) Validate(
	ctx context.Context, kind pluginv1.Kind, name string, decl config.Plugin, configJSON json.RawMessage,
) ([]*pluginv1.Diagnostic, error) {
	decl.Name = name
	if err := h.lookUp(decl); err != nil {
		return nil, err
	}
	p, err := h.process(decl)
	if err != nil {
		return nil, err
	}
	s, err := p.await(ctx)
	if err != nil {
		return nil, err
	}
	defer s.calls.Done()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := pluginv1.NewPluginClient(s.conn).Validate(ctx, &pluginv1.ValidateRequest{Kind: kind, Name: name, ConfigJson: configJSON})
	if err != nil {
		return nil, fmt.Errorf("have plugin %s validate: %w", name, s.wordCall(ctx, err))
	}
	return r.GetDiagnostics(), nil
}

// Apply takes all that is wanted: it starts what is missing and stops what is not in it. A check that was there before, the
// same in everything, is not disturbed. It returns at once; plugins that fail to start are tried again for ever.
func (h *Host) Apply(
	plugins map[string]config.Plugin, checks []config.Check, notifiers []config.Notifier, uses ...Use,
) {
	wishes := wishesOf(plugins, checks, notifiers, uses...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.applied = make(map[string]*process)
	wanted, extra := make(map[*process]bool), extraOf(checks, notifiers, uses)
	for name, w := range wishes {
		p := h.ensure(w.decl, extra[name])
		h.applied[name], wanted[p] = p, true
	}
	for key, p := range h.procs {
		if !wanted[p] {
			p.want(nil)
			p.cancel()
			delete(h.procs, key)
		}
	}
	for name, w := range wishes {
		h.applied[name].want(w)
	}
}

// process is the running or starting process of a declared plugin.
func (h *Host) process(decl config.Plugin) (*process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	if p := h.applied[decl.Name]; p != nil && identity(p.decl, 0) == identity(decl, 0) {
		p.touch()
		return p, nil
	}
	return h.ensure(decl, 0), nil
}

// ensure is the process of a declared plugin that gets some capabilities, with the lock held.
func (h *Host) ensure(decl config.Plugin, extra capabilities) *process {
	key := identity(decl, extra)
	p := h.procs[key]
	if p == nil {
		p = newProcess(h, decl)
		p.extra = extra
		h.procs[key] = p
		h.running.Go(p.run)
	}
	p.touch()
	return p
}

// retire drops a process that nobody wants; false for one that somebody does want. Apply cannot come in between.
func (h *Host) retire(p *process) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w, _ := p.wanted(); w != nil {
		return false
	}
	if key := identity(p.decl, p.extra); h.procs[key] == p {
		delete(h.procs, key)
	}
	return true
}

func (h *Host) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// identity tells two declarations apart: a plugin that is declared otherwise is another process.
func identity(decl config.Plugin, extra capabilities) string {
	text, _ := json.Marshal(decl) // a struct of strings
	return fmt.Sprintf("%s %x %x", decl.Name, sha256.Sum256(text), extra)
}

// Close stops all plugins and waits for their end, no longer than 3 s. No process and no socket is left. The host cannot be
// used any more.
func (h *Host) Close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.closed = true
	for _, p := range h.procs {
		p.want(nil)
		p.cancel()
	}
	h.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		h.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		h.spawner.close()
	case <-time.After(closeTimeout):
		h.o.Logger.Error("a plugin does not end, not even when killed")
	}
	h.mu.Lock()
	dir := h.dir
	h.mu.Unlock()
	if dir != "" {
		if err := os.RemoveAll(dir); err != nil {
			h.o.Logger.Warn("remove the directory of the plugins' sockets", "error", err)
		}
	}
}

func kindName(k pluginv1.Kind) string { return strings.ToLower(k.String()) }
