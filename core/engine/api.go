package engine

import (
	"context"
	"time"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/metrics"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/pluginhost"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Status is the present state, from the loop's latest snapshot.
func (e *engine) Status() control.Status {
	cfg := e.config.Load()
	return control.Render(e.loop.Snapshot(), control.Extra{
		Version: e.opt.Version, Hash: cfg.Hash, Started: e.started, Now: time.Now(),
		Plugins: e.pluginStatus(), Fencers: e.fencers.status(), Traffic: e.traffic(),
	})
}

func (e *engine) pluginStatus() []control.Plugin {
	var out []control.Plugin
	for _, s := range e.plugins.Status() {
		out = append(out, control.Plugin{
			Name: s.Name, Kind: s.Kind, State: string(s.State), PID: s.PID, Restarts: s.Restarts, Version: s.Version, Reason: s.Reason,
		})
	}
	return out
}

// traffic is what IPVS counts; nothing where it does not answer.
func (e *engine) traffic() node.Traffic { return e.services.Stats() }

// Progress is when the loop last went round.
func (e *engine) Progress() time.Time { return time.Unix(0, e.loop.progress.Load()) }

// Failover hands an instance over and waits for the result.
func (e *engine) Failover(ctx context.Context, instance string) (text string, took time.Duration, err error) {
	a, err := e.command(ctx, func(id uint64) node.Input { return node.Failover{Instance: instance, ID: id} })
	return a.Text, a.Took, err
}

// ReloadPlugin replaces the process of a plugin.
func (e *engine) ReloadPlugin(ctx context.Context, name string) error {
	return e.plugins.Reload(ctx, name)
}

func pluginMetrics(p pluginhost.Status) metrics.Plugin {
	out := metrics.Plugin{
		Name: p.Name, Kind: p.Kind, Up: p.State == pluginhost.Running, Restarts: p.Restarts, Dropped: p.Dropped, Refused: p.Refused,
	}
	if p.Kind == "checker" {
		out.Checks = &metrics.Checks{
			Targets: p.Checks.Targets, Stuck: p.Checks.Stuck, Runs: p.Checks.Runs, Lost: p.Checks.Lost,
			Late: p.Checks.Late, LateBounds: pluginv1.LateClasses(), LateSum: p.Checks.LateSum,
		}
	}
	return out
}

// metricsState is what a scrape shows.
func (e *engine) metricsState() metrics.State {
	cfg := e.config.Load()
	s := metrics.State{
		Snapshot: e.loop.Snapshot(), Now: time.Now(), Progress: e.Progress(), Version: e.opt.Version, Hash: cfg.Hash,
		Traffic:     e.traffic(),
		LoopDropped: e.loop.dropped.Load(), WireDropped: map[string]uint64{}, SchedulerLate: e.loop.late.Load(), FollowersCut: e.ring.Cut(),
	}
	for _, p := range e.plugins.Status() {
		s.Plugins = append(s.Plugins, pluginMetrics(p))
	}
	s.Fencers = e.fencers.metrics()
	s.Witnesses = e.witnesses.metrics()
	s.Fences = map[string]uint64{
		"confirmed": e.shots.confirmed.Load(), "failed": e.shots.failed.Load(), "rehearsed": e.shots.rehearsed.Load(),
	}
	for _, q := range e.outbox.Stats() {
		s.Outbox = append(s.Outbox, metrics.Queue(q))
	}
	s.OutboxUnsaved = e.outbox.Unsaved()
	for _, w := range e.wire.Stats() {
		s.WireDropped[w.Interface] += w.SendErrors
	}
	s.Beats = map[string]map[string]uint64{}
	for _, b := range e.beats.Stats() {
		s.Beats[b.Name] = map[string]uint64{
			"sent": b.Sent, "unsent": b.SendErrors, "received": b.Received, "forwarded": b.Forwarded, "dropped": b.Drops, "refused": b.Refused,
		}
	}
	n := e.neighbours.Stats()
	s.Neighbours = map[string]uint64{
		"asked": n.Asked, "unasked": n.Unasked, "seen": n.Seen, "folded": n.Folded, "limited": n.Limited, "dropped": n.Drops,
	}
	return s
}
