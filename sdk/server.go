package sdk

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// server answers for the plugin as a whole: what it offers, whether a configuration is right, whether it is alive.
type server struct {
	pluginv1.UnimplementedPluginServer
	name       string
	components []Component
}

// Describe lists the components.
func (s *server) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	r := &pluginv1.DescribeResponse{Name: s.name, Version: s.version(), Sdk: "go", Features: pluginv1.Features()}
	for _, c := range s.components {
		r.Components = append(r.Components, &pluginv1.Component{Kind: c.kind, Name: c.name, Summary: c.summary, Config: c.schema})
	}
	return r, nil
}

// version is the author's, or what the toolchain knows.
func (s *server) version() string {
	for _, c := range s.components {
		if c.version != "" {
			return c.version
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return strings.Trim(info.Main.Version, "()")
	}
	return ""
}

// Validate checks one configuration by its tags and by the author's Validate.
func (s *server) Validate(_ context.Context, r *pluginv1.ValidateRequest) (*pluginv1.ValidateResponse, error) {
	for i := range s.components {
		if c := &s.components[i]; c.kind == r.GetKind() && c.name == r.GetName() {
			return &pluginv1.ValidateResponse{Diagnostics: diagnostics(c.validate(r.GetConfigJson()))}, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "no %v %q in this plugin", r.GetKind(), r.GetName())
}

// Control answers each ping with a pong until the host hangs up.
func (s *server) Control(stream pluginv1.Plugin_ControlServer) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil // the end of the stream is the end of the call
		}
		if r.GetPing() == nil {
			continue // of a later version
		}
		pong := &pluginv1.Pong{Nonce: r.GetPing().GetNonce()}
		if err := stream.Send(&pluginv1.ControlEvent{Msg: &pluginv1.ControlEvent_Pong{Pong: pong}}); err != nil {
			return err
		}
	}
}

// checks serves the checkers of a plugin: one scheduler per stream.
type checks struct {
	pluginv1.UnimplementedCheckerServer
	components map[string]*Component
	log        *slog.Logger
}

// Run schedules the checks that the host assigns until it hangs up. Reading, scheduling and writing go on by themselves, so
// that a host that does not read holds up no check.
func (c *checks) Run(stream pluginv1.Checker_RunServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	requests := make(chan *pluginv1.CheckerRequest)
	events := make(chan *pluginv1.CheckerEvent)
	go func() {
		defer cancel()
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		defer cancel()
		for {
			select {
			case e := <-events:
				if stream.Send(e) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	newScheduler(c.components, c.log).loop(ctx, requests, events)
	return nil
}

// register adds the services of a plugin to a gRPC server.
func register(g *grpc.Server, s *server, log *slog.Logger) *notifications {
	c := &checks{components: s.byName(pluginv1.Kind_CHECKER), log: log}
	n := &notifications{components: s.byName(pluginv1.Kind_NOTIFIER), log: log}
	f := &fences{components: s.byName(pluginv1.Kind_FENCER), log: log, busy: make(map[string]chan struct{})}
	w := &witnesses{components: s.byName(pluginv1.Kind_WITNESS), log: log}
	pluginv1.RegisterPluginServer(g, s)
	if len(c.components) > 0 {
		pluginv1.RegisterCheckerServer(g, c)
	}
	if len(n.components) > 0 {
		pluginv1.RegisterNotifierServer(g, n)
	}
	if len(f.components) > 0 {
		pluginv1.RegisterFencerServer(g, f)
	}
	if len(w.components) > 0 {
		pluginv1.RegisterWitnessServer(g, w)
	}
	return n
}

func (s *server) byName(kind pluginv1.Kind) map[string]*Component {
	m := make(map[string]*Component)
	for i := range s.components {
		if c := &s.components[i]; c.kind == kind {
			m[c.name] = c
		}
	}
	return m
}
