package plugintest

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/conformance"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// NotifierTest tests a notifier. Its methods return a changed copy, or make a delivery.
type NotifierTest struct {
	subject
	timeout  time.Duration
	delivery sdk.Delivery
}

// Notifier serves a notifier for the length of a test. The arguments are those of [sdk.Notifier].
func Notifier[C any](t *testing.T, name string, notify func(context.Context, []sdk.Event, C) error, options ...sdk.Option) NotifierTest {
	t.Helper()
	s := newSubject(t, pluginv1.Kind_NOTIFIER, name, sdk.Notifier(name, notify, options...))
	return NotifierTest{s, defaultTimeout, sdk.Delivery{Key: "test", Attempt: 1}}
}

// Config sets the configuration, a JSON object. Without one it is empty.
func (n NotifierTest) Config(json string) NotifierTest { n.config = json; return n }

// Timeout sets the deadline of a delivery, 5 s without it.
func (n NotifierTest) Timeout(d time.Duration) NotifierTest { n.timeout = d; return n }

// Delivery sets the key and the attempt, "test" and 1 without it.
func (n NotifierTest) Delivery(d sdk.Delivery) NotifierTest { n.delivery = d; return n }

// Valid wants the configuration to have no fault, and to earn no warning.
func (n NotifierTest) Valid() { n.t.Helper(); n.valid() }

// Invalid wants a fault of the configuration at a place like "to[1]" or "", with part in its words.
func (n NotifierTest) Invalid(path, part string) {
	n.t.Helper()
	n.diagnosed(pluginv1.Diagnostic_ERROR, path, part)
}

// Warned wants a warning, as Invalid wants a fault.
func (n NotifierTest) Warned(path, part string) {
	n.t.Helper()
	n.diagnosed(pluginv1.Diagnostic_WARNING, path, part)
}

// Conformance runs the suite of vipward plugin test, with this configuration. It delivers a few events.
func (n NotifierTest) Conformance() { n.t.Helper(); n.conformance() }

// Events has some events delivered; without any, two that are like those of a pair.
func (n NotifierTest) Events(events ...sdk.Event) NotifierResult {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), n.timeout)
	defer cancel()
	r := &pluginv1.NotifyRequest{
		Component: n.name, ConfigJson: []byte(n.config), Events: conformance.SampleEvents(),
		IdempotencyKey: n.delivery.Key, Attempt: uint32(n.delivery.Attempt),
	}
	if len(events) > 0 {
		r.Events = eventsProto(events)
	}
	a, err := pluginv1.NewNotifierClient(n.server.conn).Notify(ctx, r)
	if err != nil {
		n.t.Fatalf("notify: %v\n%s", err, n.server.logs.String())
	}
	return NotifierResult{n, a}
}

// NotifierResult is what became of a delivery. Each method but Reason wants something of it, and fails the test where it is not
// so.
type NotifierResult struct {
	test   NotifierTest
	answer *pluginv1.NotifyResponse
}

// Reason is the reason in full.
func (r NotifierResult) Reason() string { return r.answer.GetReason() }

// Delivered wants that all is done.
func (r NotifierResult) Delivered() { r.test.t.Helper(); r.is("delivered", "") }

// Retry wants that the events are to be tried again, with part in the reason.
func (r NotifierResult) Retry(part string) { r.test.t.Helper(); r.is("retry", part) }

// RetryAfter wants that the events are to be tried again after a time.
func (r NotifierResult) RetryAfter(d time.Duration) {
	r.test.t.Helper()
	r.is("retry", "")
	if got := r.answer.GetRetryAfter().AsDuration(); got != d {
		r.test.t.Errorf("to be tried again after %v, want %v", got, d)
	}
}

// Dropped wants that the events are given up, with part in the reason.
func (r NotifierResult) Dropped(part string) { r.test.t.Helper(); r.is("drop", part) }

func (r NotifierResult) is(outcome, part string) {
	r.test.t.Helper()
	r.test.want(strings.ToLower(r.answer.GetOutcome().String()), r.answer.GetReason(), outcome, part)
}

func eventsProto(events []sdk.Event) []*pluginv1.Event {
	var all []*pluginv1.Event
	for _, e := range events {
		all = append(all, &pluginv1.Event{
			Seq: e.Seq, At: timestamppb.New(e.Time), Node: e.Node, Code: e.Code, Severity: e.Severity, Kind: e.Kind, Subject: e.Subject,
			Service: e.Service, From: e.From, To: e.To, Priority: int64(e.Priority), Reason: e.Reason, Attrs: e.Attrs,
		})
	}
	return all
}
