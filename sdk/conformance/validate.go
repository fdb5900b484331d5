package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// quick is how long a question may take whose answer needs nothing from outside.
const quick = 2 * time.Second

// validateChecks hold of what a component says about configurations.
func validateChecks() []check {
	return []check{
		{"it accepts a right configuration, at once", acceptsRight},
		{"it refuses values of a wrong type at their attribute", refusesWrongTypes},
		{"it refuses a configuration that is no JSON", refusesGarbage},
		{"it refuses to validate for a component that it does not have", refusesUnknown},
	}
}

// validate asks about one configuration. Warnings are no errors.
func (s *suite) validate(ctx context.Context, config json.RawMessage) ([]*pluginv1.Diagnostic, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := pluginv1.NewPluginClient(s.plugin.Conn).Validate(ctx, &pluginv1.ValidateRequest{
		Kind: s.component.GetKind(), Name: s.component.GetName(), ConfigJson: config,
	})
	return slices.DeleteFunc(r.GetDiagnostics(), func(d *pluginv1.Diagnostic) bool {
		return d.GetSeverity() == pluginv1.Diagnostic_WARNING
	}), err
}

func acceptsRight(ctx context.Context, s *suite) error {
	began := time.Now()
	diags, err := s.validate(ctx, s.config)
	if err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	if len(diags) > 0 {
		hint := ""
		if s.o.Config == nil {
			hint = "; the configuration was made up from the schema: give one that works"
		}
		return fmt.Errorf("it refuses %s: %s%s", s.config, words(diags), hint)
	}
	if took := time.Since(began); took > quick {
		return fmt.Errorf("it took %v: it must not use the network", took.Round(time.Millisecond))
	}
	return nil
}

// words are diagnostics for a message.
func words(diags []*pluginv1.Diagnostic) string {
	var all []string
	for _, d := range diags {
		at := ""
		for _, p := range d.GetPath() {
			at += p.GetAttribute() + ": "
		}
		all = append(all, at+d.GetSummary())
	}
	return strings.Join(all, "; ")
}

func refusesWrongTypes(ctx context.Context, s *suite) error {
	for _, a := range s.component.GetConfig().GetAttributes() {
		collection, element := split(a.GetType())
		if collection == "" && element == "string" {
			continue // numbers may stand for text
		}
		object := map[string]any{}
		if err := json.Unmarshal(s.config, &object); err != nil {
			return fmt.Errorf("the configuration is no JSON object: %w", err)
		}
		object[a.GetName()] = wrongValue(collection)
		wrong, err := json.Marshal(object)
		if err != nil {
			return err
		}
		diags, err := s.validate(ctx, wrong)
		if err != nil {
			return fmt.Errorf("it ends with %w instead of diagnostics", err)
		}
		if err := pointsAt(diags, a.GetName()); err != nil {
			return fmt.Errorf("%s of a wrong type in %s: %w", a.GetName(), wrong, err)
		}
	}
	return nil
}

// wrongValue is neither a scalar nor of the collection.
func wrongValue(collection string) any {
	switch collection {
	case "":
		return []any{map[string]any{}}
	case "map":
		return "no map"
	}
	return map[string]any{}
}

// pointsAt wants a diagnostic whose path begins with an attribute.
func pointsAt(diags []*pluginv1.Diagnostic, attribute string) error {
	at := make(map[string]bool)
	for _, d := range diags {
		if len(d.GetPath()) > 0 {
			at[d.GetPath()[0].GetAttribute()] = true
		}
	}
	switch {
	case at[attribute]:
		return nil
	case len(diags) == 0:
		return errors.New("it is accepted")
	case len(at) == 0:
		return errors.New("it is refused, without a path")
	}
	return fmt.Errorf("the path points at %s", strings.Join(slices.Sorted(maps.Keys(at)), ", "))
}

func refusesGarbage(ctx context.Context, s *suite) error {
	diags, err := s.validate(ctx, json.RawMessage(`{"`))
	if err == nil && len(diags) == 0 {
		return errors.New(`{" is accepted`)
	}
	if _, err := s.plugin.Describe(ctx); err != nil {
		return fmt.Errorf("after that it answers with %w", err)
	}
	return nil
}

func refusesUnknown(ctx context.Context, s *suite) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := pluginv1.NewPluginClient(s.plugin.Conn).Validate(ctx, &pluginv1.ValidateRequest{
		Kind: s.component.GetKind(), Name: "no-such-component", ConfigJson: []byte("{}"),
	})
	if err == nil && len(r.GetDiagnostics()) == 0 {
		return errors.New("a configuration of no-such-component is accepted")
	}
	return nil
}
