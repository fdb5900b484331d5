package sdk

import (
	"errors"
	"fmt"
	"slices"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// pathError is a fault at one place of a configuration.
type pathError struct {
	err  error
	path []any
}

// PathError says where in the configuration a fault is: names of attributes and blocks as strings, elements of lists and
// repeated blocks as ints, counted from 0. PathError(err, "status", 1) is the second element of status. Several faults are
// reported with [errors.Join]. A nil error stays nil.
func PathError(err error, path ...any) error {
	if err == nil {
		return nil
	}
	if inner, ok := err.(*pathError); ok { // only what is a path itself grows; what wraps one keeps its words
		return &pathError{inner.err, slices.Concat(path, inner.path)}
	}
	return &pathError{err, path}
}

func (e *pathError) Error() string {
	s := ""
	for _, step := range e.path {
		switch step := step.(type) {
		case int:
			s += fmt.Sprintf("[%d]", step)
		default:
			if s != "" {
				s += "."
			}
			s += fmt.Sprint(step)
		}
	}
	if s == "" {
		return e.err.Error()
	}
	return s + ": " + e.err.Error()
}

func (e *pathError) Unwrap() error { return e.err }

// warning is a fault that does not make a configuration invalid.
type warning struct{ err error }

// Warning makes what Validate returns a warning: the operator reads it, and the configuration is used. It may stand inside
// or around a [PathError]. A nil error stays nil.
func Warning(err error) error {
	if err == nil {
		return nil
	}
	return &warning{err}
}

func (e *warning) Error() string { return e.err.Error() }
func (e *warning) Unwrap() error { return e.err }

// faults takes apart what Validate returned: joined errors one by one, nil none.
func faults(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) // the outermost error only: a join inside a fault is its text
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, faults(e)...)
	}
	return all
}

// invalid joins the faults that are not warnings.
func invalid(err error) error {
	var all []error
	for _, e := range faults(err) {
		if !errors.As(e, new(*warning)) {
			all = append(all, e)
		}
	}
	return errors.Join(all...)
}

// diagnostics are the faults as they travel.
func diagnostics(err error) []*pluginv1.Diagnostic {
	var all []*pluginv1.Diagnostic
	for _, e := range faults(err) {
		d := &pluginv1.Diagnostic{Summary: clean(e.Error(), maxReason)}
		if errors.As(e, new(*warning)) {
			d.Severity = pluginv1.Diagnostic_WARNING
		}
		if p := (*pathError)(nil); errors.As(e, &p) {
			d.Summary, d.Path = clean(p.err.Error(), maxReason), steps(p.path)
		}
		all = append(all, d)
	}
	return all
}

func steps(path []any) []*pluginv1.PathStep {
	var all []*pluginv1.PathStep
	for _, step := range path {
		switch step := step.(type) {
		case int:
			all = append(all, &pluginv1.PathStep{Step: &pluginv1.PathStep_Index{Index: int64(step)}})
		case mapKey:
			all = append(all, &pluginv1.PathStep{Step: &pluginv1.PathStep_Key{Key: string(step)}})
		default:
			all = append(all, &pluginv1.PathStep{Step: &pluginv1.PathStep_Attribute{Attribute: fmt.Sprint(step)}})
		}
	}
	return all
}

// mapKey is a step of a path into a map.
type mapKey string
