package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// field is one tagged field of a configuration struct: an attribute, or a block.
type field struct {
	index   []int // for [reflect.Value.FieldByIndex]
	name    string
	attr    *pluginv1.Attribute // nil for a block
	pattern *regexp.Regexp
	block   *pluginv1.NestedBlock // nil for an attribute
	sub     []field               // of the block
}

// many tells whether a block may be repeated.
func (f *field) many() bool { return f.block != nil && f.block.GetMaxItems() != 1 }

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[Secret]()
	textTypes    = map[reflect.Type]string{
		durationType:                      "duration",
		secretType:                        "string",
		reflect.TypeFor[netip.Addr]():     "address",
		reflect.TypeFor[netip.AddrPort](): "endpoint",
		reflect.TypeFor[netip.Prefix]():   "prefix",
	}
)

// fieldsOf reads the tags of a configuration struct. Fields without the tag are the author's own and left alone; those of an
// embedded struct belong to the one that embeds it.
func fieldsOf(t reflect.Type) ([]field, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a configuration is a struct, not %v", t)
	}
	var fields []field
	for _, sf := range reflect.VisibleFields(t) {
		tag, ok := sf.Tag.Lookup("vipward")
		if !ok {
			continue
		}
		f, err := fieldOf(sf, tag)
		if err == nil && len(sf.Index) > 1 && t.FieldByIndex(sf.Index[:len(sf.Index)-1]).Type.Kind() == reflect.Pointer {
			err = errors.New("embed the struct, not a pointer to it")
		}
		if err != nil {
			return nil, fmt.Errorf("field %s of %v: %w", sf.Name, t, err)
		}
		if slices.ContainsFunc(fields, func(o field) bool { return o.name == f.name }) {
			return nil, fmt.Errorf("field %s of %v: the name %q is taken", sf.Name, t, f.name)
		}
		f.index = sf.Index
		fields = append(fields, f)
	}
	return fields, nil
}

func fieldOf(sf reflect.StructField, tag string) (field, error) {
	name, rest, _ := strings.Cut(tag, ",")
	options := strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' })
	if !sf.IsExported() || name == "" {
		return field{}, errors.New("a tagged field is exported and has a name in its tag")
	}
	for _, o := range options {
		if o != "required" && o != "secret" && o != "block" {
			return field{}, fmt.Errorf("the tag has the unknown option %q", o)
		}
	}
	required := slices.Contains(options, "required")
	if slices.Contains(options, "block") {
		return blockOf(sf, name, required)
	}
	return attributeOf(sf, name, required, slices.Contains(options, "secret"))
}

// blockOf reads a struct (one block), a pointer to one (perhaps a block) or a slice of them (any number of blocks).
func blockOf(sf reflect.StructField, name string, required bool) (field, error) {
	b := &pluginv1.NestedBlock{Name: name, Doc: sf.Tag.Get("doc"), MaxItems: 1}
	t := sf.Type
	switch t.Kind() {
	case reflect.Slice:
		t, b.MaxItems = t.Elem(), 0
	case reflect.Pointer:
		t = t.Elem()
	}
	if required {
		b.MinItems = 1
	}
	sub, err := fieldsOf(t)
	if err != nil {
		return field{}, err
	}
	b.Schema = schemaOf(sub)
	return field{name: name, block: b, sub: sub}, nil
}

func attributeOf(sf reflect.StructField, name string, required, secret bool) (field, error) {
	typ, err := typeName(sf.Type)
	if err != nil {
		return field{}, err
	}
	a := &pluginv1.Attribute{
		Name: name, Type: typ, Required: required, Secret: secret || holdsSecret(sf.Type),
		Doc: sf.Tag.Get("doc"), Pattern: sf.Tag.Get("pattern"), Deprecated: sf.Tag.Get("deprecated"),
	}
	f := field{name: name, attr: a}
	if s := sf.Tag.Get("one_of"); s != "" {
		a.OneOf = strings.Split(s, ",")
	}
	if a.GetPattern() != "" {
		if f.pattern, err = regexp.Compile("^(?:" + a.GetPattern() + ")$"); err != nil {
			return field{}, fmt.Errorf("pattern: %w", err)
		}
	}
	if a.Min, err = limit(sf, "min"); err != nil {
		return field{}, err
	}
	if a.Max, err = limit(sf, "max"); err != nil {
		return field{}, err
	}
	implyLimits(a, sf.Type)
	if s, ok := sf.Tag.Lookup("default"); ok {
		if a.DefaultJson, err = defaultJSON(s, sf.Type); err != nil {
			return field{}, fmt.Errorf("default %q: %w", s, err)
		}
	}
	return f, nil
}

// holdsSecret tells whether a type is a Secret, or a list or map of them.
func holdsSecret(t reflect.Type) bool {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		return holdsSecret(t.Elem())
	}
	return t == secretType
}

// typeName is the schema's name for a Go type.
func typeName(t reflect.Type) (string, error) {
	if name, ok := textTypes[t]; ok {
		return name, nil
	}
	switch t.Kind() {
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "bool", nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int", nil
	case reflect.Float32, reflect.Float64:
		return "number", nil
	case reflect.Slice:
		elem, err := typeName(t.Elem())
		return "list(" + elem + ")", err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return "", fmt.Errorf("the keys of a map are strings, not %v", t.Key())
		}
		elem, err := typeName(t.Elem())
		return "map(" + elem + ")", err
	}
	return "", fmt.Errorf("%v is no type of an attribute (a struct needs the option block)", t)
}

// implyLimits adds what a type of integer cannot hold to the limits of the attribute, so that vipward says it in the same words.
func implyLimits(a *pluginv1.Attribute, t reflect.Type) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t == durationType || textTypes[t] != "" {
		return
	}
	least, most := math.Inf(-1), math.Inf(1)
	switch t.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32:
		most = math.Exp2(float64(t.Bits()-1)) - 1
		least = -most - 1
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		least, most = 0, math.Exp2(float64(t.Bits()))-1
	case reflect.Uint, reflect.Uint64:
		least = 0
	}
	if !math.IsInf(least, 0) && (a.Min == nil || a.GetMin() < least) {
		a.Min = &least
	}
	if !math.IsInf(most, 0) && (a.Max == nil || a.GetMax() > most) {
		a.Max = &most
	}
}

// limit reads a min or max tag: a number, or for durations a text with a unit that becomes seconds.
func limit(sf reflect.StructField, tag string) (*float64, error) {
	s, ok := sf.Tag.Lookup(tag)
	if !ok {
		return nil, nil
	}
	if sf.Type == durationType {
		d, err := time.ParseDuration(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tag, err)
		}
		v := d.Seconds()
		return &v, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tag, err)
	}
	return &v, nil
}

// defaultJSON turns a default tag into the form in which the value travels. Lists and maps are written as JSON.
func defaultJSON(s string, t reflect.Type) (string, error) {
	raw := json.RawMessage(s)
	if _, isText := textTypes[t]; isText || t.Kind() == reflect.String {
		raw, _ = json.Marshal(s)
	}
	if !json.Valid(raw) {
		return "", errors.New("no JSON")
	}
	return string(raw), setValue(reflect.New(t).Elem(), raw, nil)
}

// schemaOf is what the fields declare.
func schemaOf(fields []field) *pluginv1.Schema {
	s := &pluginv1.Schema{}
	for i := range fields {
		if fields[i].attr != nil {
			s.Attributes = append(s.Attributes, fields[i].attr)
		} else {
			s.Blocks = append(s.Blocks, fields[i].block)
		}
	}
	return s
}
