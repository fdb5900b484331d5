package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// fencerChecks hold of a fencer at work. All that the suite asks for is a dry run, which has no effect where the fencer is right.
func fencerChecks() []check {
	return []check{
		{"a dry run of each action is answered", answersDryRuns},
		{"a dry run confirms neither off nor on", confirmsNoDryRun},
		{"what is confirmed has evidence", hasEvidence},
		{"an action of a later version is not confirmed", refusesAction},
		{"a configuration that cannot be read confirms nothing", confirmsNothing},
		{"an unknown fencer is refused", refusesFencer},
	}
}

// fence makes a dry run.
func (s *suite) fence(ctx context.Context, r *pluginv1.FenceRequest) (*pluginv1.FenceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	r.Node, r.DryRun = "conformance", true
	if r.Component == "" {
		r.Component = s.component.GetName()
	}
	if r.ConfigJson == nil {
		r.ConfigJson = s.config
	}
	return pluginv1.NewFencerClient(s.plugin.Conn).Fence(ctx, r)
}

// eachAction makes a dry run of every action.
func (s *suite) eachAction(ctx context.Context, f func(pluginv1.FenceRequest_Action, *pluginv1.FenceResponse) error) error {
	for _, action := range []pluginv1.FenceRequest_Action{
		pluginv1.FenceRequest_STATUS, pluginv1.FenceRequest_OFF, pluginv1.FenceRequest_ON,
	} {
		a, err := s.fence(ctx, &pluginv1.FenceRequest{Action: action})
		if err == nil {
			err = f(action, a)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", action, err)
		}
	}
	return nil
}

func answersDryRuns(ctx context.Context, s *suite) error {
	return s.eachAction(ctx, func(_ pluginv1.FenceRequest_Action, a *pluginv1.FenceResponse) error {
		if a.GetVerdict() < pluginv1.FenceResponse_UNKNOWN || a.GetVerdict() > pluginv1.FenceResponse_FAILED {
			return fmt.Errorf("the verdict is %d, which is none", a.GetVerdict())
		}
		return nil
	})
}

func confirmsNoDryRun(ctx context.Context, s *suite) error {
	return s.eachAction(ctx, func(action pluginv1.FenceRequest_Action, a *pluginv1.FenceResponse) error {
		if action != pluginv1.FenceRequest_STATUS && a.GetVerdict() == pluginv1.FenceResponse_CONFIRMED {
			return fmt.Errorf("the verdict is CONFIRMED: %s", a.GetEvidence())
		}
		return nil
	})
}

func hasEvidence(ctx context.Context, s *suite) error {
	return s.eachAction(ctx, func(_ pluginv1.FenceRequest_Action, a *pluginv1.FenceResponse) error {
		if a.GetVerdict() == pluginv1.FenceResponse_CONFIRMED && strings.TrimSpace(a.GetEvidence()) == "" {
			return errors.New("CONFIRMED without evidence")
		}
		return nil
	})
}

func refusesAction(ctx context.Context, s *suite) error {
	return s.unconfirmed(ctx, &pluginv1.FenceRequest{Action: 99})
}

func confirmsNothing(ctx context.Context, s *suite) error {
	return s.unconfirmed(ctx, &pluginv1.FenceRequest{ConfigJson: json.RawMessage(`{"`), Action: pluginv1.FenceRequest_STATUS})
}

func refusesFencer(ctx context.Context, s *suite) error {
	return s.unconfirmed(ctx, &pluginv1.FenceRequest{Component: "no-such-component", Action: pluginv1.FenceRequest_STATUS})
}

// unconfirmed wants anything but a confirmation.
func (s *suite) unconfirmed(ctx context.Context, r *pluginv1.FenceRequest) error {
	if a, err := s.fence(ctx, r); err == nil && a.GetVerdict() == pluginv1.FenceResponse_CONFIRMED {
		return fmt.Errorf("the verdict is CONFIRMED: %s", a.GetEvidence())
	}
	return nil
}
