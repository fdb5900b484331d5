package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// The checks that come first.
const (
	startedByHand = "started by hand it explains itself and ends"
	startsUp      = "it starts and says what it offers"
)

// pluginChecks hold of the plugin as a whole.
func pluginChecks() []check {
	return []check{
		{"its description is the same each time", describesTheSame},
		{"its components have names and known kinds, each once", namesItsComponents},
		{"it answers pings in order", answersPings},
	}
}

// start starts the plugin and learns what it offers.
func (s *suite) start(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	d, err := s.plugin.Describe(ctx)
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	s.described = d
	if d.GetName() == "" {
		return errors.New("the description has no name")
	}
	if len(d.GetComponents()) == 0 {
		return errors.New("the description lists no component")
	}
	return nil
}

func describesTheSame(ctx context.Context, s *suite) error {
	again, err := s.plugin.Describe(ctx)
	if err != nil {
		return err
	}
	if !proto.Equal(again, s.described) {
		return errors.New("the second description differs from the first")
	}
	return nil
}

func namesItsComponents(_ context.Context, s *suite) error {
	form := regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	seen := make(map[string]bool)
	for _, c := range s.described.GetComponents() {
		title := Title(c.GetKind(), c.GetName())
		switch c.GetKind() {
		case pluginv1.Kind_CHECKER, pluginv1.Kind_NOTIFIER, pluginv1.Kind_FENCER, pluginv1.Kind_WITNESS:
		default:
			return fmt.Errorf("component %q is of the unknown kind %d", c.GetName(), c.GetKind())
		}
		if !form.MatchString(c.GetName()) {
			return fmt.Errorf("the name %q is not of the form %v", c.GetName(), form)
		}
		if seen[title] {
			return fmt.Errorf("%s is there twice", title)
		}
		seen[title] = true
	}
	return nil
}

func answersPings(ctx context.Context, s *suite) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	stream, err := pluginv1.NewPluginClient(s.plugin.Conn).Control(ctx)
	if err != nil {
		return err
	}
	for nonce := uint64(1); nonce <= 3; nonce++ {
		ping := &pluginv1.ControlRequest{Msg: &pluginv1.ControlRequest_Ping{Ping: &pluginv1.Ping{Nonce: nonce}}}
		if err := stream.Send(ping); err != nil {
			return err
		}
		e, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("ping %d: %w", nonce, err)
		}
		if e.GetPong() == nil || e.GetPong().GetNonce() != nonce {
			return fmt.Errorf("the answer to ping %d is %v", nonce, e)
		}
	}
	return nil
}
