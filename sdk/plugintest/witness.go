package plugintest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/vipward/vipward/sdk"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// WitnessTest tests a witness. Its methods return a changed copy, or make a call.
type WitnessTest struct {
	subject
	timeout, ttl time.Duration
	node, claim  string
}

// Witness serves a witness for the length of a test. The arguments are those of [sdk.WitnessOf].
func Witness[C any](t *testing.T, name string, w sdk.Witness[C], options ...sdk.Option) WitnessTest {
	t.Helper()
	return WitnessTest{newSubject(t, pluginv1.Kind_WITNESS, name, sdk.WitnessOf(name, w, options...)), defaultTimeout, 3 * time.Second, "lb1", "web"}
}

// Config sets the configuration, a JSON object. Without one it is empty.
func (w WitnessTest) Config(json string) WitnessTest { w.config = json; return w }

// Timeout sets the deadline of a call, 5 s without it.
func (w WitnessTest) Timeout(d time.Duration) WitnessTest { w.timeout = d; return w }

// Node sets the node that claims, "lb1" without it.
func (w WitnessTest) Node(name string) WitnessTest { w.node = name; return w }

// Claim sets what is claimed, "web" without it.
func (w WitnessTest) Claim(name string) WitnessTest { w.claim = name; return w }

// TTL sets how long a grant is to last, 3 s without it.
func (w WitnessTest) TTL(d time.Duration) WitnessTest { w.ttl = d; return w }

// Valid wants the configuration to have no fault, and to earn no warning.
func (w WitnessTest) Valid() { w.t.Helper(); w.valid() }

// Invalid wants a fault of the configuration at a place like "ports[1]" or "", with part in its words.
func (w WitnessTest) Invalid(path, part string) {
	w.t.Helper()
	w.diagnosed(pluginv1.Diagnostic_ERROR, path, part)
}

// Conformance runs the suite of vipward plugin test, with this configuration.
func (w WitnessTest) Conformance() { w.t.Helper(); w.conformance() }

// Exclusive has many nodes claim and release the same at once, and wants one of them to hold it at a time.
func (w WitnessTest) Exclusive() {
	w.t.Helper()
	const nodes, rounds = 12, 20
	var holders, grants atomic.Int32
	var all sync.WaitGroup
	for n := range nodes {
		mine := w.Node(fmt.Sprint("rival", n))
		all.Go(func() {
			for range rounds {
				if mine.Acquire().Verdict() != "granted" {
					continue
				}
				grants.Add(1)
				if k := holders.Add(1); k != 1 {
					w.t.Errorf("%d nodes hold %s", k, w.claim)
				}
				holders.Add(-1)
				mine.Release().Granted()
			}
		})
	}
	all.Wait()
	if grants.Load() == 0 {
		w.t.Error("nobody was granted the claim once: that it is exclusive is not shown")
	}
}

// Acquire calls Acquire.
func (w WitnessTest) Acquire() WitnessResult {
	w.t.Helper()
	return w.call(pluginv1.NewWitnessClient(w.server.conn).Acquire)
}

// Release calls Release.
func (w WitnessTest) Release() WitnessResult {
	w.t.Helper()
	return w.call(pluginv1.NewWitnessClient(w.server.conn).Release)
}

// witnessCall is one of the calls of a witness.
type witnessCall func(context.Context, *pluginv1.WitnessRequest, ...grpc.CallOption) (*pluginv1.WitnessResponse, error)

func (w WitnessTest) call(do witnessCall) WitnessResult {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), w.timeout)
	defer cancel()
	a, err := do(ctx, &pluginv1.WitnessRequest{
		Component: w.name, ConfigJson: []byte(w.config), Claim: w.claim, Node: w.node, Ttl: durationpb.New(w.ttl),
	})
	if ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded { // as the host takes it; either side may be the first to see it
		<-ctx.Done()
		a, err = &pluginv1.WitnessResponse{Reason: ctx.Err().Error()}, nil
	}
	if err != nil {
		w.t.Errorf("witness: %v\n%s", err, w.server.logs.String())
		a = &pluginv1.WitnessResponse{Reason: err.Error()}
	}
	return WitnessResult{w, a}
}

// WitnessResult is what became of a call. Each method but Verdict wants something of it, and fails the test where it is not so.
type WitnessResult struct {
	test   WitnessTest
	answer *pluginv1.WitnessResponse
}

// Verdict is "granted", "refused" or "unknown".
func (r WitnessResult) Verdict() string { return strings.ToLower(r.answer.GetVerdict().String()) }

// Granted wants a grant.
func (r WitnessResult) Granted() { r.test.t.Helper(); r.is("granted", r.answer.GetReason(), "") }

// Refused wants a refusal because of a holder.
func (r WitnessResult) Refused(holder string) {
	r.test.t.Helper()
	r.is("refused", r.answer.GetHolder(), holder)
}

// Unknown wants no answer, with part in the reason.
func (r WitnessResult) Unknown(part string) {
	r.test.t.Helper()
	r.is("unknown", r.answer.GetReason(), part)
}

func (r WitnessResult) is(verdict, said, part string) {
	r.test.t.Helper()
	r.test.want(r.Verdict(), said, verdict, part)
}
