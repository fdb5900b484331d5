package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"google.golang.org/grpc"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// byHand is what a plugin does that nobody but its author or an operator has started: it explains itself, or with --debug waits
// for a host.
func (s *server) byHand(args []string) {
	if !slices.Contains(args, "--debug") {
		s.help(os.Stdout)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := s.debug(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// debug serves without a host until ctx ends, and prints on out the variable by which a host finds it.
func (s *server) debug(ctx context.Context, out, logs io.Writer) error {
	dir, err := os.MkdirTemp("", "vipward-debug-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "plugin"))
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]pluginv1.Reattach{s.name: {
		Protocol: "grpc", ProtocolVersion: pluginv1.ProtocolVersion, Pid: os.Getpid(), Test: true,
		Addr: pluginv1.Addr{Network: "unix", String: l.Addr().String()},
	}})
	if err != nil {
		return err
	}
	g := grpc.NewServer()
	register(g, s, newLogger(logs))
	defer context.AfterFunc(ctx, g.Stop)()
	fmt.Fprintf(out, "%s is ready for a debugger. Start vipward run or vipward validate with this variable:\n\n%s='%s'\n\n",
		s.name, pluginv1.ReattachEnv, text)
	return g.Serve(l)
}

// Register adds the services of some components to a gRPC server, as [Serve] does, for tests in one process: see the package
// plugintest. What the components log goes to logs as JSON lines. It fails where Serve would refuse them.
func Register(g *grpc.Server, logs io.Writer, components ...Component) error {
	s := &server{name: pluginName("", components), components: components}
	if err := s.fault(); err != nil {
		return err
	}
	register(g, s, newLogger(logs))
	return nil
}
