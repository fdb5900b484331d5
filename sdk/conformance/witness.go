package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// witnessChecks hold of a witness at work. The claim is one that nobody else makes, so that nothing real is taken.
func witnessChecks() []check {
	return []check{
		{"a claim is answered, by a known verdict", answersClaims},
		{"of two nodes one at most has a grant", grantsToOne},
		{"what is not answered has a reason", unansweredHasReason},
		{"a claim without a name, a node or a time is not granted", refusesEmptyClaims},
		{"a configuration that cannot be read grants nothing", grantsNothingUnread},
		{"an unknown witness is refused", refusesWitness},
	}
}

const testClaim = "vipward-plugin-conformance"

// claim makes one call of a witness.
func (s *suite) claim(ctx context.Context, release bool, r *pluginv1.WitnessRequest) (*pluginv1.WitnessResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	if r.Component == "" {
		r.Component = s.component.GetName()
	}
	if r.ConfigJson == nil {
		r.ConfigJson = s.config
	}
	c := pluginv1.NewWitnessClient(s.plugin.Conn)
	if release {
		return c.Release(ctx, r)
	}
	return c.Acquire(ctx, r)
}

// claims has each of two nodes claim, and then release.
func (s *suite) claims(ctx context.Context) (answers []*pluginv1.WitnessResponse, err error) {
	for _, release := range []bool{false, true} {
		for _, node := range []string{"conformance-1", "conformance-2"} {
			a, err := s.claim(ctx, release, &pluginv1.WitnessRequest{Claim: testClaim, Node: node, Ttl: durationpb.New(2 * time.Second)})
			if err != nil {
				return nil, err
			}
			answers = append(answers, a)
		}
	}
	return answers, nil
}

func answersClaims(ctx context.Context, s *suite) error {
	answers, err := s.claims(ctx)
	for _, a := range answers {
		if a.GetVerdict() < pluginv1.WitnessResponse_UNKNOWN || a.GetVerdict() > pluginv1.WitnessResponse_REFUSED {
			return fmt.Errorf("the verdict is %d, which is none", a.GetVerdict())
		}
	}
	return err
}

func grantsToOne(ctx context.Context, s *suite) error {
	answers, err := s.claims(ctx)
	if err == nil && answers[0].GetVerdict() == pluginv1.WitnessResponse_GRANTED && answers[1].GetVerdict() == pluginv1.WitnessResponse_GRANTED {
		return errors.New("both have it")
	}
	return err
}

func unansweredHasReason(ctx context.Context, s *suite) error {
	answers, err := s.claims(ctx)
	for _, a := range answers {
		if a.GetVerdict() == pluginv1.WitnessResponse_UNKNOWN && a.GetReason() == "" {
			return errors.New("UNKNOWN without a reason")
		}
	}
	return err
}

func refusesEmptyClaims(ctx context.Context, s *suite) error {
	second := durationpb.New(time.Second)
	for _, r := range []*pluginv1.WitnessRequest{
		{Node: "conformance-1", Ttl: second}, {Claim: testClaim, Ttl: second}, {Claim: testClaim, Node: "conformance-1"},
	} {
		if err := s.ungranted(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func grantsNothingUnread(ctx context.Context, s *suite) error {
	return s.ungranted(ctx, &pluginv1.WitnessRequest{
		ConfigJson: json.RawMessage(`{"`), Claim: testClaim, Node: "conformance-1", Ttl: durationpb.New(time.Second),
	})
}

func refusesWitness(ctx context.Context, s *suite) error {
	return s.ungranted(ctx, &pluginv1.WitnessRequest{
		Component: "no-such-component", Claim: testClaim, Node: "conformance-1", Ttl: durationpb.New(time.Second),
	})
}

// ungranted wants anything but a grant.
func (s *suite) ungranted(ctx context.Context, r *pluginv1.WitnessRequest) error {
	if a, err := s.claim(ctx, false, r); err == nil && a.GetVerdict() == pluginv1.WitnessResponse_GRANTED {
		return fmt.Errorf("the verdict is GRANTED to %q of %q", r.GetNode(), r.GetClaim())
	}
	return nil
}
