package engine

import (
	"context"
	"errors"
	"net"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/kernel"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/pluginhost"
)

// pluginLimit bounds the loading of a configuration: plugins have to start and answer.
const pluginLimit = 30 * time.Second

// reloads lets one reload at a time happen.
type reloads struct{ sync.Mutex }

func (e *engine) load(ctx context.Context, path string) (*config.Config, config.Diagnostics) {
	ctx, cancel := context.WithTimeout(ctx, pluginLimit)
	defer cancel()
	cfg, diags := config.Load(ctx, path, config.Options{Node: e.opt.Node, Plugins: e.plugins, Environ: os.LookupEnv, Scheduler: kernel.MissingScheduler})
	if cfg != nil {
		g := &cfg.Node.Guard
		g.Boot, g.Version, g.ConfigHash = e.boot, e.opt.Version, cfg.Hash
	}
	return cfg, diags
}

// Reload is a transaction: everything that can fail comes first, and changes nothing; what follows cannot fail.
func (e *engine) Reload(ctx context.Context, path string) (control.Reloaded, error) {
	e.reloads.Lock()
	defer e.reloads.Unlock()
	if path == "" {
		path = e.opt.Config
	}
	notifyReloading(e.log)
	defer notify(e.log, stateReady)
	cfg, diags := e.load(ctx, path)
	if diags.HasErrors() {
		e.emit(event.Event{
			Code: "config.refused", Severity: event.Warning, Kind: event.Daemon, Subject: path, Reason: diags.Err().Error(),
		})
		return control.Reloaded{}, &control.ConfigError{Diagnostics: diags}
	}
	old := e.config.Load()
	if err := e.enforce(ctx, old, cfg); err != nil {
		return control.Reloaded{}, err
	}
	e.opt.Config = path
	return control.Reloaded{ConfigHash: cfg.Hash, Changed: cfg.Hash != old.Hash, Warnings: diags}, nil
}

// enforce puts a configuration in the place of another, or leaves everything as it was: the listener is opened first and used
// last, and the log goes back where the loop does not take the rest.
func (e *engine) enforce(ctx context.Context, old, cfg *config.Config) error {
	move := cfg.Listen != old.Listen
	var listener net.Listener
	if move {
		var err error
		if listener, err = e.listener.prepare(cfg.Listen); err != nil {
			return err
		}
	}
	err := e.relog(old.Log, cfg.Log)
	if err == nil {
		if err = e.adopt(ctx, cfg); err != nil {
			err = errors.Join(err, e.relog(cfg.Log, old.Log))
		}
	}
	if err != nil {
		if listener != nil {
			err = errors.Join(err, listener.Close())
		}
		return err
	}
	if move {
		e.listener.use(listener)
	}
	return nil
}

func (e *engine) relog(from, to config.Log) error {
	if from == to {
		return nil
	}
	return e.journal.set(to)
}

// adopt puts a configuration in force: sockets before the routers that use them, checks after their targets are known.
func (e *engine) adopt(ctx context.Context, cfg *config.Config) error {
	old := e.config.Load()
	cfg.Node = node.Reuse(old.Node, cfg.Node, func(a, b node.Service) bool { return reflect.DeepEqual(a, b) })
	e.wire.Set(ports(old, cfg))
	err := e.loop.Call(ctx, func(now time.Time) node.Output {
		e.config.Store(cfg)
		out := e.loop.node.Configure(now, cfg.Node)
		if cfg.Hash != old.Hash {
			out.Events = append(out.Events, event.Event{
				Code: "config.loaded", Severity: event.Info, Kind: event.Daemon, Subject: cfg.Hash, From: old.Hash, To: cfg.Hash,
			})
		}
		return out
	})
	if err != nil {
		e.wire.Set(ports(old))
		return err
	}
	e.wire.Set(ports(cfg))
	e.beats.Set(paths(cfg))
	e.outbox.Set(cfg.Notifiers)
	e.plugins.Apply(cfg.Plugins, cfg.Checks, cfg.Notifiers, pluginhost.Uses(cfg)...)
	e.fencers.Set(cfg)
	return nil
}

// onSignals reloads for each signal. What is wrong with the file is logged, since nobody waits for an answer.
func (e *engine) onSignals(ctx context.Context, reload <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-reload:
		}
		if _, err := e.Reload(ctx, ""); err != nil {
			e.log.Error("the reload was refused; everything goes on as before", "error", err)
		}
	}
}
