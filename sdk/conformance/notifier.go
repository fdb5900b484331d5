package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// notifierChecks hold of a notifier at work. With a configuration that works they tell somebody: twice, of two events.
func notifierChecks() []check {
	return []check{
		{"a batch of events is answered, and so is the same again with the same key", answersTwice},
		{"an empty batch is not tried again", takesEmptyBatch},
		{"a configuration that cannot be read delivers nothing", deliversNothing},
		{"an unknown notifier is refused", refusesNotifier},
	}
}

// SampleEvents are two events like those of a pair, for trying a notifier.
func SampleEvents() []*pluginv1.Event {
	at := timestamppb.Now()
	return []*pluginv1.Event{
		{
			Seq: 1, At: at, Node: "lb1", Code: "instance.state", Severity: "info", Kind: "instance", Subject: "test",
			From: "BACKUP", To: "MASTER", Priority: 150, Reason: "a test of the notifier", Attrs: map[string]string{"row": "7", "peer_view": "none"},
		},
		{
			Seq: 2, At: at, Node: "lb1", Code: "real_server.state", Severity: "warning", Kind: "real_server", Subject: "192.0.2.1:80",
			Service: "test", From: "up", To: "down", Reason: "a test of the notifier, with “quotes” and\na new line",
		},
	}
}

func (s *suite) notify(ctx context.Context, r *pluginv1.NotifyRequest) (*pluginv1.NotifyResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	if r.Component == "" {
		r.Component = s.component.GetName()
	}
	if r.ConfigJson == nil {
		r.ConfigJson = s.config
	}
	a, err := pluginv1.NewNotifierClient(s.plugin.Conn).Notify(ctx, r)
	if err == nil && (a.GetOutcome() < pluginv1.NotifyResponse_DELIVERED || a.GetOutcome() > pluginv1.NotifyResponse_DROP) {
		return nil, fmt.Errorf("the outcome is %d, which is none", a.GetOutcome())
	}
	return a, err
}

func answersTwice(ctx context.Context, s *suite) error {
	for attempt := uint32(1); attempt <= 2; attempt++ {
		r := &pluginv1.NotifyRequest{Events: SampleEvents(), IdempotencyKey: "conformance-1", Attempt: attempt}
		if _, err := s.notify(ctx, r); err != nil {
			return fmt.Errorf("attempt %d: %w", attempt, err)
		}
	}
	return nil
}

func takesEmptyBatch(ctx context.Context, s *suite) error {
	a, err := s.notify(ctx, &pluginv1.NotifyRequest{IdempotencyKey: "conformance-2", Attempt: 1})
	if err != nil {
		return err
	}
	if a.GetOutcome() == pluginv1.NotifyResponse_RETRY {
		return fmt.Errorf("the outcome is RETRY: %s", a.GetReason())
	}
	return nil
}

func deliversNothing(ctx context.Context, s *suite) error {
	r := &pluginv1.NotifyRequest{
		ConfigJson: json.RawMessage(`{"`), Events: SampleEvents(), IdempotencyKey: "conformance-3", Attempt: 1,
	}
	if a, err := s.notify(ctx, r); err == nil && a.GetOutcome() == pluginv1.NotifyResponse_DELIVERED {
		return errors.New("the outcome is DELIVERED")
	}
	return nil
}

func refusesNotifier(ctx context.Context, s *suite) error {
	r := &pluginv1.NotifyRequest{Component: "no-such-component", Events: SampleEvents(), IdempotencyKey: "conformance-4", Attempt: 1}
	if a, err := s.notify(ctx, r); err == nil && a.GetOutcome() == pluginv1.NotifyResponse_DELIVERED {
		return errors.New("the outcome is DELIVERED")
	}
	return nil
}
