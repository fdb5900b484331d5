package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/pluginhost"
)

// maxShots bounds the orders that wait. A node gives one at a time for each of its peers.
const maxShots = 32

// shots has fencers do what the node orders, the orders about one node one after the other. It never blocks the loop.
type shots struct {
	fence  func(context.Context, pluginhost.FenceCall) pluginhost.Fenced
	report func(node.Fenced)
	orders chan shot

	confirmed, failed, rehearsed atomic.Uint64
}

// shot is an order with the fencers as they were when it was given.
type shot struct {
	node.FenceOrder
	fencers []config.Fencer
}

func newShots(fence func(context.Context, pluginhost.FenceCall) pluginhost.Fenced, report func(node.Fenced)) *shots {
	return &shots{fence: fence, report: report, orders: make(chan shot, maxShots)}
}

// Give takes an order. One that finds no room fails at once.
func (s *shots) Give(o node.FenceOrder, fencers []config.Fencer) {
	select {
	case s.orders <- shot{o, fencers}:
	default:
		s.end(o, guard.FenceResult{Evidence: fmt.Sprintf("%d orders wait already", maxShots)})
	}
}

// run carries orders out until ctx ends, and then waits for those under way to be called off.
func (s *shots) run(ctx context.Context) error {
	serially(ctx, s.orders, func(o shot) string { return o.Node }, func(o shot) { s.end(o.FenceOrder, s.shoot(ctx, o)) })
	return nil
}

// shoot asks the fencers of an order one after the other. All of them must confirm; the first that does not ends it.
func (s *shots) shoot(ctx context.Context, o shot) guard.FenceResult {
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	var said []string
	for _, name := range o.Fencers {
		k := slices.IndexFunc(o.fencers, func(f config.Fencer) bool { return f.Name == name })
		if k < 0 {
			return guard.FenceResult{Evidence: fmt.Sprintf("there is no fencer %s any more", name)}
		}
		r := s.fence(ctx, pluginhost.FenceCall{Fencer: o.fencers[k], Action: pluginhost.FenceOff, Node: o.Node, DryRun: o.DryRun})
		said = append(said, name+": "+r.Evidence)
		if r.Verdict != pluginhost.Confirmed && (!o.DryRun || !r.Rehearsed()) {
			return guard.FenceResult{Evidence: strings.Join(said, "; ")}
		}
	}
	return guard.FenceResult{OK: !o.DryRun, Rehearsed: o.DryRun, Evidence: strings.Join(said, "; ")}
}

// end counts and reports the end of an order.
func (s *shots) end(o node.FenceOrder, r guard.FenceResult) {
	switch {
	case r.OK:
		s.confirmed.Add(1)
	case r.Rehearsed:
		s.rehearsed.Add(1)
	default:
		s.failed.Add(1)
	}
	s.report(node.Fenced{Node: o.Node, ID: o.ID, FenceResult: r})
}

// fence has the fencers do what the node ordered.
func (e *engine) fence(o node.FenceOrder) { e.shots.Give(o, e.config.Load().Fencers) }

// fenced gives the end of an order to the loop.
func (e *engine) fenced(r node.Fenced) { e.loop.Hurry(r, time.Now()) }

// ConfirmFence takes an operator's word that a node is off.
func (e *engine) ConfirmFence(ctx context.Context, name string) (string, error) {
	cfg := e.config.Load()
	if others := othersOf(cfg); !slices.Contains(others, name) || name == cfg.Node.Name {
		return "", control.Unknown("other node", name, others)
	}
	a, err := e.command(ctx, func(id uint64) node.Input { return node.Confirm{Node: name, ID: id} })
	return a.Text, err
}
