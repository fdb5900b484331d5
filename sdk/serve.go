package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// stopGrace is how long notifications under way may go on after the host has told the plugin to stop.
const stopGrace = time.Second

// ServeChecker serves one checker: [Serve] with one [Checker].
func ServeChecker[C any](name string, check func(context.Context, Target, C) Result, options ...Option) {
	Serve(Checker(name, check, options...))
}

// ServeNotifier serves one notifier: [Serve] with one [Notifier].
func ServeNotifier[C any](name string, notify func(context.Context, []Event, C) error, options ...Option) {
	Serve(Notifier(name, notify, options...))
}

// Serve is the whole main function of a plugin. It returns when the host tells the plugin to stop. It ends the process
// when the host is gone, and when a component is at fault. Without a host it prints what the plugin takes.
func Serve(components ...Component) {
	s := &server{name: pluginName(os.Args[0], components), components: components}
	if err := s.fault(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if os.Getenv(pluginv1.CookieKey) != pluginv1.CookieValue {
		s.byHand(os.Args[1:])
		return
	}
	setProcessName("vipward-" + s.name)
	if err := holdLifeline(os.Getenv(pluginv1.LifelineEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	exitOnTerm()
	s.serve(os.Stderr)
}

// fault is what makes the components unfit to be served together.
func (s *server) fault() error {
	if len(s.components) == 0 {
		return errors.New("the plugin serves no component")
	}
	seen := make(map[string]bool)
	for i := range s.components {
		c := &s.components[i]
		if err := c.fault(); err != nil {
			return err
		}
		key := c.kind.String() + " " + c.name
		if seen[key] {
			return fmt.Errorf("component %s is there twice", c.name)
		}
		seen[key] = true
	}
	return nil
}

// serve speaks the protocol of go-plugin until the host says stop. logs is the stderr that the host reads; go-plugin puts
// a pipe of its own in the place of [os.Stderr].
func (s *server) serve(logs io.Writer) {
	glue := &glue{server: s, logs: logs}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginv1.ProtocolVersion, MagicCookieKey: pluginv1.CookieKey, MagicCookieValue: pluginv1.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginv1.ProtocolVersion: {"vipward": glue}},
		GRPCServer:       func(o []grpc.ServerOption) *grpc.Server { return grpc.NewServer(o...) },
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: logs, JSONFormat: true}),
	})
	if glue.notifications != nil {
		glue.notifications.wait(stopGrace)
	}
}

// glue is a plugin as go-plugin wants to have it.
type glue struct {
	goplugin.NetRPCUnsupportedPlugin
	server        *server
	logs          io.Writer
	notifications *notifications
}

// GRPCServer registers the services.
func (g *glue) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	g.notifications = register(s, g.server, newLogger(g.logs))
	return nil
}

// GRPCClient is the host's side, which is not here.
func (g *glue) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no host")
}

// holdLifeline ends the process when the other end of the pipe is closed: the host is gone, however it went. No number means
// that the host gave no lifeline.
func holdLifeline(fd string) error {
	if fd == "" {
		return nil
	}
	n, err := strconv.ParseUint(fd, 10, 16)
	if err != nil {
		return fmt.Errorf("%s=%q: %w", pluginv1.LifelineEnv, fd, err)
	}
	syscall.CloseOnExec(int(n))
	f := os.NewFile(uintptr(n), "lifeline")
	go func() {
		_, _ = io.Copy(io.Discard, f)
		os.Exit(0)
	}()
	return nil
}

// exitOnTerm ends the process at SIGTERM in the way in which the lifeline does. SIGINT is the host's: it comes from the
// terminal to both.
func exitOnTerm() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	go func() {
		<-c
		os.Exit(0)
	}()
}

// pluginName is NAME of an executable vipward-plugin-NAME, or else the name of the first component.
func pluginName(executable string, components []Component) string {
	if name, ok := strings.CutPrefix(filepath.Base(executable), "vipward-plugin-"); ok && name != "" {
		return name
	}
	if len(components) > 0 {
		return components[0].name
	}
	return ""
}

// setProcessName names the process for ps and top, since the host starts it by a file descriptor. Best effort.
func setProcessName(name string) {
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
}
