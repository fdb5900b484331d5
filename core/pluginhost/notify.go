package pluginhost

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// notifyTimeout bounds a delivery whose context has no deadline.
const notifyTimeout = time.Minute

// Outcome is what became of a delivery.
type Outcome string

// The outcomes.
const (
	// Delivered: done.
	Delivered Outcome = "delivered"
	// Retry: not now; trying again may help.
	Retry Outcome = "retry"
	// Drop: given up; trying again would not help.
	Drop Outcome = "drop"
)

// Delivery is the answer of a notifier.
type Delivery struct {
	Outcome Outcome
	// RetryAfter is the least time until the next attempt; 0 for the caller's own choice.
	RetryAfter time.Duration
	// Reason says why, unless the events were delivered.
	Reason string
}

// Notify has a notifier that Apply asked for tell of some events, the oldest first. key is the same for each attempt to deliver
// them, attempt counts from 1. It waits for the answer until ctx ends, and for a plugin that is just starting. An error says
// that the plugin could not be asked; the delivery is then a Retry.
func (h *Host) Notify(ctx context.Context, n config.Notifier, events []event.Event, key string, attempt int) (Delivery, error) {
	h.mu.Lock()
	p := h.applied[n.Kind]
	h.mu.Unlock()
	if p == nil {
		return failed(fmt.Errorf("notifier %s %s is not in use", n.Kind, n.Name))
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, notifyTimeout)
		defer cancel()
	}
	s, err := p.await(ctx)
	if err != nil {
		return failed(err)
	}
	defer s.calls.Done()
	request := &pluginv1.NotifyRequest{
		Component: n.Kind, ConfigJson: n.Config, Events: eventsProto(events), IdempotencyKey: key, Attempt: uint32(max(attempt, 0)),
	}
	r, err := pluginv1.NewNotifierClient(s.conn).Notify(ctx, request)
	if err != nil {
		return failed(fmt.Errorf("notify by %s %s: %w", n.Kind, n.Name, rpcError(err)))
	}
	return deliveryOf(r), nil
}

func failed(err error) (Delivery, error) {
	return Delivery{Outcome: Retry, Reason: err.Error()}, err
}

func deliveryOf(r *pluginv1.NotifyResponse) Delivery {
	d := Delivery{Outcome: Retry, Reason: shorten(r.GetReason()), RetryAfter: max(r.GetRetryAfter().AsDuration(), 0)}
	switch r.GetOutcome() {
	case pluginv1.NotifyResponse_DELIVERED:
		d.Outcome = Delivered
	case pluginv1.NotifyResponse_DROP:
		d.Outcome = Drop
	}
	return d
}

func eventsProto(events []event.Event) []*pluginv1.Event {
	all := make([]*pluginv1.Event, 0, len(events))
	for _, e := range events {
		all = append(all, &pluginv1.Event{
			Seq: e.Seq, At: timestamppb.New(e.Time), Node: text(e.Node), Code: text(e.Code), Severity: string(e.Severity),
			Kind: string(e.Kind), Subject: text(e.Subject), Service: text(e.Service), From: text(e.From), To: text(e.To),
			Priority: int64(e.Priority), Reason: text(e.Reason), Attrs: texts(e.Attrs),
		})
	}
	return all
}

func texts(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for name, value := range m {
		out[text(name)] = text(value)
	}
	return out
}

// text is clean of what would end a gRPC call: invalid UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
