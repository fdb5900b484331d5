package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	gorunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

const (
	startTimeout = 15 * time.Second // a slow machine, or an interpreter, needs it
	askTimeout   = 5 * time.Second  // for one question
	pingInterval = time.Second
	maxSilence   = 3           // pings without an answer, or 1.5 times as many beats without a heartbeat
	stopGrace    = time.Second // for a plugin to end when told to
	quitGrace    = time.Second // for a hung one to write down what hangs
)

// session is one life of a plugin: a process and what is said with it.
type session struct {
	process   *process
	runner    *runner
	client    *goplugin.Client
	conn      *grpc.ClientConn
	described *pluginv1.DescribeResponse
	attached  bool // to a process of somebody else's

	held  map[*run]heard // what it observes before it speaks, the latest of each; under the lock flow of the process
	calls sync.WaitGroup // those that wait for an answer
	over  context.CancelFunc
	ended chan struct{} // closed when it works no more
	err   error         // why, valid when ended is closed; nil where it was to
}

// hungError says that a plugin lives and does not answer.
type hungError struct{ what string }

func (e *hungError) Error() string { return "hung: " + e.what }

// start starts a process and waits until it has said what it offers. A start that fails leaves nothing behind.
func start(ctx context.Context, p *process) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if at, ok := p.host.o.Reattach[p.decl.Name]; ok {
		return attach(ctx, p, at)
	}
	s := &session{process: p}
	err := s.launch()
	if err == nil {
		kill := context.AfterFunc(ctx, func() { s.runner.signal(syscall.SIGKILL, true) })
		defer kill()
		err = s.shakeHands(ctx)
	}
	if err == nil {
		return s, nil
	}
	if s.runner != nil {
		s.stop()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("not ready after %v: %w", startTimeout, err)
	}
	return nil, err
}

// launch makes all that is needed to start the process, which shakeHands then does.
func (s *session) launch() error {
	host, decl := s.process.host, s.process.decl
	path, err := find(decl, host.o.Dirs)
	if err != nil {
		return err
	}
	exe, err := open(decl, path)
	if err != nil {
		return err
	}
	r, dir, err := host.newRunner(s.process, exe)
	if err != nil {
		exe.Close()
		return err
	}
	log := newPluginLog(host.o.Logger.With("plugin", decl.Name))
	r.log = log.read
	s.runner = r
	s.client = goplugin.NewClient(clientConfig(r, dir, log))
	return nil
}

// newRunner is a runner of the plugin's executable, confined as is right for it, and the directory for its socket.
func (h *Host) newRunner(p *process, exe *os.File) (r *runner, dir string, err error) {
	d, err := thisDaemon()
	if err != nil {
		return nil, "", err
	}
	c, err := d.confine(p.decl, isBundled(exe), p.extra)
	if err != nil {
		return nil, "", err
	}
	if dir, err = h.socketDir(c.cred != nil, d); err != nil {
		return nil, "", err
	}
	h.remark(p.decl, c, d)
	logger := h.o.Logger.With("plugin", p.decl.Name)
	r = &runner{
		spawner: h.spawner, exe: exe, argv: append([]string{exe.Name()}, p.decl.Args...), cred: c.cred, caps: c.ambient,
		confine: func(dir string) error { return c.enter(dir, d) }, temporary: !slices.Contains(c.Writable, "/"),
		exited: make(chan struct{}), warn: logger.Warn, debug: logger.Debug,
	}
	for _, name := range slices.Sorted(maps.Keys(p.decl.Env)) {
		r.env = append(r.env, name+"="+p.decl.Env[name])
	}
	return r, dir, nil
}

// clientConfig is what go-plugin is told: our own runner, gRPC only, messages of a bounded size.
func clientConfig(r *runner, dir string, log *pluginLog) *goplugin.ClientConfig {
	return &goplugin.ClientConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginv1.ProtocolVersion, MagicCookieKey: pluginv1.CookieKey, MagicCookieValue: pluginv1.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginv1.ProtocolVersion: {"vipward": connection{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, own string) (gorunner.Runner, error) {
			r.env, r.dir = append(r.env, cmd.Env...), own
			r.giveTemporary()
			if r.cred != nil {
				return r, os.Chown(own, int(r.cred.Uid), int(r.cred.Gid))
			}
			return r, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir},
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		SyncStdout:       log,
		SyncStderr:       log,
		Logger:           hclog.NewNullLogger(),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithContextDialer(r.dial),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginv1.MaxMessage)),
		},
	}
}

// shakeHands starts the process, connects to it, and asks what it offers.
func (s *session) shakeHands(ctx context.Context) error {
	if _, err := s.client.Start(); err != nil {
		return s.wordStart(err)
	}
	protocol, err := s.client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	raw, err := protocol.Dispense("vipward")
	if err != nil {
		return err
	}
	s.conn = raw.(*grpc.ClientConn)
	return s.ask(ctx)
}

// ask asks what the plugin offers.
func (s *session) ask(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request := &pluginv1.DescribeRequest{CoreVersion: s.process.host.o.Version, Features: pluginv1.Features()}
	if s.described, err = pluginv1.NewPluginClient(s.conn).Describe(ctx, request); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("ask what it offers: no answer within %v", askTimeout)
		}
		return fmt.Errorf("ask what it offers: %w", rpcError(err))
	}
	return nil
}

// wordStart says in one line why a process did not come to speak.
func (s *session) wordStart(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if line, ok := strings.CutPrefix(text, "Unrecognized remote plugin message: "); ok {
		if line == "" {
			<-s.runner.exited // its stdout has ended
			return fmt.Errorf("it ended before it said where it listens: %s", s.runner.status)
		}
		return fmt.Errorf("its first line on stdout is %q, not a handshake", line[:min(len(line), 100)])
	}
	if _, version, ok := strings.Cut(text, "incompatible API version with plugin. Plugin version: "); ok {
		version, _, _ = strings.Cut(version, ",")
		return fmt.Errorf("it speaks version %s of the protocol, and this vipward version %d", version, pluginv1.ProtocolVersion)
	}
	return errors.New(text)
}

// wordCall says why a question was not answered, whose context had [askTimeout] at most. The end of a process is seen on its
// connection a moment before it is noticed.
func (s *session) wordCall(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded { // the plugin knows it, too
		return fmt.Errorf("no answer within %v", askTimeout)
	}
	closed := status.Code(err) == codes.Canceled && ctx.Err() == nil // by those who noticed the end first
	if status.Code(err) != codes.Unavailable && !closed {
		return rpcError(err)
	}
	select {
	case <-s.runner.exited:
		return fmt.Errorf("it ended: %s", s.runner.status)
	case <-time.After(quitGrace):
		return rpcError(err)
	}
}

// begin works with the plugin in a goroutine, until the plugin ends, hangs, or is to be stopped.
func (s *session) begin(ctx context.Context) {
	s.ended = make(chan struct{})
	ctx, s.over = context.WithCancel(ctx)
	go func() {
		defer close(s.ended)
		defer s.over()
		s.err = s.run(ctx)
	}()
}

// run works with the plugin until it ends, hangs, or is to be stopped; nil for the last.
func (s *session) run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	faults := make(chan error, 2)
	if s.attached {
		work.Go(func() { faults <- s.watch(inner) })
	} else {
		work.Go(func() { faults <- s.ping(inner) })
	}
	if s.offers(pluginv1.Kind_CHECKER) {
		work.Go(func() { faults <- s.runChecks(inner) })
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.runner.exited:
		return errors.New(s.runner.status)
	case err := <-faults:
		return s.settle(ctx, err)
	}
}

// settle finds out what a fault is: the end of the process, which breaks every stream a moment before it is noticed, or a
// plugin that lives and cannot be worked with.
func (s *session) settle(ctx context.Context, err error) error {
	if errors.Is(err, errIdle) {
		return err
	}
	if errors.As(err, new(*hungError)) {
		s.runner.signal(syscall.SIGQUIT, false)
	}
	select {
	case <-s.runner.exited:
		if !errors.As(err, new(*hungError)) {
			return errors.New(s.runner.status)
		}
	case <-ctx.Done():
	case <-time.After(quitGrace):
	}
	s.runner.signal(syscall.SIGKILL, true)
	return err
}

// offers tells whether the plugin has a component of a kind.
func (s *session) offers(kind pluginv1.Kind) bool {
	return slices.ContainsFunc(s.described.GetComponents(), func(c *pluginv1.Component) bool { return c.GetKind() == kind })
}

// can tells whether the plugin has a feature of the protocol.
func (s *session) can(feature string) bool {
	return slices.Contains(s.described.GetFeatures(), feature)
}

// ping asks every second whether the plugin is alive, and returns when it does not answer three times in a row.
func (s *session) ping(ctx context.Context) error {
	stream, err := pluginv1.NewPluginClient(s.conn).Control(ctx)
	if err != nil {
		return fmt.Errorf("control: %w", rpcError(err))
	}
	pongs := make(chan uint64)
	broken := make(chan error, 1)
	go func() {
		for {
			e, err := stream.Recv()
			if err != nil {
				broken <- err
				return
			}
			select {
			case pongs <- e.GetPong().GetNonce():
			case <-ctx.Done():
				return
			}
		}
	}()
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	var sent, answered uint64
	for {
		select {
		case answered = <-pongs:
		case err := <-broken:
			return fmt.Errorf("control: %w", rpcError(err))
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if s.process.idle() {
				return errIdle
			}
			if sent-answered >= maxSilence {
				return &hungError{fmt.Sprintf("no answer to %d pings", maxSilence)}
			}
			sent++
			ping := &pluginv1.ControlRequest{Msg: &pluginv1.ControlRequest_Ping{Ping: &pluginv1.Ping{Nonce: sent}}}
			if err := stream.Send(ping); err != nil {
				return fmt.Errorf("control: %w", rpcError(err))
			}
		}
	}
}

// stop ends the process: it is told to, and killed with its group when it does not end by itself. go-plugin's own Kill waits
// for a hung plugin for ever, unless somebody else kills it.
func (s *session) stop() {
	if s.attached {
		_ = s.conn.Close() // the process is not the host's to end
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.client.Kill()
	}()
	select {
	case <-done:
	case <-time.After(stopGrace):
		s.runner.signal(syscall.SIGKILL, true)
		select {
		case <-done:
		case <-time.After(stopGrace):
			s.process.host.o.Logger.Error("the plugin cannot be killed", "plugin", s.process.decl.Name, "pid", s.runner.pid())
		}
	}
	s.runner.signal(syscall.SIGKILL, true)
	s.runner.exe.Close() // where the start did not come so far; else it is closed already
	if s.runner.dir != "" {
		_ = os.RemoveAll(s.runner.dir) // Close removes what is above it
	}
}

// connection is the host's side of a plugin as go-plugin wants to have it: just the connection.
type connection struct {
	goplugin.NetRPCUnsupportedPlugin
}

// GRPCClient gives the connection itself.
func (connection) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

// GRPCServer is the plugin's side, which is not here.
func (connection) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("a host is no plugin")
}

// rpcError is an error of a call without gRPC's wrapping.
func rpcError(err error) error {
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("%s (%s)", s.Message(), s.Code())
	}
	return err
}
