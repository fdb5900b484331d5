package plugintest

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/vipward/vipward/sdk"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// CheckerTest tests a checker. Its methods return a changed copy, or make a run.
type CheckerTest struct {
	subject
	timeout time.Duration
	labels  map[string]string
}

// Checker serves a checker for the length of a test. The arguments are those of [sdk.Checker].
func Checker[C any](
	t *testing.T, name string, check func(context.Context, sdk.Target, C) sdk.Result, options ...sdk.Option,
) CheckerTest {
	t.Helper()
	s := newSubject(t, pluginv1.Kind_CHECKER, name, sdk.Checker(name, check, options...))
	return CheckerTest{subject: s, timeout: defaultTimeout}
}

// Config sets the configuration, a JSON object. Without one it is empty.
func (c CheckerTest) Config(json string) CheckerTest { c.config = json; return c }

// Timeout sets the deadline of a run, 5 s without it.
func (c CheckerTest) Timeout(d time.Duration) CheckerTest { c.timeout = d; return c }

// Labels sets the labels of the target.
func (c CheckerTest) Labels(l map[string]string) CheckerTest { c.labels = maps.Clone(l); return c }

// Valid wants the configuration to have no fault, and to earn no warning.
func (c CheckerTest) Valid() { c.t.Helper(); c.valid() }

// Invalid wants a fault of the configuration at a place like "status[1]", "header[0].value" or "", with part in its words.
func (c CheckerTest) Invalid(path, part string) {
	c.t.Helper()
	c.diagnosed(pluginv1.Diagnostic_ERROR, path, part)
}

// Warned wants a warning, as Invalid wants a fault.
func (c CheckerTest) Warned(path, part string) {
	c.t.Helper()
	c.diagnosed(pluginv1.Diagnostic_WARNING, path, part)
}

// Conformance runs the suite of vipward plugin test, with this configuration. It takes about 10 s.
func (c CheckerTest) Conformance() { c.t.Helper(); c.conformance() }

// Against makes one run against an ADDRESS:PORT; against "" one of the node itself, which has no address.
func (c CheckerTest) Against(address string) CheckerResult {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), c.timeout+patience)
	defer cancel()
	stream, err := pluginv1.NewCheckerClient(c.server.conn).Run(ctx)
	if err != nil {
		c.t.Fatalf("run: %v", err)
	}
	err = stream.Send(&pluginv1.CheckerRequest{Assign: []*pluginv1.Assignment{{
		Id: 1, Component: c.name, ConfigJson: []byte(c.config), Target: "test " + address, Address: address, Labels: c.labels,
		Interval: durationpb.New(time.Hour), Timeout: durationpb.New(c.timeout),
	}}})
	if err != nil {
		c.t.Fatalf("assign: %v", err)
	}
	for {
		e, err := stream.Recv()
		if err != nil {
			c.t.Fatalf("no result: %v\n%s", err, c.server.logs.String())
		}
		if len(e.GetResults()) > 0 {
			return CheckerResult{c, e.GetResults()[0]}
		}
	}
}

// CheckerResult is what one run found. Each method but Reason and String wants something of it, and fails the test where it is not so.
type CheckerResult struct {
	test   CheckerTest
	result *pluginv1.Result
}

// Reason is the reason in full.
func (r CheckerResult) Reason() string { return r.result.GetReason() }

// String is the result as one line, for tests that compare it whole: "fail: connection refused".
func (r CheckerResult) String() string {
	status := strings.ToLower(r.result.GetStatus().String())
	if r.Reason() == "" {
		return status
	}
	return status + ": " + r.Reason()
}

// Pass wants a pass.
func (r CheckerResult) Pass() CheckerResult { r.test.t.Helper(); return r.is("pass", "") }

// Warn wants a pass with a warning, and part in its reason.
func (r CheckerResult) Warn(part string) CheckerResult { r.test.t.Helper(); return r.is("warn", part) }

// Fail wants that the target failed, with part in the reason.
func (r CheckerResult) Fail(part string) CheckerResult { r.test.t.Helper(); return r.is("fail", part) }

// Error wants that the check could not be made, with part in the reason.
func (r CheckerResult) Error(part string) CheckerResult {
	r.test.t.Helper()
	return r.is("error", part)
}

// Weight wants that the check asked for a weight.
func (r CheckerResult) Weight(n uint32) CheckerResult {
	r.test.t.Helper()
	if r.result.Weight == nil || r.result.GetWeight() != n {
		r.test.t.Errorf("the result %v has not the weight %d", r.result, n)
	}
	return r
}

// Value wants a figure.
func (r CheckerResult) Value(name string, v float64) CheckerResult {
	r.test.t.Helper()
	if got, ok := r.result.GetValues()[name]; !ok || got != v {
		r.test.t.Errorf("the result %v has not the value %s = %v", r.result, name, v)
	}
	return r
}

func (r CheckerResult) is(status, part string) CheckerResult {
	r.test.t.Helper()
	r.test.want(strings.ToLower(r.result.GetStatus().String()), r.result.GetReason(), status, part)
	return r
}
