package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Verdict is what a fencer says of a call.
type Verdict string

// The verdicts. Only Confirmed means that what was asked for is so; Unknown is never taken for it.
const (
	Confirmed Verdict = "confirmed"
	Failed    Verdict = "failed"
	Unknown   Verdict = "unknown"
)

// Action is what a fencer is asked for.
type Action string

// The actions.
const (
	// FenceStatus asks whether the node is off: Confirmed for off, Failed for on. It changes nothing.
	FenceStatus Action = "status"
	// FenceOff takes the power or the network away from the node.
	FenceOff Action = "off"
	// FenceOn gives it back.
	FenceOn Action = "on"
)

// FenceCall is one call of a fencer.
type FenceCall struct {
	Fencer config.Fencer
	Action Action
	// Node is the name of the node that the call is about.
	Node string
	// DryRun asks for everything but the effect.
	DryRun bool
}

// Fenced is the answer of a fencer.
type Fenced struct {
	Verdict Verdict
	// Evidence says how the verdict is known, or why it is not.
	Evidence string
}

// rehearsed is how the SDK begins the evidence of a dry run that would have been confirmed.
const rehearsed = "dry run: "

// Rehearsed tells whether a dry run came as far as a real call would: the device answered, and nothing was in the way.
func (f Fenced) Rehearsed() bool {
	return f.Verdict == Unknown && strings.HasPrefix(f.Evidence, rehearsed)
}

// looks tells whether the call only looks, and changes nothing.
func (c FenceCall) looks() bool { return c.DryRun || c.Action == FenceStatus }

// Fence has a fencer that Apply asked for do something, and waits for the answer no longer than its timeout and ctx. Calls about
// one node come one after the other, as do those of one fencer, and the time of waiting counts; a call that only looks is called
// off by one that switches. Whatever keeps the fencer from answering is unknown.
func (h *Host) Fence(ctx context.Context, c FenceCall) Fenced {
	ctx, cancel := context.WithTimeout(ctx, c.Fencer.Timeout)
	defer cancel()
	r, err := h.fence(ctx, c, cancel)
	switch {
	case err != nil:
		return Fenced{Unknown, fmt.Sprintf("fencer %s: %v", c.Fencer.Name, err)}
	case ctx.Err() != nil && r.Verdict == Confirmed:
		return Fenced{Unknown, "too late: " + r.Evidence}
	}
	return r
}

func (h *Host) fence(ctx context.Context, c FenceCall, cancel func()) (Fenced, error) {
	h.mu.Lock()
	p := h.applied[c.Fencer.Kind]
	h.mu.Unlock()
	if p == nil {
		return Fenced{}, fmt.Errorf("plugin %s is not in use", c.Fencer.Kind)
	}
	action, ok := map[Action]pluginv1.FenceRequest_Action{
		FenceStatus: pluginv1.FenceRequest_STATUS, FenceOff: pluginv1.FenceRequest_OFF, FenceOn: pluginv1.FenceRequest_ON,
	}[c.Action]
	if !ok {
		return Fenced{}, fmt.Errorf("there is no action %q", c.Action)
	}
	giveWay := cancel
	if !c.looks() {
		giveWay = nil
	}
	for _, key := range []string{"node " + c.Node, "fencer " + c.Fencer.Name} { // always in this order, so that no two wait for each other
		done, err := h.fencing.turn(ctx, key, giveWay)
		if err != nil {
			return Fenced{}, errors.New("an earlier call of it, or about this node, has not ended")
		}
		defer done()
	}
	s, err := p.await(ctx)
	if err != nil {
		return Fenced{}, err
	}
	defer s.calls.Done()
	r, err := pluginv1.NewFencerClient(s.conn).Fence(ctx, &pluginv1.FenceRequest{
		Component: c.Fencer.Kind, ConfigJson: c.Fencer.Config, Action: action, Node: text(c.Node), DryRun: c.DryRun,
	})
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Fenced{}, errors.New("called off")
	case err != nil && ctx.Err() != nil:
		return Fenced{}, fmt.Errorf("no answer within %v", c.Fencer.Timeout)
	case err != nil:
		return Fenced{}, rpcError(err)
	}
	return fenced(r, c), nil
}

// fenced is an answer as the host takes it: what is confirmed without evidence, or in a dry run, is unknown.
func fenced(r *pluginv1.FenceResponse, c FenceCall) Fenced {
	f := Fenced{Unknown, shorten(strings.TrimSpace(r.GetEvidence()))}
	switch r.GetVerdict() {
	case pluginv1.FenceResponse_FAILED:
		f.Verdict = Failed
	case pluginv1.FenceResponse_CONFIRMED:
		switch {
		case f.Evidence == "":
			f.Evidence = "confirmed without evidence"
		case c.DryRun && c.Action != FenceStatus:
			f.Evidence = rehearsed + f.Evidence
		default:
			f.Verdict = Confirmed
		}
	}
	return f
}

// turns lets one call at a time happen for each key. The zero value is ready.
type turns struct {
	mu   sync.Mutex
	busy map[string]*turn
}

// turn is a call that is under way.
type turn struct {
	ended   chan struct{}
	giveWay func() // nil for a call that does not
}

// turn waits until nothing with this key is under way, and takes the turn until done is called. A call that does not give way
// itself has the one before do so.
func (t *turns) turn(ctx context.Context, key string, giveWay func()) (done func(), err error) {
	for {
		t.mu.Lock()
		earlier := t.busy[key]
		if earlier == nil {
			mine := &turn{make(chan struct{}), giveWay}
			if t.busy == nil {
				t.busy = map[string]*turn{}
			}
			t.busy[key] = mine
			t.mu.Unlock()
			return func() { t.release(key, mine) }, nil
		}
		t.mu.Unlock()
		if giveWay == nil && earlier.giveWay != nil {
			earlier.giveWay()
		}
		select {
		case <-earlier.ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turns) release(key string, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, key)
	close(mine.ended)
}
