package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// WitnessCall asks a witness for a grant, or gives one back.
type WitnessCall struct {
	Witness config.Witness
	// Release gives it back.
	Release bool
	// Claim is what is asked for, Node who asks, TTL how long it is to last.
	Claim, Node string
	TTL         time.Duration
}

// Grant is the answer of a witness.
type Grant struct {
	// Granted tells that the node has it; of a release, that it does not have it any more.
	Granted bool
	// Holder is who has it, where known.
	Holder string
	// Err says why there is no answer; nil for one.
	Err error
}

// Ask asks a witness that Apply asked for, and waits for the answer no longer than its timeout and ctx. Whatever keeps it from
// answering is an error.
func (h *Host) Ask(ctx context.Context, c WitnessCall) Grant {
	ctx, cancel := context.WithTimeout(ctx, c.Witness.Timeout)
	defer cancel()
	r, err := h.ask(ctx, c)
	switch {
	case err != nil:
		return Grant{Err: fmt.Errorf("witness %s: %w", c.Witness.Name, err)}
	case ctx.Err() != nil:
		return Grant{Err: fmt.Errorf("witness %s: no answer within %v", c.Witness.Name, c.Witness.Timeout)}
	}
	return r
}

func (h *Host) ask(ctx context.Context, c WitnessCall) (Grant, error) {
	h.mu.Lock()
	p := h.applied[c.Witness.Kind]
	h.mu.Unlock()
	if p == nil {
		return Grant{}, fmt.Errorf("plugin %s is not in use", c.Witness.Kind)
	}
	s, err := p.await(ctx)
	if err != nil {
		return Grant{}, err
	}
	defer s.calls.Done()
	client := pluginv1.NewWitnessClient(s.conn)
	call := client.Acquire
	if c.Release {
		call = client.Release
	}
	r, err := call(ctx, &pluginv1.WitnessRequest{
		Component: c.Witness.Kind, ConfigJson: c.Witness.Config, Claim: text(c.Claim), Node: text(c.Node), Ttl: durationpb.New(c.TTL),
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return Grant{}, fmt.Errorf("no answer within %v", c.Witness.Timeout)
	case err != nil:
		return Grant{}, rpcError(err)
	}
	switch r.GetVerdict() {
	case pluginv1.WitnessResponse_GRANTED:
		return Grant{Granted: true, Holder: c.Node}, nil
	case pluginv1.WitnessResponse_REFUSED:
		return Grant{Holder: shorten(strings.TrimSpace(r.GetHolder()))}, nil
	}
	why := shorten(strings.TrimSpace(r.GetReason()))
	if why == "" {
		why = "it gives no answer and no reason"
	}
	return Grant{}, errors.New(why)
}
