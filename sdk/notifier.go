package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Event is one thing that happened. Fields that do not apply are empty.
type Event struct {
	// Seq counts the events of one node, from 1, also over restarts of the daemon.
	Seq uint64 `json:"seq"`
	// Time is when it happened.
	Time time.Time `json:"time"`
	// Node is the name of the node that reports.
	Node string `json:"node"`
	// Code names the kind of occurrence for machines: "instance.state".
	Code string `json:"code"`
	// Severity is "info", "warning" or "critical".
	Severity string `json:"severity"`
	// Kind and Subject name what it is about: "instance" and "web"; "real_server" and "10.77.0.11:80".
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	// Service is the virtual server that a real server belongs to.
	Service string `json:"service,omitempty"`
	// From and To are the states of a transition.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Priority is the effective VRRP priority of an instance, the weight of a real server.
	Priority int `json:"priority,omitempty"`
	// Reason says why, in the operator's words.
	Reason string `json:"reason,omitempty"`
	// Attrs are what the event says for machines besides, by names that belong to its code: the evidence of a takeover, what the
	// peer said last, and how long each step took.
	Attrs map[string]string `json:"attrs,omitempty"`
}

// Delivery is what a notifier may want to know about a delivery besides its events. See [DeliveryOf].
type Delivery struct {
	// Key is the same for every attempt to deliver the same events.
	Key string
	// Attempt counts from 1.
	Attempt int
}

type deliveryKey struct{}

// DeliveryOf is the delivery that a notification belongs to; the zero value outside one.
func DeliveryOf(ctx context.Context) Delivery {
	d, _ := ctx.Value(deliveryKey{}).(Delivery)
	return d
}

// WithDelivery is a context in which [DeliveryOf] is d, for tests of a notifier's own functions.
func WithDelivery(ctx context.Context, d Delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, d)
}

// refusal is an error of a notifier with what is to become of the events.
type refusal struct {
	err   error
	after time.Duration
	drop  bool
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Drop says that trying again will not help: the events are given up, with err as the reason. A nil error stays nil.
func Drop(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{err: err, drop: true}
}

// Dropped tells whether an error, or one that it wraps, is of [Drop].
func Dropped(err error) bool {
	refused := (*refusal)(nil)
	return errors.As(err, &refused) && refused.drop
}

// RetryAfter says that the events could not be delivered now and are to be tried again after d, at least.
func RetryAfter(d time.Duration) error {
	return &refusal{err: fmt.Errorf("try again after %v", d), after: max(d, 0)}
}

// RetryBecause is [RetryAfter] with a reason. A nil error stays nil; without a time above 0 the host chooses one.
func RetryBecause(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &refusal{err: err, after: max(d, 0)}
}

// maxKept is how many configurations of notifiers stay open. A pair has a handful.
const maxKept = 64

// notifications serves the notifiers of a plugin. Configurations stay open from their first use; the one that was idle
// longest is closed where there are more than maxKept.
type notifications struct {
	pluginv1.UnimplementedNotifierServer
	components map[string]*Component
	log        *slog.Logger
	busy       sync.WaitGroup // notifications under way

	mu   sync.Mutex
	kept []*keptConfig // the latest used last
}

type keptConfig struct {
	key  string
	call func(context.Context, []Event) error
	shut func()
	uses int
	old  bool // out of kept: closed after the last use
}

// Notify hands events to the component. It fails as an RPC only for a component that there is not.
func (n *notifications) Notify(ctx context.Context, r *pluginv1.NotifyRequest) (*pluginv1.NotifyResponse, error) {
	c, ok := n.components[r.GetComponent()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no notifier %q in this plugin", r.GetComponent())
	}
	if len(r.GetEvents()) == 0 {
		return answer(nil), nil // nothing to tell is told
	}
	n.busy.Add(1)
	defer n.busy.Done()
	k := n.use(c, r.GetConfigJson())
	defer n.release(k)
	ctx = withLogger(ctx, n.log.With("component", c.name))
	ctx = WithDelivery(ctx, Delivery{Key: r.GetIdempotencyKey(), Attempt: int(r.GetAttempt())})
	return answer(n.guarded(ctx, k, eventsOf(r.GetEvents()))), nil
}

// guarded calls the author's function; a panic is an error that is tried again.
func (n *notifications) guarded(ctx context.Context, k *keptConfig, events []Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			n.log.Error("the notifier panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return k.call(ctx, events)
}

func (n *notifications) use(c *Component, raw []byte) *keptConfig {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := c.name + "\x00" + string(raw)
	for i, k := range n.kept {
		if k.key == key {
			n.kept = append(append(n.kept[:i:i], n.kept[i+1:]...), k)
			k.uses++
			return k
		}
	}
	b := c.notify(raw)
	k := &keptConfig{key: key, call: b.call, shut: b.close, uses: 1}
	if n.kept = append(n.kept, k); len(n.kept) > maxKept {
		oldest := n.kept[0]
		n.kept, oldest.old = n.kept[1:], true
		oldest.closeIfIdle()
	}
	return k
}

func (n *notifications) release(k *keptConfig) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k.uses--
	k.closeIfIdle()
}

func (k *keptConfig) closeIfIdle() {
	if k.old && k.uses == 0 {
		go k.shut()
	}
}

// wait waits for the notifications under way, but no longer than d: their contexts have ended.
func (n *notifications) wait(d time.Duration) {
	idle := make(chan struct{})
	go func() {
		n.busy.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(d):
	}
}

// answer says by the notifier's error what is to become of the events.
func answer(err error) *pluginv1.NotifyResponse {
	if err == nil {
		return &pluginv1.NotifyResponse{Outcome: pluginv1.NotifyResponse_DELIVERED}
	}
	r := &pluginv1.NotifyResponse{Outcome: pluginv1.NotifyResponse_RETRY, Reason: clean(err.Error(), maxReason)}
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		if refused.drop {
			r.Outcome = pluginv1.NotifyResponse_DROP
		} else {
			r.RetryAfter = durationProto(refused.after)
		}
	}
	return r
}

func eventsOf(list []*pluginv1.Event) []Event {
	events := make([]Event, 0, len(list))
	for _, e := range list {
		events = append(events, Event{
			Seq: e.GetSeq(), Time: e.GetAt().AsTime(), Node: e.GetNode(), Code: e.GetCode(), Severity: e.GetSeverity(),
			Kind: e.GetKind(), Subject: e.GetSubject(), Service: e.GetService(), From: e.GetFrom(), To: e.GetTo(),
			Priority: int(e.GetPriority()), Reason: e.GetReason(), Attrs: e.GetAttrs(),
		})
	}
	return events
}
