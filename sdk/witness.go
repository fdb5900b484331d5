package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// maxAsk bounds a call of a witness whose host gave no deadline.
const maxAsk = 30 * time.Second

// Claim is what one call of a witness is about.
type Claim struct {
	// Name of what is claimed: the same for all nodes of a pair.
	Name string
	// Node that claims it.
	Node string
	// TTL is how long the grant is to last. The host counts it from before it asked: the witness must not give the same claim to
	// another node earlier than this time after it was asked.
	TTL time.Duration
}

// Grant is what a witness says. Make it with [Granted], [Refused] or [Unanswered]; the zero value is no answer.
type Grant struct {
	verdict        pluginv1.WitnessResponse_Verdict
	holder, reason string
}

// Granted says that the node has the grant for the time that it asked for; of a release, that it does not have it any more.
func Granted() Grant { return Grant{verdict: pluginv1.WitnessResponse_GRANTED} }

// Refused says that another node has it. The holder's name may be unknown.
func Refused(holder string) Grant {
	return Grant{verdict: pluginv1.WitnessResponse_REFUSED, holder: holder}
}

// Unanswered says that nobody can say, and why: the witness did not answer, or not in time. What the host does then, it has been
// configured to do.
func Unanswered(err error) Grant {
	if err == nil {
		err = errors.New("the witness does not answer")
	}
	return Grant{reason: err.Error()}
}

// Verdict is "granted", "refused" or "unknown".
func (g Grant) Verdict() string { return strings.ToLower(g.verdict.String()) }

// String is the grant as one line: "refused: lb2 has it".
func (g Grant) String() string {
	switch {
	case g.reason != "":
		return g.Verdict() + ": " + g.reason
	case g.holder != "":
		return g.Verdict() + ": " + g.holder + " has it"
	}
	return g.Verdict()
}

// Witness is what a witness can do, each by one function.
type Witness[C any] struct {
	// Acquire gives the claim to the node, or renews it, unless another node has it.
	Acquire func(context.Context, Claim, C) Grant
	// Release takes it back from the node. It is granted also where the node does not have it, and refused where another one has.
	Release func(context.Context, Claim, C) Grant
}

// askCall is a call on its way to the author's function.
type askCall struct {
	release bool
	claim   Claim
}

// WitnessOf makes a component of functions that say which node may hold something. They are called from many goroutines at once,
// for one claim never twice at a time, with a context that ends at the deadline. Open and Close of the configuration are called
// around each call. A panic, a deadline that has passed and a missing function are no answer.
func WitnessOf[C any](name string, w Witness[C], options ...Option) Component {
	c := newComponent[C](pluginv1.Kind_WITNESS, name, options)
	c.ask = func(raw []byte) bound[askCall, Grant] {
		config := newConfig[C](raw)
		return bound[askCall, Grant]{close: config.close, call: func(ctx context.Context, call askCall) Grant {
			act, what := w.Acquire, "Acquire"
			if call.release {
				act, what = w.Release, "Release"
			}
			if act == nil {
				return Unanswered(errors.New("the witness has no " + what))
			}
			value, err := config.open(ctx)
			if err != nil {
				return Unanswered(fmt.Errorf("configuration: %w", err))
			}
			return act(ctx, call.claim, value)
		}}
	}
	return c
}

// ServeWitness serves one witness: [Serve] with one [WitnessOf].
func ServeWitness[C any](name string, w Witness[C], options ...Option) {
	Serve(WitnessOf(name, w, options...))
}

// witnesses serves the witnesses of a plugin.
type witnesses struct {
	pluginv1.UnimplementedWitnessServer
	components map[string]*Component
	log        *slog.Logger
}

// Acquire makes one call. It fails as an RPC only for a component that there is not.
func (w *witnesses) Acquire(ctx context.Context, r *pluginv1.WitnessRequest) (*pluginv1.WitnessResponse, error) {
	return w.serve(ctx, r, false)
}

// Release makes one call, as Acquire does.
func (w *witnesses) Release(ctx context.Context, r *pluginv1.WitnessRequest) (*pluginv1.WitnessResponse, error) {
	return w.serve(ctx, r, true)
}

func (w *witnesses) serve(ctx context.Context, r *pluginv1.WitnessRequest, release bool) (*pluginv1.WitnessResponse, error) {
	c, ok := w.components[r.GetComponent()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no witness %q in this plugin", r.GetComponent())
	}
	ctx, cancel := context.WithTimeout(ctx, maxAsk)
	defer cancel()
	call := askCall{release, Claim{Name: r.GetClaim(), Node: r.GetNode(), TTL: r.GetTtl().AsDuration()}}
	if call.claim.Name == "" || call.claim.Node == "" || !release && call.claim.TTL <= 0 {
		return Unanswered(errors.New("the claim has no name, no node or no time")).proto(), nil
	}
	ctx = withLogger(ctx, w.log.With("component", c.name, "target", r.GetClaim()))
	return w.call(ctx, c, r.GetConfigJson(), call).proto(), nil
}

// call waits for the result no longer than ctx. What a function that ignores the end of ctx finds later is lost: the grant ends by
// itself.
func (w *witnesses) call(ctx context.Context, c *Component, raw []byte, call askCall) Grant {
	results := make(chan Grant, 1)
	go func() { results <- contained(w.log, "witness", c.ask, Unanswered)(ctx, raw, call) }()
	select {
	case g := <-results:
		if ctx.Err() != nil && g.verdict == pluginv1.WitnessResponse_GRANTED {
			return Unanswered(errors.New("the grant came too late"))
		}
		return g
	case <-ctx.Done():
		return Unanswered(ctx.Err())
	}
}

// proto is the grant as it travels.
func (g Grant) proto() *pluginv1.WitnessResponse {
	return &pluginv1.WitnessResponse{Verdict: g.verdict, Holder: clean(g.holder, maxReason), Reason: clean(g.reason, maxReason)}
}
