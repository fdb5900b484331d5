package config

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// schemaType is a type of the plugin protocol: a scalar, or a collection of one.
type schemaType struct {
	collection string // list, set, map; empty for a scalar
	element    string
}

// parseType reads "string", "list(int)", …
func parseType(text string) (schemaType, bool) {
	t := schemaType{element: text}
	for _, c := range []string{"list", "set", "map"} {
		if inner, ok := strings.CutPrefix(text, c+"("); ok && strings.HasSuffix(inner, ")") {
			t = schemaType{c, strings.TrimSuffix(inner, ")")}
		}
	}
	known := []string{"string", "bool", "int", "number", "duration", "address", "endpoint", "prefix"}
	return t, slices.Contains(known, t.element)
}

// convert turns a value into what travels as JSON, and checks it against the attribute.
func (b *block) convert(v value, t schemaType, a *pluginv1.Attribute) (any, bool) {
	switch t.collection {
	case "list", "set":
		return b.convertList(v, t, a)
	case "map":
		return b.convertMap(v, t, a)
	}
	return b.convertScalar(v, t.element, a)
}

func (b *block) convertList(v value, t schemaType, a *pluginv1.Attribute) (any, bool) {
	if !isList(v.Type()) {
		b.wrongType(v.at, a.GetName(), `a list like [a, b]`, v.Value)
		return nil, false
	}
	out, good := make([]any, 0, v.LengthInt()), true
	for _, e := range v.list() {
		x, ok := b.convertScalar(e, t.element, a)
		if ok && t.collection == "set" && slices.Contains(out, x) {
			b.fault(e.at, "%s has the same value twice", a.GetName()).because("Write %v once.", x)
			ok = false
		}
		out, good = append(out, x), good && ok
	}
	return out, good
}

func (b *block) convertMap(v value, t schemaType, a *pluginv1.Attribute) (any, bool) {
	if !isMap(v) {
		b.wrongType(v.at, a.GetName(), `a map like { name = value }`, v.Value)
		return nil, false
	}
	out, good := map[string]any{}, true
	for key, e := range v.AsValueMap() {
		expr, at := v.entry(key)
		x, ok := b.convertScalar(value{e, expr, at}, t.element, a)
		out[key], good = x, good && ok
	}
	return out, good
}

func (b *block) convertScalar(v value, t string, a *pluginv1.Attribute) (any, bool) {
	if v.IsNull() {
		b.fault(v.at, "%s is null", a.GetName()).because("Write a value, or leave it out.")
		return nil, false
	}
	switch t {
	case "bool":
		f, err := convert.Convert(v.Value, cty.Bool)
		if err != nil {
			b.wrongType(v.at, a.GetName(), "true or false", v.Value)
			return nil, false
		}
		return f.True(), true
	case "int", "number":
		return b.convertNumber(v, t, a)
	case "duration":
		d, ok := b.asDuration(v, a.GetName())
		if !ok {
			return nil, false
		}
		b.checkNumber(v.at, a, d.Seconds(), d.String())
		return d.String(), true
	}
	return b.convertText(v, t, a)
}

func (b *block) convertNumber(v value, t string, a *pluginv1.Attribute) (any, bool) {
	f, err := convert.Convert(v.Value, cty.Number)
	if err != nil {
		b.wrongType(v.at, a.GetName(), "a number", v.Value)
		return nil, false
	}
	x := f.AsBigFloat()
	n, exact := x.Int64()
	switch {
	case t == "int" && !x.IsInt():
		b.fault(v.at, "%s is not a whole number", a.GetName()).because("This is %s. %s", decimal(x), a.GetDoc())
	case t == "int" && exact != 0, x.IsInf() || x.MantExp(nil) > 1000:
		b.fault(v.at, "%s out of range", a.GetName()).because("This is %s.", decimal(x))
	case t == "int":
		b.checkNumber(v.at, a, float64(n), decimal(x))
		return n, b.oneOf(v, a, strconv.FormatInt(n, 10))
	default:
		n, _ := x.Float64()
		b.checkNumber(v.at, a, n, decimal(x))
		return n, true
	}
	return nil, false
}

func (b *block) convertText(v value, t string, a *pluginv1.Attribute) (any, bool) {
	s, err := convert.Convert(v.Value, cty.String)
	if err != nil {
		b.wrongType(v.at, a.GetName(), "a text in quotes", v.Value)
		return nil, false
	}
	text := s.AsString()
	if example := notA(t, text); example != "" {
		b.fault(v.at, "%s is not %s", a.GetName(), article(t)).because("%s; write it like %q.", shown(a, text), example)
		return nil, false
	}
	return text, b.oneOf(v, a, text) && b.matches(v, a, text)
}

// notA is an example of a type that the text is not of; empty where it is.
func notA(t, text string) string {
	var err error
	switch t {
	case "address":
		_, err = netip.ParseAddr(text)
		t = "10.0.0.1"
	case "endpoint":
		_, err = netip.ParseAddrPort(text)
		t = "10.0.0.1:80"
	case "prefix":
		_, err = netip.ParsePrefix(text)
		t = "10.0.0.0/24"
	}
	if err != nil {
		return t
	}
	return ""
}

func article(t string) string {
	if strings.ContainsRune("aeiou", rune(t[0])) {
		return "an " + t
	}
	return "a " + t
}

// shown is the value for a message; a secret one is not shown.
func shown(a *pluginv1.Attribute, text string) string {
	if a.GetSecret() {
		return "The value is not"
	}
	return strconv.Quote(text) + " is not"
}

func (b *block) oneOf(v value, a *pluginv1.Attribute, text string) bool {
	if len(a.GetOneOf()) == 0 || slices.Contains(a.GetOneOf(), text) {
		return true
	}
	b.fault(v.at, "%s cannot be %q", a.GetName(), text).because("It is one of %s.%s", list(a.GetOneOf()), suggest(text, a.GetOneOf()))
	return false
}

func (b *block) matches(v value, a *pluginv1.Attribute, text string) bool {
	if a.GetPattern() == "" {
		return true
	}
	re, err := regexp.Compile(`\A(?:` + a.GetPattern() + `)\z`)
	if err != nil {
		b.fault(v.at, "the plugin declares %s with a pattern that is none", a.GetName()).because("%v.", err)
		return false
	}
	if !re.MatchString(text) {
		b.fault(v.at, "%s does not have the right form", a.GetName()).because("%s of the form %s. %s", shown(a, text), a.GetPattern(), a.GetDoc())
		return false
	}
	return true
}
