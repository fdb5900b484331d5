package sdk

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// check holds a value, or each element of a list or map, against the constraints of its tags.
func (f *field) check(v reflect.Value, path []any) error {
	var all []error
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			all = append(all, PathError(f.checkOne(v.Index(i)), append(slices.Clone(path), i)...))
		}
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			all = append(all, PathError(f.checkOne(v.MapIndex(key)), append(slices.Clone(path), mapKey(key.String()))...))
		}
	default:
		all = append(all, PathError(f.checkOne(v), path...))
	}
	return errors.Join(all...)
}

func (f *field) checkOne(v reflect.Value) error {
	text, shown := textOf(v), textOf(v)
	if f.attr.GetSecret() {
		shown = masked
	}
	if allowed := f.attr.GetOneOf(); len(allowed) > 0 && !slices.Contains(allowed, text) {
		return fmt.Errorf("%q is not one of %s", shown, strings.Join(allowed, ", "))
	}
	if f.pattern != nil && !f.pattern.MatchString(text) {
		return fmt.Errorf("%q does not match %s", shown, f.attr.GetPattern())
	}
	n, ok := number(v)
	if ok && (f.attr.Min != nil && n < f.attr.GetMin() || f.attr.Max != nil && n > f.attr.GetMax()) {
		return fmt.Errorf("%s is out of range: %s", shown, f.limits(v.Type()))
	}
	return nil
}

// limits words what min and max allow.
func (f *field) limits(t reflect.Type) string {
	show := func(n float64) string {
		if t == durationType {
			return time.Duration(n * float64(time.Second)).String()
		}
		return fmt.Sprint(n)
	}
	switch {
	case f.attr.Max == nil:
		return "at least " + show(f.attr.GetMin())
	case f.attr.Min == nil:
		return "at most " + show(f.attr.GetMax())
	}
	return show(f.attr.GetMin()) + " to " + show(f.attr.GetMax())
}

// textOf is a value as it stands in a configuration.
func textOf(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return v.String() // also of a Secret, whose own formatting hides it
	}
	return fmt.Sprint(v.Interface())
}

// number is the value of a number; of a duration, its seconds.
func number(v reflect.Value) (float64, bool) {
	switch {
	case v.Type() == durationType:
		return time.Duration(v.Int()).Seconds(), true
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}
