package config

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// object reads the attributes and blocks of a schema as the object that travels to the plugin.
func (b *block) object(s *pluginv1.Schema) map[string]any {
	out := map[string]any{}
	for _, a := range s.GetAttributes() {
		if v, ok := b.attribute(a); ok {
			out[a.GetName()] = v
		}
	}
	for _, a := range s.GetAttributes() {
		b.checkCompany(a)
	}
	for _, n := range s.GetBlocks() {
		if v := b.nestedObjects(n); v != nil {
			out[n.GetName()] = v
		}
	}
	return out
}

// attribute reads one attribute. Defaults are not sent: the plugin has them, and they may lie outside of its limits, as a 0
// that stands for "none" does.
func (b *block) attribute(a *pluginv1.Attribute) (any, bool) {
	if !b.given(a.GetName()) {
		if a.GetRequired() {
			b.fault(b.at, "%s has no %s", b.name, a.GetName()).because("The plugin needs it (%s). %s", a.GetType(), a.GetDoc())
		}
		return nil, false
	}
	t, ok := parseType(a.GetType())
	if !ok {
		b.fault(b.where(a.GetName()), "the plugin declares %s with the unknown type %q", a.GetName(), a.GetType()).because(
			"It may be made for another release of vipward.")
		return nil, false
	}
	v, ok := b.takePlugin(a)
	if !ok {
		return nil, false
	}
	if d := a.GetDeprecated(); d != "" {
		b.warn(b.where(a.GetName()), "%s is deprecated", a.GetName()).because("%s", d)
	}
	b.checkSecret(v, a)
	return b.convert(v, t, a)
}

// checkSecret warns of a secret that everybody on this node can read in the configuration.
func (b *block) checkSecret(v value, a *pluginv1.Attribute) {
	if !a.GetSecret() || v.expr == nil {
		return
	}
	if _, diags := v.expr.Value(nil); diags.HasErrors() {
		return // it comes from elsewhere: a function, a variable
	}
	file := b.where(a.GetName()).Filename
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o004 != 0 {
		b.warn(v.at, "everybody on this node can read %s", a.GetName()).because(
			"It is secret, and stands in %s: chmod o-r %s, or write %s = trimspace(file(\"PATH\")) with a file that only root can read.",
			file, file, a.GetName())
	}
}

// takePlugin takes an attribute of a plugin. One that is a map itself counts as a map by node only where its values are maps
// and its keys are nodes.
func (b *block) takePlugin(a *pluginv1.Attribute) (value, bool) {
	if !strings.HasPrefix(a.GetType(), "map(") {
		return b.take(a.GetName())
	}
	v, ok := b.evaluate(a.GetName(), b.opt.Node)
	if ok && b.perNode && b.isMapOfMaps(v) {
		v, ok = v.pick(b.opt.Node)
	}
	return v, ok && !v.IsNull() && v.IsWhollyKnown()
}

func (b *block) isMapOfMaps(v value) bool {
	if !isMap(v) || v.IsNull() || v.LengthInt() == 0 {
		return false
	}
	for key, e := range v.AsValueMap() {
		if !isMap(value{Value: e}) || !slices.Contains(b.nodeNames(), key) {
			return false
		}
	}
	return true
}

// checkCompany reports an attribute that must not, or must, stand together with another.
func (b *block) checkCompany(a *pluginv1.Attribute) {
	if !b.given(a.GetName()) {
		return
	}
	for _, other := range a.GetConflictsWith() {
		if b.given(other) {
			b.fault(b.where(a.GetName()), "%s and %s exclude each other", a.GetName(), other).because("Keep one of them.")
		}
	}
	for _, other := range a.GetRequiredWith() {
		if !b.given(other) {
			b.fault(b.where(a.GetName()), "%s needs %s", a.GetName(), other).because("Add %s to %s as well.", other, b.name)
		}
	}
}

// nestedObjects reads the blocks of one type: an object where there can be but one, else a list; nil for none.
func (b *block) nestedObjects(n *pluginv1.NestedBlock) any {
	kids := b.nested(n.GetName(), schemaSpec(n.GetSchema()))
	least, most := int(n.GetMinItems()), int(n.GetMaxItems())
	if len(kids) < least {
		b.fault(b.at, "%s has too few blocks %s", b.name, n.GetName()).because("It needs at least %d and has %d. %s", least, len(kids), n.GetDoc())
	}
	if most > 0 && len(kids) > most {
		b.fault(kids[most].at, "%s has too many blocks %s", b.name, n.GetName()).because("It takes at most %d and has %d.", most, len(kids))
		kids = kids[:most]
	}
	var all []map[string]any
	for _, k := range kids {
		o := k.object(n.GetSchema())
		for i, label := range n.GetLabels() {
			o[label] = k.labels[i]
		}
		all = append(all, o)
	}
	switch {
	case len(all) == 0:
		return nil
	case most == 1:
		return all[0]
	}
	return all
}

// checkNumber holds a number, or the seconds of a duration, against the schema's limits.
func (b *block) checkNumber(at hcl.Range, a *pluginv1.Attribute, n float64, text string) {
	if a.Min != nil && n < a.GetMin() {
		b.fault(at, "%s out of range", a.GetName()).because("It is at least %s; this is %s. %s", limit(a, a.GetMin()), text, a.GetDoc())
	}
	if a.Max != nil && n > a.GetMax() {
		b.fault(at, "%s out of range", a.GetName()).because("It is at most %s; this is %s. %s", limit(a, a.GetMax()), text, a.GetDoc())
	}
}

// limit is a limit as it is written for the attribute: that of a duration has a unit.
func limit(a *pluginv1.Attribute, n float64) string {
	if strings.Contains(a.GetType(), "duration") {
		return time.Duration(n * float64(time.Second)).String()
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}
