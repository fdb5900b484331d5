package plugintest

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vipward/vipward/sdk"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// FencerTest tests a fencer. Its methods return a changed copy, or make a call.
type FencerTest struct {
	subject
	timeout time.Duration
	node    string
	dry     bool
}

// Fencer serves a fencer for the length of a test. The arguments are those of [sdk.Fencer].
func Fencer[C any](t *testing.T, name string, f sdk.Fence[C], options ...sdk.Option) FencerTest {
	t.Helper()
	return FencerTest{newSubject(t, pluginv1.Kind_FENCER, name, sdk.Fencer(name, f, options...)), defaultTimeout, "lb2", false}
}

// Config sets the configuration, a JSON object. Without one it is empty.
func (f FencerTest) Config(json string) FencerTest { f.config = json; return f }

// Timeout sets the deadline of a call, 5 s without it.
func (f FencerTest) Timeout(d time.Duration) FencerTest { f.timeout = d; return f }

// Node sets the node that the calls are about, "lb2" without it.
func (f FencerTest) Node(name string) FencerTest { f.node = name; return f }

// DryRun makes the calls dry runs: see [sdk.FenceTarget].
func (f FencerTest) DryRun() FencerTest { f.dry = true; return f }

// Valid wants the configuration to have no fault, and to earn no warning.
func (f FencerTest) Valid() { f.t.Helper(); f.valid() }

// Invalid wants a fault of the configuration at a place like "ports[1]" or "", with part in its words.
func (f FencerTest) Invalid(path, part string) {
	f.t.Helper()
	f.diagnosed(pluginv1.Diagnostic_ERROR, path, part)
}

// Warned wants a warning, as Invalid wants a fault.
func (f FencerTest) Warned(path, part string) {
	f.t.Helper()
	f.diagnosed(pluginv1.Diagnostic_WARNING, path, part)
}

// Conformance runs the suite of vipward plugin test, with this configuration. It makes dry runs only.
func (f FencerTest) Conformance() { f.t.Helper(); f.conformance() }

// Off calls Off.
func (f FencerTest) Off() FencerResult { f.t.Helper(); return f.call(pluginv1.FenceRequest_OFF) }

// On calls On.
func (f FencerTest) On() FencerResult { f.t.Helper(); return f.call(pluginv1.FenceRequest_ON) }

// Status calls Status.
func (f FencerTest) Status() FencerResult { f.t.Helper(); return f.call(pluginv1.FenceRequest_STATUS) }

func (f FencerTest) call(action pluginv1.FenceRequest_Action) FencerResult {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), f.timeout)
	defer cancel()
	a, err := pluginv1.NewFencerClient(f.server.conn).Fence(ctx, &pluginv1.FenceRequest{
		Component: f.name, ConfigJson: []byte(f.config), Action: action, Node: f.node, DryRun: f.dry,
	})
	if ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded { // as the host takes it; either side may be the first to see it
		<-ctx.Done()
		a, err = &pluginv1.FenceResponse{Evidence: ctx.Err().Error()}, nil
	}
	if err != nil {
		f.t.Fatalf("fence: %v\n%s", err, f.server.logs.String())
	}
	return FencerResult{f, a}
}

// FencerResult is what became of a call. Each method but Evidence wants something of it, and fails the test where it is not so.
type FencerResult struct {
	test   FencerTest
	answer *pluginv1.FenceResponse
}

// Evidence is the evidence, or the reason, in full.
func (r FencerResult) Evidence() string { return r.answer.GetEvidence() }

// Confirmed wants a confirmation with part in the evidence.
func (r FencerResult) Confirmed(part string) { r.test.t.Helper(); r.is("confirmed", part) }

// Failed wants a failure with part in the reason.
func (r FencerResult) Failed(part string) { r.test.t.Helper(); r.is("failed", part) }

// Unknown wants that nobody can tell, with part in the reason. A dry run that would have confirmed is unknown as well.
func (r FencerResult) Unknown(part string) { r.test.t.Helper(); r.is("unknown", part) }

func (r FencerResult) is(verdict, part string) {
	r.test.t.Helper()
	r.test.want(strings.ToLower(r.answer.GetVerdict().String()), r.answer.GetEvidence(), verdict, part)
}
