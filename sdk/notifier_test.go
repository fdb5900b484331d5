package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func serveNotifier[C any](notify func(context.Context, []Event, C) error) *notifications {
	c := Notifier("test", notify)
	return &notifications{components: map[string]*Component{"test": &c}, log: slog.New(slog.DiscardHandler)}
}

func TestTheErrorOfANotifierDecidesWhatBecomesOfItsEvents(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, "DELIVERED"},
		{"an error", errors.New("refused"), "RETRY refused"},
		{"an error that will not go away", Drop(errors.New("no such user")), "DROP no such user"},
		{"the same within another", fmt.Errorf("send: %w", Drop(errors.New("no such user"))), "DROP send: no such user"},
		{"a time to come back", RetryAfter(5 * time.Second), "RETRY try again after 5s 5s"},
		{"nothing to drop", Drop(nil), "DELIVERED"},
	} {
		n := serveNotifier(func(context.Context, []Event, struct{}) error { return tt.err })
		r, err := n.Notify(t.Context(), &pluginv1.NotifyRequest{Component: "test", Events: []*pluginv1.Event{{}}})
		if err != nil {
			t.Fatal(err)
		}
		got := r.GetOutcome().String()
		if r.GetReason() != "" {
			got += " " + r.GetReason()
		}
		if r.GetRetryAfter() != nil {
			got += " " + r.GetRetryAfter().AsDuration().String()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestANotifierSeesTheEventsAndItsDelivery(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n := serveNotifier(func(ctx context.Context, events []Event, _ struct{}) error {
		want := Event{
			Seq: 7, Time: at, Node: "lb1", Code: "instance.state", Severity: "info", Kind: "instance", Subject: "web",
			Service: "s", From: "BACKUP", To: "MASTER", Priority: 150, Reason: "r", Attrs: map[string]string{"row": "7"},
		}
		if len(events) != 1 || !reflect.DeepEqual(events[0], want) {
			t.Errorf("events %+v, want %+v", events, want)
		}
		if d := DeliveryOf(ctx); d != (Delivery{Key: "k", Attempt: 2}) {
			t.Errorf("delivery %+v", d)
		}
		return nil
	})
	_, err := n.Notify(t.Context(), &pluginv1.NotifyRequest{
		Component: "test", IdempotencyKey: "k", Attempt: 2,
		Events: []*pluginv1.Event{{
			Seq: 7, At: timestamppb.New(at), Node: "lb1", Code: "instance.state", Severity: "info", Kind: "instance",
			Subject: "web", Service: "s", From: "BACKUP", To: "MASTER", Priority: 150, Reason: "r", Attrs: map[string]string{"row": "7"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestANotifierThatPanicsIsTriedAgain(t *testing.T) {
	n := serveNotifier(func(context.Context, []Event, struct{}) error { panic("oops") })
	r, err := n.Notify(t.Context(), &pluginv1.NotifyRequest{Component: "test", Events: []*pluginv1.Event{{}}})
	if err != nil || r.GetOutcome() != pluginv1.NotifyResponse_RETRY || r.GetReason() != "panic: oops" {
		t.Errorf("answer %v, %v", r, err)
	}
	if _, err := n.Notify(t.Context(), &pluginv1.NotifyRequest{Component: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("a notifier that there is not: %v", err)
	}
}

func TestTheConfigurationIdleLongestIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		openings.Clear()
		n := serveNotifier(func(context.Context, []Event, opening) error { return nil })
		name := func(i int) string { return fmt.Sprint(t.Name(), i) }
		call := func(i int) {
			_, err := n.Notify(t.Context(), &pluginv1.NotifyRequest{
				Component: "test", ConfigJson: fmt.Appendf(nil, `{"name":%q}`, name(i)), Events: []*pluginv1.Event{{}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range maxKept {
			call(i)
		}
		call(0)       // used again
		call(maxKept) // one too many
		synctest.Wait()
		for i := range maxKept + 1 {
			v, _ := openings.Load(name(i))
			log := v.(*openingLog)
			if closed := log.closed.Load() == 1; closed != (i == 1) || log.opened.Load() != 1 {
				t.Errorf("configuration %d: opened %d times, closed %d", i, log.opened.Load(), log.closed.Load())
			}
		}
	})
}
