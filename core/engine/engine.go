package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/kernel"
	"github.com/vipward/vipward/core/metrics"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/outbox"
	"github.com/vipward/vipward/core/pluginhost"
	"github.com/vipward/vipward/core/wire"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// linksLimit is how long the start waits for the kernel's list of interfaces.
const linksLimit = 5 * time.Second

// Options say where the daemon finds and puts its things. All are needed.
type Options struct {
	// Config is the file or directory of the configuration.
	Config string
	// Node is the name of this node.
	Node string
	// Socket is the path of the control socket.
	Socket string
	// StateDir keeps what must survive a restart.
	StateDir string
	// PluginDirs are searched for plugins, in this order.
	PluginDirs []string
	// Reattach are plugins that already run, in a debugger as a rule; nil for none.
	Reattach map[string]pluginv1.Reattach
	// Version of the program.
	Version string
}

// Signals ask the daemon for something from outside of the control socket.
type Signals struct {
	// Stop is closed to end the daemon with a hand-over.
	Stop <-chan struct{}
	// Reload gives a value for each reload of the configuration's path.
	Reload <-chan os.Signal
}

// NotStarted is why the daemon could not start. Nothing was touched.
type NotStarted struct{ Err error }

func (n *NotStarted) Error() string { return n.Err.Error() }
func (n *NotStarted) Unwrap() error { return n.Err }

// Run is the daemon: it works until it is asked to stop, hands over, cleans up and returns. A [*NotStarted], also with a
// [*control.ConfigError] in it, comes before anything was touched. When ctx ends it returns at once and leaves everything to its leases.
func Run(ctx context.Context, opt Options, sig Signals) error {
	j, err := newJournal()
	if err != nil {
		return err
	}
	e := &engine{opt: opt, started: time.Now(), boot: rand.Uint64(), journal: j, log: j.logger(), ring: &control.Ring{}, listener: newReadOnly()}
	if err := e.open(ctx); err != nil {
		e.close()
		return &NotStarted{err}
	}
	defer e.close()
	return e.run(ctx, sig)
}

// engine holds the parts of the daemon. It has no state of its own but what a reload replaces.
type engine struct {
	opt     Options
	started time.Time
	boot    uint64 // tells this run from others; peers hear it
	journal *journal
	log     *slog.Logger
	closers []io.Closer

	loop       *loop
	wire       *wire.Wire
	beats      *wire.Beats
	links      *kernel.Links
	neighbours *kernel.Neighbours
	addresses  *kernel.Addresses
	leases     *kernel.FastLeases
	services   *kernel.Services
	refusals   *kernel.Table[netip.Addr]
	markings   *kernel.Table[desired.Marking]
	probing    *kernel.Probing
	plugins    *pluginhost.Host
	outbox     *outbox.Outbox
	ring       *control.Ring
	metrics    *metrics.Metrics
	server     *control.Server
	verdicts   *verdicts
	fencers    *fencers
	shots      *shots
	witnesses  *witnesses
	marks      *marks
	memory     *memory
	drains     *drains
	socket     net.Listener
	listener   *readOnly

	config  atomic.Pointer[config.Config]
	reloads reloads
	seq     uint64         // of events; only the loop touches it
	wished  *desired.State // the last wish that was news for IPVS; only the loop touches it
	answers answers
	known   chan struct{} // closed when the interfaces are known
}

// open makes every part. The socket comes first, for its lock tells whether another daemon is at work here; then the
// configuration: where it has errors, nothing else has been touched.
func (e *engine) open(ctx context.Context) error {
	socket, err := control.ListenSocket(e.opt.Socket)
	if err != nil {
		return err
	}
	e.socket, e.closers = socket, append(e.closers, socket)
	e.plugins = pluginhost.New(pluginhost.Options{
		Dirs: e.opt.PluginDirs, Reattach: e.opt.Reattach, RunDir: pluginDir(e.opt.Socket), Version: e.opt.Version, Logger: e.log,
		Observe: e.observe, Event: e.emit,
	})
	cfg, diags := e.load(ctx, e.opt.Config)
	if diags.HasErrors() {
		return &control.ConfigError{Diagnostics: diags}
	}
	if err := e.journal.set(cfg.Log); err != nil {
		return err
	}
	for _, d := range diags {
		e.log.Warn(d.Summary, "file", d.File, "line", d.Line, "detail", d.Detail)
	}
	e.config.Store(cfg)
	if err := os.MkdirAll(e.opt.StateDir, 0o750); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	held, err := control.HoldState(e.opt.StateDir, cfg.Node.Name)
	if err != nil {
		return err
	}
	e.closers = append(e.closers, held)
	listener, err := e.listener.prepare(cfg.Listen)
	if err != nil {
		return err
	}
	e.listener.use(listener)
	return e.assemble(cfg)
}

// pluginDir is where the plugins have their sockets: beside the control socket, or in /run where its path is too long for
// the socket of a plugin below it. It is the same for each run, so that what a killed daemon left is found again.
func pluginDir(socket string) string {
	dir := socket + ".plugins"
	if len(dir) <= pluginhost.MaxRunDir {
		return dir
	}
	return fmt.Sprintf("/run/vipward-%x", sha256.Sum256([]byte(socket)))[:len("/run/vipward-")+12]
}

// assemble makes the edges and the loop between them.
func (e *engine) assemble(cfg *config.Config) (err error) {
	e.known = make(chan struct{})
	e.loop = newLoop(node.New(cfg.Node))
	e.metrics = metrics.New(e.metricsState)
	e.loop.waited = func(d time.Duration) { e.metrics.LoopWait.Observe(d.Seconds()) }
	e.loop.stepped = func(d time.Duration) { e.metrics.LoopStep.Observe(d.Seconds()) }
	e.loop.woken = func(d time.Duration) { e.metrics.LoopLateness.Observe(d.Seconds()) }
	e.loop.desire, e.loop.tell, e.loop.answer = e.desire, e.tell, e.answers.give
	e.loop.fence, e.loop.witness, e.loop.beat = e.fence, e.askWitness, e.beat
	e.wire = wire.New(wire.Options{Logger: e.log, Receive: e.received})
	e.loop.send = e.wire.Send
	e.loop.drain = func() { e.wire.Drain(); e.beats.Drain(); e.neighbours.Drain() }
	e.beats = wire.NewBeats(wire.BeatOptions{Logger: e.log, Receive: e.beaten, Refuse: e.unheard})
	e.neighbours = kernel.NewNeighbours(kernel.NeighbourOptions{
		Logger: e.log, Report: func(in node.Input) { e.loop.Hurry(in, time.Now()) },
	})
	e.loop.ask = e.neighbours.Ask
	e.addresses, err = kernel.NewAddresses(kernel.AddressOptions{
		Logger: e.log, Report: func(a node.Applied) { e.loop.Hurry(a, time.Now()) },
	})
	if err != nil {
		return err
	}
	e.leases = kernel.NewFastLeases(kernel.FastLeaseOptions{Logger: e.log, Report: e.told(unleased)})
	e.loop.lease = e.leases.Set
	e.refusals = kernel.NewRefusals(kernel.TableOptions{Logger: e.log, Report: e.told(unrefused)})
	e.markings = kernel.NewMarkings(kernel.TableOptions{Logger: e.log, Report: e.told(unmarked)})
	e.probing = kernel.NewProbing(kernel.ProbingOptions{
		Logger: e.log, Record: filepath.Join(e.opt.StateDir, cfg.Node.Name+".sysctls.json"), Report: e.told(unset),
	})
	e.services = kernel.NewServices(kernel.ServiceOptions{
		Logger: e.log, Owned: filepath.Join(e.opt.StateDir, cfg.Node.Name+".services.json"),
		Report: func(a node.ServicesApplied) { e.loop.Add(a) },
	})
	e.verdicts = newVerdicts(filepath.Join(e.opt.StateDir, cfg.Node.Name+".verdicts.json"), e.log)
	e.drains = newDrains(filepath.Join(e.opt.StateDir, cfg.Node.Name+".drains.json"), e.log)
	e.marks = &marks{path: filepath.Join(e.opt.StateDir, cfg.Node.Name+".marks.json"), log: e.log}
	e.memory = newMemory(filepath.Join(e.opt.StateDir, cfg.Node.Name+".memory.json"), e.log)
	e.links = kernel.NewLinks(kernel.LinkOptions{Logger: e.log, Changed: e.linksChanged, Drift: e.addresses.Drift})
	e.outbox = outbox.New(outbox.Options{
		Logger: e.log, Deliver: e.deliver, Event: e.emit, Journal: filepath.Join(e.opt.StateDir, cfg.Node.Name+".outbox"),
	})
	e.seq = e.outbox.Restore()
	e.fencers = newFencers(e.plugins.Fence, e.emit)
	e.shots = newShots(e.plugins.Fence, e.fenced)
	e.witnesses = newWitnesses(e.plugins.Ask, e.witnessed, e.emit)
	e.server = control.NewServer(control.Options{API: e, Events: e.ring, Metrics: e.metrics.Handler(), Logger: e.log})
	return nil
}

// run starts every part and waits for the loop to end; then it ends the others in the order that loses nothing.
func (e *engine) run(ctx context.Context, sig Signals) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	parts := []func(context.Context) error{
		e.links.Run, e.neighbours.Run, e.addresses.Run, e.leases.Run, e.services.Run, e.refusals.Run, e.markings.Run, e.probing.Run, e.outbox.Run,
		func(ctx context.Context) error { return e.server.Run(ctx, e.socket) },
		func(ctx context.Context) error { return e.listener.run(ctx, e.server) },
		func(ctx context.Context) error { return watch(ctx, e.log, e.loop) },
		func(ctx context.Context) error { return e.onSignals(ctx, sig.Reload) },
		func(ctx context.Context) error { return e.verdicts.run(ctx, e.loop) },
		e.fencers.run, e.shots.run, e.witnesses.run,
		func(ctx context.Context) error { return e.marks.run(ctx, e.loop) },
		func(ctx context.Context) error { return e.memory.run(ctx, e.loop) },
		e.watchDrains,
	}
	for _, part := range parts {
		g.Go(func() error { return part(ctx) })
	}
	g.Go(func() error {
		defer cancel()
		if err := e.begin(ctx); err != nil {
			return err
		}
		g.Go(func() error { e.ready(ctx); return nil })
		if err := e.loop.Run(ctx, sig.Stop); err != nil {
			return err
		}
		return e.end(ctx)
	})
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// begin gives the loop what the node has to know before its first step: the interfaces, and what a former run has left.
func (e *engine) begin(ctx context.Context) error {
	select {
	case <-e.known:
	case <-time.After(linksLimit):
		return fmt.Errorf("the kernel did not tell of its interfaces within %s", linksLimit)
	case <-ctx.Done():
		return ctx.Err()
	}
	asked := time.Now()
	held, ages, err := e.addresses.Held()
	if err != nil {
		return fmt.Errorf("look for addresses of a former run: %w", err)
	}
	leased, err := e.leases.Held()
	if err != nil {
		e.log.Debug("look for fast leases of a former run", "error", err)
	}
	cfg := e.config.Load()
	e.wire.Set(ports(cfg))
	e.beats.Set(paths(cfg))
	e.outbox.Set(cfg.Notifiers)
	e.loop.Hurry(e.start(asked, held, ages, leased), time.Now())
	e.plugins.Apply(cfg.Plugins, cfg.Checks, cfg.Notifiers, pluginhost.Uses(cfg)...)
	e.fencers.Set(cfg)
	return nil
}

// ready tells systemd, once the loop goes round: before, who asks for the status is refused.
func (e *engine) ready(ctx context.Context) {
	if err := e.loop.Call(ctx, func(time.Time) node.Output { return node.Output{} }); err != nil {
		return // it has ended before
	}
	notify(e.log, stateReady)
	cfg := e.config.Load()
	e.log.Info("started", "version", e.opt.Version, "node", cfg.Node.Name, "config_hash", cfg.Hash)
}

// start is what a former run has left. Nothing in it may wait for the loop, which begins with it.
func (e *engine) start(asked time.Time, held []desired.AddressKey, ages map[desired.AddressKey]time.Duration, leased []netip.Addr) node.Start {
	return node.Start{
		At: asked, Held: held, Ages: ages, Leased: leased, Marks: e.marks.read(), Memory: e.memory.read(), Drains: e.drains.left, Verdicts: e.verdicts.read(time.Now()),
	}
}

func (e *engine) close() {
	if e.wire != nil {
		_ = e.wire.Close() // it has none to give
	}
	if e.beats != nil {
		_ = e.beats.Close() // it has none to give
	}
	if e.plugins != nil {
		e.plugins.Close()
	}
	e.listener.close()
	for _, c := range e.closers {
		if err := c.Close(); err != nil {
			e.log.Debug("close", "error", err)
		}
	}
}

// observe is called by the plugin host for each result of a check.
func (e *engine) observe(check string, o health.Observation) {
	e.loop.Add(node.Observed{Check: check, Observation: o})
}

// received is called by the readers of the sockets.
func (e *engine) received(packets []wire.Packet) {
	in := make(node.Receptions, len(packets))
	for k, p := range packets {
		in[k] = node.Received{Interface: p.Interface, Header: p.Header, Payload: p.Payload, At: p.At}
	}
	e.loop.Hurry(in, packets[0].At)
}

// linksChanged is called by the link monitor with the whole state of the interfaces.
func (e *engine) linksChanged(l node.Links) {
	e.wire.Refresh()
	e.beats.Refresh()
	e.neighbours.Refresh()
	e.loop.Hurry(l, time.Now())
	select {
	case <-e.known:
	default:
		close(e.known)
	}
}

// ports are the sockets that the instances need; what is named twice is one.
func ports(configs ...*config.Config) []wire.Port {
	var out []wire.Port
	for _, c := range configs {
		for _, i := range c.Node.Instances {
			everybody := len(i.VRRP.Peers) == 0
			out = append(out, wire.Port{
				Interface: i.Interface, IPv6: i.VRRP.IPv6(), Multicast: everybody, Frames: everybody && i.VMAC != "",
			})
		}
	}
	return out
}
