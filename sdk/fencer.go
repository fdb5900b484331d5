package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// maxFence bounds a call of a fencer whose host gave no deadline. Power controllers take seconds, seldom a minute.
const maxFence = 2 * time.Minute

// FenceTarget is what one call of a fencer is about.
type FenceTarget struct {
	// Node is the name of the node in the configuration of vipward. What it is called at the device, the fencer's own
	// configuration says.
	Node string
	// DryRun asks for everything but the effect: reach the device, log in, look, and say with [Confirmed] what would have been
	// done. Nothing may be switched. Whatever is confirmed in a dry run reaches the host as unknown.
	DryRun bool
}

// FenceResult is what became of a call. Make it with [Confirmed], [Failed] or [Unknown]; the zero value is unknown.
type FenceResult struct {
	verdict pluginv1.FenceResponse_Verdict
	text    string
}

// Confirmed says that what was asked for is so, and how that is known: "outlet 7 reads off". The evidence is for the operator
// and for the log; without any, the result is unknown.
func Confirmed(evidence string) FenceResult {
	return FenceResult{verdict: pluginv1.FenceResponse_CONFIRMED, text: evidence}
}

// Failed says that what was asked for is surely not so: the device refused, or reads otherwise. A nil error is unknown.
func Failed(err error) FenceResult {
	if err == nil {
		return Unknown(errors.New("the fencer failed without an error"))
	}
	return FenceResult{verdict: pluginv1.FenceResponse_FAILED, text: err.Error()}
}

// Unknown says that nobody can say: the device did not answer, or not in time. It never counts as fenced.
func Unknown(err error) FenceResult {
	if err == nil {
		err = errors.New("the fencer cannot tell")
	}
	return FenceResult{text: err.Error()}
}

// Verdict is "confirmed", "failed" or "unknown".
func (r FenceResult) Verdict() string { return strings.ToLower(r.verdict.String()) }

// String is the result as one line: "confirmed: outlet 7 reads off".
func (r FenceResult) String() string {
	if r.text == "" {
		return r.Verdict()
	}
	return r.Verdict() + ": " + r.text
}

// Fence is what a fencer can do, each by one function. One that is missing answers unknown.
type Fence[C any] struct {
	// Off takes the power or the network away from the node, and confirms only what it has read back.
	Off func(context.Context, FenceTarget, C) FenceResult
	// On gives it back.
	On func(context.Context, FenceTarget, C) FenceResult
	// Status confirms that the node is off now, fails where it is on, and changes nothing.
	Status func(context.Context, FenceTarget, C) FenceResult
}

func (f Fence[C]) action(a pluginv1.FenceRequest_Action) func(context.Context, FenceTarget, C) FenceResult {
	switch a {
	case pluginv1.FenceRequest_OFF:
		return f.Off
	case pluginv1.FenceRequest_ON:
		return f.On
	case pluginv1.FenceRequest_STATUS:
		return f.Status
	}
	return nil
}

// fenceCall is a call on its way to the author's function.
type fenceCall struct {
	action pluginv1.FenceRequest_Action
	target FenceTarget
}

// Fencer makes a component of functions that take the power or the network away from a node. For one configuration they are
// called one at a time, with a context that ends at the deadline. Open and Close of the configuration are called around
// each call. A panic, a deadline that has passed and a missing function are unknown, never confirmed.
func Fencer[C any](name string, f Fence[C], options ...Option) Component {
	c := newComponent[C](pluginv1.Kind_FENCER, name, options)
	c.fence = func(raw []byte) bound[fenceCall, FenceResult] {
		config := newConfig[C](raw)
		return bound[fenceCall, FenceResult]{close: config.close, call: func(ctx context.Context, call fenceCall) FenceResult {
			act := f.action(call.action)
			if act == nil {
				return Unknown(fmt.Errorf("the fencer has no action %s", strings.ToLower(call.action.String())))
			}
			value, err := config.open(ctx)
			if err != nil {
				return Unknown(fmt.Errorf("configuration: %w", err))
			}
			return act(ctx, call.target, value)
		}}
	}
	return c
}

// ServeFencer serves one fencer: [Serve] with one [Fencer].
func ServeFencer[C any](name string, f Fence[C], options ...Option) {
	Serve(Fencer(name, f, options...))
}

// fences serves the fencers of a plugin.
type fences struct {
	pluginv1.UnimplementedFencerServer
	components map[string]*Component
	log        *slog.Logger

	mu   sync.Mutex
	busy map[string]chan struct{} // by component and configuration: closed when the call has returned
}

// Fence makes one call. It fails as an RPC only for a component that there is not.
func (f *fences) Fence(ctx context.Context, r *pluginv1.FenceRequest) (*pluginv1.FenceResponse, error) {
	c, ok := f.components[r.GetComponent()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no fencer %q in this plugin", r.GetComponent())
	}
	ctx, cancel := context.WithTimeout(ctx, maxFence)
	defer cancel()
	call := fenceCall{r.GetAction(), FenceTarget{Node: r.GetNode(), DryRun: r.GetDryRun()}}
	ctx = withLogger(ctx, f.log.With("component", c.name, "target", r.GetNode()))
	return f.call(ctx, c, r.GetConfigJson(), call).proto(call), nil
}

// call waits for its turn and for the result, both no longer than ctx. A function that ignores the end of ctx goes on and keeps
// its turn: two hands on one switch are worse than none.
func (f *fences) call(ctx context.Context, c *Component, raw []byte, call fenceCall) FenceResult {
	done, err := f.turn(ctx, c.name+"\x00"+string(raw))
	if err != nil {
		return Unknown(fmt.Errorf("an earlier call has not returned: %w", err))
	}
	results := make(chan FenceResult, 1)
	go func() {
		defer done()
		results <- contained(f.log, "fencer", c.fence, Unknown)(ctx, raw, call)
	}()
	select {
	case r := <-results:
		if ctx.Err() != nil && r.verdict == pluginv1.FenceResponse_CONFIRMED {
			return Unknown(fmt.Errorf("too late: %s", r.text))
		}
		return r
	case <-ctx.Done():
		return Unknown(ctx.Err())
	}
}

// turn waits until no call with this key is under way, and takes the turn until done is called.
func (f *fences) turn(ctx context.Context, key string) (done func(), err error) {
	for {
		f.mu.Lock()
		earlier := f.busy[key]
		if earlier == nil {
			mine := make(chan struct{})
			f.busy[key] = mine
			f.mu.Unlock()
			return func() { f.release(key, mine) }, nil
		}
		f.mu.Unlock()
		select {
		case <-earlier:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fences) release(key string, mine chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, key)
	close(mine)
}

// proto is the result as it travels. What is confirmed without evidence, or in a dry run, is unknown.
func (r FenceResult) proto(call fenceCall) *pluginv1.FenceResponse {
	if r.verdict == pluginv1.FenceResponse_CONFIRMED {
		switch {
		case strings.TrimSpace(r.text) == "":
			r = Unknown(errors.New("confirmed without evidence"))
		case call.target.DryRun && call.action != pluginv1.FenceRequest_STATUS:
			r = Unknown(fmt.Errorf("dry run: %s", r.text))
		}
	}
	return &pluginv1.FenceResponse{Verdict: r.verdict, Evidence: clean(r.text, maxReason)}
}
