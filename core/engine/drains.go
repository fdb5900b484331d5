package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
)

const (
	maxDrains = 16 << 20 // bytes of the file
	// drainEvery is how often the connections of drained servers are looked at.
	drainEvery = time.Second
	// drainLeast is how long a drain takes at least: a connection that is being made counts as inactive for a round trip.
	drainLeast = 2 * time.Second
)

// drains keeps on the disk which real servers are drained. Unlike what checks have found, an operator's word is not to be lost: it
// is on the disk before it is answered.
type drains struct {
	path string
	left []node.Drained // by a former run

	mu   sync.Mutex // held over a whole command, so that the file is that of the last one
	last []node.Drained
}

// drainFile is the form of the file.
type drainFile struct {
	Version int          `json:"version"` // 1
	Drains  []drainEntry `json:"drains"`
}

type drainEntry struct {
	Service string         `json:"service"`
	Server  netip.AddrPort `json:"real_server"`
	Since   time.Time      `json:"since"`
}

// newDrains reads what a former run has left. That is done before anything else runs: a command holds the lock while it waits for the
// loop, and the loop begins with this.
func newDrains(path string, log *slog.Logger) *drains {
	all, err := readDrains(path)
	if err != nil {
		log.Error("which real servers were drained is lost; they take connections again unless they are drained once more", "error", err)
	}
	return &drains{path: path, left: slices.Clone(all), last: all}
}

func readDrains(path string) ([]node.Drained, error) {
	var file drainFile
	if err := readState(path, maxDrains, &file, &file.Version); err != nil || file.Drains == nil {
		return nil, err
	}
	out := make([]node.Drained, len(file.Drains))
	for i, e := range file.Drains {
		out[i] = node.Drained(e)
	}
	return out, nil
}

// keep writes the file if anything has changed. The caller holds mu.
func (d *drains) keep(now []node.Drained) error {
	if slices.Equal(now, d.last) {
		return nil
	}
	file := drainFile{Version: stateVersion, Drains: make([]drainEntry, len(now))}
	for i, e := range now {
		e.Since = e.Since.Round(0) // the monotonic clock is not kept
		file.Drains[i] = drainEntry(e)
	}
	if err := writeState(d.path, maxDrains, file, true); err != nil {
		return fmt.Errorf("keep which real servers are drained: %w", err)
	}
	d.last = slices.Clone(now)
	return nil
}

// Drain takes a real server out.
func (e *engine) Drain(ctx context.Context, r control.DrainRequest) (control.DrainState, error) {
	return e.drain(ctx, r, false)
}

// Undrain puts it back.
func (e *engine) Undrain(ctx context.Context, r control.DrainRequest) (control.DrainState, error) {
	return e.drain(ctx, r, true)
}

// drain judges the command, writes to the disk what follows from it, and then does it.
func (e *engine) drain(ctx context.Context, r control.DrainRequest, undo bool) (control.DrainState, error) {
	server, err := netip.ParseAddrPort(r.RealServer)
	if err != nil {
		return control.DrainState{}, fmt.Errorf("%w: %w", control.ErrRequest, err)
	}
	in := node.Drain{Service: r.Service, Server: server, Undo: undo, Force: r.Force}
	e.drains.mu.Lock()
	defer e.drains.mu.Unlock()
	var after []node.Drained
	var refused error
	judge := func(now time.Time) node.Output {
		after, refused = e.loop.node.DrainsAfter(now, in)
		return node.Output{}
	}
	if err := e.loop.Call(ctx, judge); err != nil {
		return control.DrainState{}, fmt.Errorf("the daemon did not take the command: %w", err)
	}
	if refused != nil {
		return control.DrainState{}, refused
	}
	if err := e.drains.keep(after); err != nil {
		return control.DrainState{}, fmt.Errorf("%w; nothing was changed", err)
	}
	var answer node.Answer
	var snapshot *node.Snapshot
	do := func(now time.Time) node.Output {
		out := e.loop.node.Step(now, in)
		answer, out.Answers = out.Answers[0], nil
		after, snapshot = e.loop.node.Drains(), e.loop.node.Snapshot(now)
		return out
	}
	if err := e.loop.Call(ctx, do); err != nil {
		return control.DrainState{}, fmt.Errorf("the daemon did not take the command: %w", err)
	}
	kept := e.drains.keep(after) // as judged, unless something came between
	if err := errors.Join(answer.Err, kept); err != nil {
		return control.DrainState{}, err
	}
	state, err := e.drainStateIn(snapshot, r.Service, server)
	state.Text = answer.Text
	return state, err
}

// DrainState looks a server up in the latest snapshot.
func (e *engine) DrainState(service string, server netip.AddrPort) (control.DrainState, error) {
	return e.drainStateIn(e.loop.Snapshot(), service, server)
}

func (e *engine) drainStateIn(s *node.Snapshot, service string, server netip.AddrPort) (control.DrainState, error) {
	traffic, at := e.services.StatsAt()
	for _, v := range s.Services {
		if v.Config.Name != service {
			continue
		}
		for _, r := range v.RealServers {
			if r.Address.Address == server {
				return drainState(v.Config, r, traffic, at), nil
			}
		}
	}
	return control.DrainState{}, fmt.Errorf("%w: %s has no real_server %v", node.ErrNotFound, service, server)
}

// drainState is how far a drain is, by what was counted at an instant.
func drainState(v node.Service, r node.RealServerStatus, traffic node.Traffic, at time.Time) control.DrainState {
	c := traffic.Server(v, r.Address)
	s := control.DrainState{
		Service: v.Name, RealServer: r.Address.Address, Drained: r.Drained,
		ActiveConnections: c.Active, InactiveConnections: c.Inactive,
	}
	if !r.Drained {
		return s
	}
	since := r.Since.UTC().Round(time.Millisecond)
	s.Since = &since
	open := c.Active
	if !ends(v) {
		open += c.Inactive
	}
	s.Done = open == 0 && at.Sub(r.Since) >= drainLeast
	return s
}

// ends tells whether the end of a connection of the service can be seen, so that inactive ones are those that have ended.
func ends(v node.Service) bool {
	p := v.Service.Protocol
	if p == "" && len(v.Markings) > 0 {
		p = v.Markings[0].Protocol
	}
	return p == desired.TCP || p == desired.SCTP
}

// watchDrains tells of each drained server once when its connections have ended, and forgets on the disk what a configuration has
// removed.
func (e *engine) watchDrains(ctx context.Context) error {
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	var kept *config.Config
	told := map[node.Drained]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		cfg := e.config.Load()
		if len(cfg.Node.Services) > 0 {
			traffic, at := e.services.StatsAt()
			if s := e.loop.Snapshot(); s != nil {
				told = e.tellDrained(s, traffic, at, told)
			}
		}
		if cfg != kept {
			kept = cfg
			e.keepDrains(ctx)
		}
	}
}

// tellDrained gives back what was told of those that are drained now. What a former run has drained is no news.
func (e *engine) tellDrained(s *node.Snapshot, traffic node.Traffic, at time.Time, told map[node.Drained]bool) map[node.Drained]bool {
	now := map[node.Drained]bool{}
	for _, v := range s.Services {
		for _, r := range v.RealServers {
			d := node.Drained{Service: v.Config.Name, Server: r.Address.Address, Since: r.Since}
			switch {
			case !r.Drained:
			case told[d], r.Since.Before(e.started):
				now[d] = true
			case drainState(v.Config, r, traffic, at).Done:
				now[d] = true
				e.emit(event.Event{
					Code: "real_server.drained", Severity: event.Info, Kind: event.RealServer, Subject: d.Server.String(), Service: d.Service,
					Reason: "it is drained, and its connections have ended",
				})
			}
		}
	}
	return now
}

// keepDrains brings the file to what is so.
func (e *engine) keepDrains(ctx context.Context) {
	e.drains.mu.Lock()
	defer e.drains.mu.Unlock()
	var now []node.Drained
	if err := e.loop.Call(ctx, func(time.Time) node.Output { now = e.loop.node.Drains(); return node.Output{} }); err != nil {
		return // ctx has ended
	}
	if err := e.drains.keep(now); err != nil {
		e.log.Warn("after a restart, real servers may be drained that are not now", "error", err)
	}
}
