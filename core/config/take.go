package config

import (
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// text takes an attribute that is a text.
func (b *block) text(name, otherwise string) string {
	v, ok := b.take(name)
	if !ok {
		return otherwise
	}
	s, err := convert.Convert(v.Value, cty.String)
	if err != nil {
		b.wrongType(v.at, name, "a text in quotes", v.Value)
		return otherwise
	}
	return s.AsString()
}

func (b *block) wrongType(at hcl.Range, name, want string, got cty.Value) {
	b.fault(at, "%s is not %s", name, want).because("It is %s. Write %s.", friendly(got.Type()), want)
	b.broken = append(b.broken, at)
}

// friendly names a type as people say it.
func friendly(t cty.Type) string {
	switch {
	case t == cty.String:
		return "a text"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case t.IsObjectType(), t.IsMapType():
		return "a map"
	case t.IsTupleType(), t.IsListType(), t.IsSetType():
		return "a list"
	}
	return "a " + t.FriendlyName()
}

// choice takes a text that is one of a few.
func (b *block) choice(name, otherwise string, allowed ...string) string {
	s := b.text(name, otherwise)
	if s == otherwise || slices.Contains(allowed, s) {
		return s
	}
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		quoted[i] = strconv.Quote(a)
	}
	hint := suggest(strings.ToLower(s), allowed)
	if hint == "" {
		hint = suggest(strings.ToUpper(s), allowed)
	}
	b.fault(b.where(name), "%s cannot be %q", name, s).because("It is one of %s.%s", list(quoted), hint)
	return otherwise
}

// flag takes true or false.
func (b *block) flag(name string, otherwise bool) bool {
	v, ok := b.take(name)
	if !ok {
		return otherwise
	}
	f, err := convert.Convert(v.Value, cty.Bool)
	if err != nil {
		b.wrongType(v.at, name, "true or false", v.Value)
		return otherwise
	}
	return f.True()
}

// integer takes a whole number from least to most; why is a sentence about its meaning and range.
func (b *block) integer(name string, otherwise, least, most int, why string) int {
	v, ok := b.take(name)
	if !ok {
		return otherwise
	}
	n, ok := b.number(v, name, least, most, why)
	if !ok {
		return otherwise
	}
	return n
}

func (b *block) number(v value, name string, least, most int, why string) (int, bool) {
	f, err := convert.Convert(v.Value, cty.Number)
	if err != nil {
		b.wrongType(v.at, name, "a whole number", v.Value)
		return 0, false
	}
	x := f.AsBigFloat()
	n, exact := x.Int64()
	switch {
	case exact != 0 && !x.IsInt():
		b.fault(v.at, "%s is not a whole number", name).because("%s This is %s.", why, decimal(x))
		return 0, false
	case exact != 0 || n < int64(least) || n > int64(most):
		b.fault(v.at, "%s out of range", name).because("%s This is %s.", why, decimal(x))
		return 0, false
	}
	return int(n), true
}

// decimal is a number for a message. The digits of a huge one would take long to find.
func decimal(f *big.Float) string {
	if f.IsInf() || f.MantExp(nil) > 1100 || f.MantExp(nil) < -1100 {
		return "beyond all measure"
	}
	return f.Text('g', 10)
}

// span is the range of a duration.
type span struct {
	least, most, step time.Duration
	// why is a sentence about its meaning and range.
	why string
}

// duration takes a duration.
func (b *block) duration(name string, otherwise time.Duration, s span) time.Duration {
	v, ok := b.take(name)
	if !ok {
		return otherwise
	}
	d, ok := b.asDuration(v, name)
	if !ok {
		return otherwise
	}
	return b.within(v, name, d, otherwise, s)
}

func (b *block) within(v value, name string, d, otherwise time.Duration, s span) time.Duration {
	if s.most == 0 {
		s.most = math.MaxInt64
	}
	switch {
	case d < s.least || d > s.most:
		b.fault(v.at, "%s out of range", name).because("%s This is %v.", s.why, d)
	case s.step > 0 && d%s.step != 0:
		b.fault(v.at, "%s is no multiple of %v", name, s.step).because("%s This is %v.", s.why, d)
	default:
		return d
	}
	return otherwise
}

func (b *block) asDuration(v value, name string) (time.Duration, bool) {
	if v.Type() != cty.String && v.Type() != cty.Number {
		b.wrongType(v.at, name, `a duration like "1s" or "250ms"`, v.Value)
		return 0, false
	}
	s, _ := convert.Convert(v.Value, cty.String)
	d, err := time.ParseDuration(s.AsString())
	if err == nil && v.Type() == cty.String {
		return d, true
	}
	b.fault(v.at, "%s is not a duration", name).because("%s", durationHint(s.AsString()))
	return 0, false
}

// durationHint says what to write instead of a text that is no duration.
func durationHint(s string) string {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Sprintf(`A duration has a unit: write "%ss" for seconds, or "%sms" for milliseconds.`, s, s)
	}
	for _, word := range []string{"seconds", "second", "secs", "sec"} {
		if n := strings.TrimSpace(strings.TrimSuffix(s, word)); n != s {
			if _, err := strconv.ParseFloat(n, 64); err == nil {
				return fmt.Sprintf(`The units are "ms", "s", "m" and "h": write "%ss".`, n)
			}
		}
	}
	return fmt.Sprintf(`%q has to be a number with a unit, like "1s", "250ms" or "1m30s".`, s)
}

// address takes an IP address; invalid where it is not given.
func (b *block) address(name string) netip.Addr {
	v, ok := b.take(name)
	if !ok {
		return netip.Addr{}
	}
	return b.asAddress(v, name)
}

func (b *block) asAddress(v value, name string) netip.Addr {
	s, err := convert.Convert(v.Value, cty.String)
	if err != nil || s.IsNull() {
		b.wrongType(v.at, name, `an address like "10.0.0.1"`, v.Value)
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s.AsString())
	switch {
	case err == nil && a.Zone() == "":
		return a.Unmap()
	case strings.Contains(s.AsString(), "/"):
		b.fault(v.at, "%s is not an address", name).because("%q has a prefix length; write the address alone.", s.AsString())
	default:
		b.fault(v.at, "%s is not an address", name).because(`%q is not; write it like "10.0.0.1".`, s.AsString())
	}
	return netip.Addr{}
}

// elements takes a list; absent is empty.
func (b *block) elements(name string) []value {
	v, ok := b.take(name)
	if !ok {
		return nil
	}
	if !isList(v.Type()) {
		b.wrongType(v.at, name, `a list like ["a", "b"]`, v.Value)
		return nil
	}
	return v.list()
}

func isList(t cty.Type) bool { return t.IsTupleType() || t.IsListType() || t.IsSetType() }

// list is the elements of a list, each with its own place where it has one.
func (v value) list() []value {
	exprs, _ := hcl.ExprList(v.expr)
	var out []value
	for i, e := range v.AsValueSlice() {
		x := value{e, v.expr, v.at}
		if len(exprs) == v.LengthInt() {
			x.expr, x.at = exprs[i], exprs[i].Range()
		}
		out = append(out, x)
	}
	return out
}

// names takes a list of names, each once.
func (b *block) names(name string) (texts []string, places []hcl.Range) {
	for _, v := range b.elements(name) {
		s, err := convert.Convert(v.Value, cty.String)
		switch {
		case err != nil || s.IsNull():
			b.wrongType(v.at, name, "a list of texts", v.Value)
		case slices.Contains(texts, s.AsString()):
			b.fault(v.at, "%s has %q twice", name, s.AsString()).because("Write it once.")
		default:
			texts, places = append(texts, s.AsString()), append(places, v.at)
		}
	}
	return texts, places
}
