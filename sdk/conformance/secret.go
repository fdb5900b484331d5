package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// canary is a secret that must not be seen again.
const canary = "canary-7f3a9c51"

// secretChecks hold of every component, with secrets or without.
func secretChecks() []check {
	return []check{{"secrets appear in no log, reason or diagnostic", keepsSecrets}}
}

// keepsSecrets works with a configuration whose secrets are the canary, and looks for it in all that the plugin says.
func keepsSecrets(ctx context.Context, s *suite) error {
	config, ok := s.withCanary()
	if !ok {
		return nil
	}
	before := s.config
	s.config = config
	defer func() { s.config = before }()

	diags, err := s.validate(ctx, config)
	if err != nil {
		return err
	}
	said, err := s.work(ctx)
	if err != nil {
		return err
	}
	for where, text := range map[string]string{"a diagnostic": words(diags), "an answer": said, "the log": s.plugin.Logs()} {
		if strings.Contains(text, canary) {
			return fmt.Errorf("a secret appears in %s", where)
		}
	}
	return nil
}

// withCanary is the configuration with the canary for every secret that is plain text; false where there is none.
func (s *suite) withCanary() (json.RawMessage, bool) {
	object := map[string]any{}
	if json.Unmarshal(s.config, &object) != nil {
		return nil, false
	}
	found := false
	for _, a := range s.component.GetConfig().GetAttributes() {
		collection, element := split(a.GetType())
		if !a.GetSecret() || element != "string" || len(a.GetOneOf()) > 0 || a.GetPattern() != "" {
			continue
		}
		found = true
		switch collection {
		case "":
			object[a.GetName()] = canary
		case "map":
			object[a.GetName()] = map[string]any{"sample": canary}
		default:
			object[a.GetName()] = []any{canary}
		}
	}
	text, err := json.Marshal(object)
	return text, found && err == nil
}

// work has the component do what it is there for, once, and returns what it says.
func (s *suite) work(ctx context.Context) (string, error) {
	switch s.component.GetKind() {
	case pluginv1.Kind_NOTIFIER:
		a, err := s.notify(ctx, &pluginv1.NotifyRequest{Events: SampleEvents(), IdempotencyKey: "conformance-5", Attempt: 1})
		return a.GetReason(), err
	case pluginv1.Kind_FENCER:
		a, err := s.fence(ctx, &pluginv1.FenceRequest{Action: pluginv1.FenceRequest_STATUS})
		return a.GetEvidence(), err
	case pluginv1.Kind_WITNESS:
		a, err := s.claim(ctx, false, &pluginv1.WitnessRequest{Claim: testClaim, Node: "conformance-1", Ttl: durationpb.New(time.Second)})
		return a.GetReason(), err
	}
	var said []string
	err := onStream(func(st *stream, target string) error {
		err := getsResults(st, target)
		for _, r := range st.of(1, time.Time{}) {
			said = append(said, r.GetReason())
		}
		return err
	})(ctx, s)
	return strings.Join(slices.Compact(said), "; "), err
}
