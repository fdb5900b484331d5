package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/engine"
	"github.com/vipward/vipward/core/pluginhost"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// newRunCommand is `vipward run`: the daemon, in the foreground.
func newRunCommand(g *globals) *cobra.Command {
	opt := engine.Options{Version: version}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon in the foreground",
		Long: "Run the daemon in the foreground until SIGTERM or SIGINT. SIGHUP reloads the configuration.\n" +
			"At the end it hands its addresses over and leaves nothing behind in the kernel.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			opt.Socket = g.socket
			return run(c.Context(), opt)
		},
	}
	c.Flags().StringVar(&opt.Config, "config", "/etc/vipward", "configuration file, or directory of *.hcl")
	c.Flags().StringVar(&opt.Node, "node", "", "name of this node (the host name)")
	c.Flags().StringVar(&opt.StateDir, "state-dir", "/var/lib/vipward", "directory of what survives a restart")
	c.Flags().StringArrayVar(&opt.PluginDirs, "plugin-dir", nil, "directory of plugins, searched before the usual ones (repeatable)")
	return c
}

func run(ctx context.Context, opt engine.Options) error {
	// A crash is to end by SIGABRT. Otherwise it exits with 2, as wrong usage does, after which systemd does not start us again.
	debug.SetTraceback("crash")
	if opt.Node == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("read the host name: %w; give the node's name with --node", err)
		}
		opt.Node = name
	}
	dirs, err := pluginDirs(opt.PluginDirs)
	if err != nil {
		return err
	}
	opt.PluginDirs = dirs
	if opt.Reattach, err = reattach(); err != nil {
		return err
	}
	stop, done := make(chan struct{}), make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGTERM, syscall.SIGINT)
	mark := endMark(opt.Socket)
	_ = os.Remove(mark) // of one that died
	go func() {
		<-done
		if err := os.WriteFile(mark, nil, 0o600); err != nil {
			slog.Warn("if this daemon dies before its end, what it leaves stays", "error", err)
		}
		close(stop)
	}()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	goodbye := startGuardian(opt.Socket)
	err = engine.Run(ctx, opt, engine.Signals{Stop: stop, Reload: reload})
	_ = os.Remove(mark) // it is there only after a signal
	if _, none := errors.AsType[*engine.NotStarted](err); err == nil || none {
		goodbye()
	}
	invalid, ok := errors.AsType[*control.ConfigError](err)
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w; the daemon runs as root, or with the capabilities that its unit grants", err)
	}
	if ok {
		return invalidConfig(invalid.Diagnostics)
	}
	return err
}

// pluginDirs are the directories given, and the usual ones.
func pluginDirs(given []string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return append(given, pluginhost.DefaultDirs(self)...), nil
}

// reattach are the plugins that a developer runs by hand: see VIPWARD_REATTACH_PLUGINS.
func reattach() (map[string]pluginv1.Reattach, error) {
	plugins, err := pluginhost.ParseReattach(os.Getenv(pluginv1.ReattachEnv))
	if err != nil {
		return nil, usageError(err)
	}
	return plugins, nil
}
