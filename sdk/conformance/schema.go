package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// schemaChecks hold of what a component declares.
func schemaChecks() []check {
	return []check{
		{"its attributes have known types", each(knownType)},
		{"its attributes and blocks have well-formed names, each once", wellFormedNames},
		{"it leaves vipward's own names alone", reservedNames},
		{"its attributes and blocks are documented", documented},
		{"its constraints make sense", each(sensible)},
		{"its defaults are of the declared type and allowed values", each(goodDefault)},
	}
}

// each makes a check of one attribute a check of all of them, those of nested blocks too.
func each(f func(*pluginv1.Attribute) error) func(context.Context, *suite) error {
	return func(_ context.Context, s *suite) error {
		return walk(s.component.GetConfig(), func(schema *pluginv1.Schema) error {
			for _, a := range schema.GetAttributes() {
				if err := f(a); err != nil {
					return fmt.Errorf("%s %w", a.GetName(), err)
				}
			}
			return nil
		})
	}
}

// walk visits a schema and those of its blocks.
func walk(schema *pluginv1.Schema, f func(*pluginv1.Schema) error) error {
	if err := f(schema); err != nil {
		return err
	}
	for _, b := range schema.GetBlocks() {
		if err := walk(b.GetSchema(), f); err != nil {
			return fmt.Errorf("%s.%w", b.GetName(), err)
		}
	}
	return nil
}

// split takes a type apart: list(int) is a list of int, int is no collection of int.
func split(t string) (collection, element string) {
	if name, rest, ok := strings.Cut(t, "("); ok && strings.HasSuffix(rest, ")") {
		return name, strings.TrimSuffix(rest, ")")
	}
	return "", t
}

func knownType(a *pluginv1.Attribute) error {
	collection, element := split(a.GetType())
	if !slices.Contains([]string{"", "list", "set", "map"}, collection) ||
		!slices.Contains([]string{"string", "bool", "int", "number", "duration", "address", "endpoint", "prefix"}, element) {
		return fmt.Errorf("has the unknown type %q", a.GetType())
	}
	return nil
}

func wellFormedNames(_ context.Context, s *suite) error {
	form := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	return walk(s.component.GetConfig(), func(schema *pluginv1.Schema) error {
		var all []string
		for _, a := range schema.GetAttributes() {
			all = append(all, a.GetName())
		}
		for _, b := range schema.GetBlocks() {
			all = append(all, b.GetName())
		}
		slices.Sort(all)
		for i, name := range all {
			if !form.MatchString(name) {
				return fmt.Errorf("%q is not of the form %v", name, form)
			}
			if i > 0 && all[i-1] == name {
				return fmt.Errorf("%q is there twice", name)
			}
		}
		return nil
	})
}

// reserved are the names that blocks of each kind have themselves; nil for a kind that there is not.
func reserved(k pluginv1.Kind) []string {
	switch k {
	case pluginv1.Kind_CHECKER:
		return []string{"interval", "timeout", "rise", "fall", "retry_interval", "warmup", "initial", "on_unknown", "weight", "labels"}
	case pluginv1.Kind_NOTIFIER:
		return []string{"events", "retry"}
	case pluginv1.Kind_FENCER, pluginv1.Kind_WITNESS:
		return []string{"timeout"}
	}
	return nil
}

func reservedNames(_ context.Context, s *suite) error {
	taken := reserved(s.component.GetKind())
	for _, a := range s.component.GetConfig().GetAttributes() {
		if slices.Contains(taken, a.GetName()) {
			return fmt.Errorf("the attribute %s is vipward's own: give it another name", a.GetName())
		}
	}
	for _, b := range s.component.GetConfig().GetBlocks() {
		if slices.Contains(taken, b.GetName()) {
			return fmt.Errorf("the block %s is vipward's own: give it another name", b.GetName())
		}
	}
	return nil
}

func documented(_ context.Context, s *suite) error {
	return walk(s.component.GetConfig(), func(schema *pluginv1.Schema) error {
		for _, a := range schema.GetAttributes() {
			if strings.TrimSpace(a.GetDoc()) == "" {
				return fmt.Errorf("%s has no doc", a.GetName())
			}
		}
		for _, b := range schema.GetBlocks() {
			if strings.TrimSpace(b.GetDoc()) == "" {
				return fmt.Errorf("the block %s has no doc", b.GetName())
			}
		}
		return nil
	})
}

func sensible(a *pluginv1.Attribute) error {
	if a.Min != nil && a.Max != nil && a.GetMin() > a.GetMax() {
		return fmt.Errorf("has the minimum %v above the maximum %v", a.GetMin(), a.GetMax())
	}
	if _, err := regexp.Compile(a.GetPattern()); err != nil {
		return fmt.Errorf("has a pattern that is none: %w", err)
	}
	if a.GetRequired() && a.GetDefaultJson() != "" {
		return errors.New("is required and has a default")
	}
	return nil
}

func goodDefault(a *pluginv1.Attribute) error {
	if a.GetDefaultJson() == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(a.GetDefaultJson()), &v); err != nil {
		return fmt.Errorf("has the default %s, which is no JSON", a.GetDefaultJson())
	}
	collection, element := split(a.GetType())
	elements, ok := []any{v}, true
	switch collection {
	case "list", "set":
		elements, ok = v.([]any)
	case "map":
		var m map[string]any
		if m, ok = v.(map[string]any); ok {
			elements = nil
			for _, e := range m {
				elements = append(elements, e)
			}
		}
	}
	for _, e := range elements {
		ok = ok && fits(e, element)
		if text := fmt.Sprint(e); ok && len(a.GetOneOf()) > 0 && !slices.Contains(a.GetOneOf(), text) {
			return fmt.Errorf("has the default %q, which is not one of %s", text, strings.Join(a.GetOneOf(), ", "))
		}
	}
	if !ok {
		return fmt.Errorf("has the default %s, which is no %s", a.GetDefaultJson(), a.GetType())
	}
	return nil
}

// fits tells whether a JSON value is of a scalar type.
func fits(v any, t string) bool {
	text, isText := v.(string)
	n, isNumber := v.(float64)
	var err error
	switch t {
	case "bool":
		_, ok := v.(bool)
		return ok
	case "int":
		return isNumber && n == float64(int64(n))
	case "number":
		return isNumber
	case "duration":
		_, err = time.ParseDuration(text)
	case "address":
		_, err = netip.ParseAddr(text)
	case "endpoint":
		_, err = netip.ParseAddrPort(text)
	case "prefix":
		_, err = netip.ParsePrefix(text)
	}
	return isText && (err == nil || text == "")
}
