package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// addVariable gives a variable its value: that of the environment, else its default.
func (l *loading) addVariable(vars map[string]cty.Value, b kid) {
	s := spec{attrs: []string{"default", "type", "description"}}
	content, diags := b.Body.Content(s.schema())
	l.addHCL(diags, s)
	name, at := b.Labels[0], labelRange(b.Block)
	if _, ok := vars[name]; ok {
		l.fault(at, "variable %q is declared twice", name).because("Remove one of the two blocks.")
		return
	}
	vars[name] = cty.DynamicVal // until it has a value, and where it gets none
	want, value := l.variableType(content.Attributes["type"]), cty.NilVal
	if a := content.Attributes["default"]; a != nil {
		at = a.Expr.Range()
		value, diags = a.Expr.Value(&hcl.EvalContext{Functions: l.functions(b.src)})
		l.addHCL(diags, spec{})
		if want == cty.DynamicPseudoType {
			want = value.Type()
		}
	}
	if v := l.fromEnvironment(name, want, at); v != cty.NilVal {
		value = v
	}
	if value == cty.NilVal {
		l.fault(at, "variable %q has no value", name).because(
			"It has no default. Set VIPWARD_VAR_%s in the environment, or give it one: default = …", name)
		return
	}
	value, err := convert.Convert(value, want)
	if err != nil {
		l.fault(at, "variable %q has the wrong type", name).because("The value is not of the type that is asked for: %v.", err)
		return
	}
	vars[name] = value
}

// variableType is the type that an attribute `type` asks for; without one, any.
func (l *loading) variableType(a *hcl.Attribute) cty.Type {
	if a == nil {
		return cty.DynamicPseudoType
	}
	t, diags := typeexpr.TypeConstraint(a.Expr)
	l.addHCL(diags, spec{})
	return t
}

// fromEnvironment is the value of VIPWARD_VAR_NAME, or NilVal where that is not set. A text is taken as it is; what has another
// type is written as in the configuration.
func (l *loading) fromEnvironment(name string, want cty.Type, at hcl.Range) cty.Value {
	text, ok := l.opt.Environ("VIPWARD_VAR_" + name)
	if !ok {
		return cty.NilVal
	}
	if want == cty.String || want == cty.DynamicPseudoType {
		return cty.StringVal(text)
	}
	file := "VIPWARD_VAR_" + name
	if diags := checkLimits([]byte(text), file); diags.HasErrors() {
		l.fault(at, "%s is too large or too deep", file).because("Write a plain value of the type %s.", want.FriendlyName())
		return cty.DynamicVal
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), file, hcl.InitialPos)
	if !diags.HasErrors() {
		v, more := expr.Value(nil)
		if diags = append(diags, more...); !diags.HasErrors() {
			return v
		}
	}
	l.fault(at, "%s is no value of the type %s", file, want.FriendlyName()).because(
		"Write it as it would stand in this file, like %s. Texts within it need their quotes.", exampleOf(want))
	return cty.DynamicVal
}

// exampleOf is a value of a type as it is written.
func exampleOf(t cty.Type) string {
	switch {
	case t == cty.Number:
		return "5"
	case t == cty.Bool:
		return "true"
	case isList(t):
		return `["a", "b"]`
	}
	return `{ a = "b" }`
}
