package sdk

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decode reads a configuration that came as a JSON object into the struct v: defaults first, then what is there, each value
// checked against its tags. The error joins a [PathError] for every fault.
func decode(fields []field, raw []byte, v reflect.Value, path []any) error {
	object := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := json.Unmarshal(raw, &object); err != nil {
			return PathError(errors.New("not an object"), path...)
		}
	}
	var all []error
	for i := range fields {
		f := &fields[i]
		at := append(slices.Clone(path), f.name)
		value, ok := object[f.name]
		delete(object, f.name)
		if string(value) == "null" {
			value, ok = nil, false
		}
		if f.block != nil {
			all = append(all, f.decodeBlock(value, v.FieldByIndex(f.index), at))
		} else {
			all = append(all, f.decodeAttribute(value, ok, v.FieldByIndex(f.index), at))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		all = append(all, PathError(errors.New("no such attribute or block"), append(slices.Clone(path), name)...))
	}
	return errors.Join(all...)
}

func (f *field) decodeAttribute(raw json.RawMessage, given bool, v reflect.Value, path []any) error {
	switch {
	case given:
	case f.attr.GetRequired():
		return PathError(errors.New("required"), path...)
	case f.attr.GetDefaultJson() != "":
		raw = json.RawMessage(f.attr.GetDefaultJson())
	default:
		return nil
	}
	if err := setValue(v, raw, path); err != nil {
		return err
	}
	if !given {
		return nil // a default needs no permission: 0 may stand for "none" below min
	}
	return f.check(v, path)
}

func (f *field) decodeBlock(raw json.RawMessage, v reflect.Value, path []any) error {
	var items []json.RawMessage
	switch {
	case len(raw) == 0:
	case f.many():
		if err := json.Unmarshal(raw, &items); err != nil {
			return PathError(errors.New("not a list of blocks"), path...)
		}
	default:
		items = append(items, raw)
	}
	if uint64(len(items)) < uint64(f.block.GetMinItems()) {
		return PathError(errors.New("required"), path...)
	}
	if !f.many() {
		if len(items) == 0 {
			if v.Kind() == reflect.Pointer {
				return nil
			}
			items = append(items, json.RawMessage("{}")) // for the defaults
		}
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
		}
		return decode(f.sub, items[0], v, path)
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	var all []error
	for i, item := range items {
		all = append(all, decode(f.sub, item, v.Index(i), append(slices.Clone(path), i)))
	}
	return errors.Join(all...)
}

// setValue sets v from one JSON value. A scalar may come as its text, a text as a scalar.
func setValue(v reflect.Value, raw json.RawMessage, path []any) error {
	switch _, isText := textTypes[v.Type()]; {
	case isText:
		return PathError(setText(v, scalar(raw)), path...)
	case v.Kind() == reflect.Slice:
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return PathError(errors.New("not a list"), path...)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		var all []error
		for i, item := range items {
			all = append(all, setValue(v.Index(i), item, append(slices.Clone(path), i)))
		}
		return errors.Join(all...)
	case v.Kind() == reflect.Map:
		return setMap(v, raw, path)
	}
	return PathError(setScalar(v, raw), path...)
}

func setMap(v reflect.Value, raw json.RawMessage, path []any) error {
	var items map[string]json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return PathError(errors.New("not a map"), path...)
	}
	v.Set(reflect.MakeMap(v.Type()))
	var all []error
	for _, key := range slices.Sorted(maps.Keys(items)) {
		elem := reflect.New(v.Type().Elem()).Elem()
		all = append(all, setValue(elem, items[key], append(slices.Clone(path), mapKey(key))))
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), elem)
	}
	return errors.Join(all...)
}

// setText sets the types that travel as text.
func setText(v reflect.Value, s string) error {
	switch v.Type() {
	case secretType:
		v.SetString(s)
		return nil
	case durationType:
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf(`%q is no duration: write a number with a unit, as "1s" or "250ms"`, s)
		}
		v.SetInt(int64(d))
		return nil
	}
	if s == "" {
		return nil
	}
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
}

func setScalar(v reflect.Value, raw json.RawMessage) error {
	s := scalar(raw)
	var err error
	switch {
	case v.Kind() == reflect.String:
		if strings.HasPrefix(s, "[") || strings.HasPrefix(s, "{") {
			if s == string(raw) {
				return errors.New("not a text")
			}
		}
		v.SetString(s)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(s)
		v.SetBool(b)
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(s, 10, v.Type().Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(s, 10, v.Type().Bits())
		v.SetUint(n)
	default:
		var n float64
		n, err = strconv.ParseFloat(s, v.Type().Bits())
		v.SetFloat(n)
	}
	if err != nil {
		return fmt.Errorf("%q is no %v", s, v.Type())
	}
	return nil
}

// scalar is the text of a JSON value: a string without its quotes, anything else as it stands.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
