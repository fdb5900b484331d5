package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// component is a block of which some attributes are the core's and the rest a plugin's.
type component struct {
	*block
	kind pluginv1.Kind
	name string
	decl Plugin
	// schema is what the plugin declares; nil where it cannot be had, which has been reported.
	schema *pluginv1.Schema
}

// openComponent opens the block of the component that its first label names.
func (l *loading) openComponent(k kid, kind pluginv1.Kind, core spec, perNode bool) *component {
	c := &component{kind: kind, name: k.Labels[0]}
	c.decl = l.declaration(c.name)
	l.pluginUsed[c.name] = true
	schema, err := l.opt.Plugins.Schema(l.ctx, kind, c.name, c.decl)
	if err != nil {
		c.block = l.openPartly(k, core, perNode)
		l.noSchema(k, c, err)
		return c
	}
	if name := clash(core, schema); name != "" {
		c.block = l.openPartly(k, core, perNode)
		l.fault(k.LabelRanges[0], "plugin %q cannot be used here", c.name).because(
			"It declares the attribute %s, which is vipward's own. The plugin has to give it another name.", name)
		return c
	}
	c.schema = schema
	if kind == pluginv1.Kind_CHECKER {
		core = core.with(connectionSpec(schema))
	}
	c.block = l.open(k, core.with(schemaSpec(schema)), perNode)
	return c
}

// declaration is the block `plugin` of a name, or what holds without one.
func (l *loading) declaration(name string) Plugin {
	if p, ok := l.cfg.Plugins[name]; ok {
		return p
	}
	return Plugin{Name: name, Lock: l.lock.of(name)}
}

// clash is the first name that both the core and the plugin take.
func clash(core spec, s *pluginv1.Schema) string {
	for _, a := range s.GetAttributes() {
		if slices.Contains(core.attrs, a.GetName()) {
			return a.GetName()
		}
	}
	return ""
}

// schemaSpec is the plugin's schema as the spec of a block.
func schemaSpec(s *pluginv1.Schema) spec {
	var out spec
	for _, a := range s.GetAttributes() {
		out.attrs = append(out.attrs, a.GetName())
	}
	for _, n := range s.GetBlocks() {
		out.blocks = append(out.blocks, header(n.GetName(), n.GetLabels()...))
	}
	return out
}

// noSchema reports that the plugin of a block is not there, or does not answer.
func (l *loading) noSchema(k kid, c *component, err error) {
	var missing *MissingPlugin
	if !errors.As(err, &missing) {
		l.fault(k.LabelRanges[0], "plugin %q does not say what it takes", c.name).because("%v.", err)
		return
	}
	r := l.fault(k.LabelRanges[0], "no plugin %q", c.name)
	found := slices.Clone(missing.Found)
	slices.Sort(found)
	switch {
	case c.decl.Path != "":
		r.because("There is no executable %s, which the block plugin %q names.", c.decl.Path, c.name)
	case len(missing.Searched) == 0:
		r.because("No directory is searched for plugins. Name one with --plugin-dir.")
	default:
		r.because("There is no executable vipward-plugin-%s in %s. The plugins there are %s.%s Name another directory with --plugin-dir, or write plugin %q { path = \"…\" }.",
			c.name, strings.Join(missing.Searched, ", "), list(found), suggest(c.name, found), c.name)
	}
}

// decode reads the plugin's own part of the block and lets the plugin judge it. It is false where a fault has been reported.
func (c *component) decode() (json.RawMessage, bool) {
	if c.schema == nil {
		return nil, false
	}
	before := c.errors()
	object := c.object(c.schema)
	text, err := json.Marshal(object)
	if err != nil {
		c.fault(c.at, "%s cannot be sent to its plugin", c.block.name).because("%v.", err)
	}
	if c.errors() > before {
		return nil, false
	}
	diags, err := c.opt.Plugins.Validate(c.ctx, c.kind, c.name, c.decl, text)
	if err != nil {
		c.fault(c.at, "plugin %q does not answer", c.name).because("It was asked whether this block is right: %v.", err)
		return nil, false
	}
	for _, d := range diags {
		c.relay(d)
	}
	return text, c.errors() == before
}

func (l *loading) errors() int {
	n := 0
	for _, d := range l.diags {
		if d.Severity == hcl.DiagError {
			n++
		}
	}
	return n
}

// relay reports what the plugin found, at the place that its path leads to.
func (c *component) relay(d *pluginv1.Diagnostic) {
	severity := hcl.DiagError
	if d.GetSeverity() == pluginv1.Diagnostic_WARNING {
		severity = hcl.DiagWarning
	}
	detail := d.GetDetail()
	if detail == "" {
		detail = fmt.Sprintf("The plugin %s says so.", c.name)
	}
	c.report(severity, c.follow(c.schema, d.GetPath()), d.GetSummary()).because("%s", detail)
}

// follow is the place that a path leads to within the block, as far as it can be followed.
func (b *block) follow(s *pluginv1.Schema, path []*pluginv1.PathStep) hcl.Range {
	if len(path) == 0 {
		return b.at
	}
	name := path[0].GetAttribute()
	if b.given(name) {
		v, ok := b.takePlugin(schemaAttribute(s, name))
		if !ok {
			return b.where(name)
		}
		return v.follow(path[1:])
	}
	for _, n := range s.GetBlocks() {
		kids := b.quietly(func() []*block { return b.nested(n.GetName(), schemaSpec(n.GetSchema())) })
		if n.GetName() != name || len(kids) == 0 {
			continue
		}
		path, k := path[1:], 0
		if len(path) > 0 && n.GetMaxItems() != 1 {
			k, path = int(path[0].GetIndex()), path[1:]
		}
		if k >= 0 && k < len(kids) {
			return kids[k].follow(n.GetSchema(), path)
		}
	}
	return b.at
}

// quietly opens blocks again, without their diagnostics.
func (b *block) quietly(open func() []*block) []*block {
	before := b.diags
	defer func() { b.diags = before }()
	return open()
}

func schemaAttribute(s *pluginv1.Schema, name string) *pluginv1.Attribute {
	for _, a := range s.GetAttributes() {
		if a.GetName() == name {
			return a
		}
	}
	return &pluginv1.Attribute{Name: name}
}

// follow is the place of an element of the value.
func (v value) follow(path []*pluginv1.PathStep) hcl.Range {
	for _, step := range path {
		switch step := step.GetStep().(type) {
		case *pluginv1.PathStep_Index:
			exprs, _ := hcl.ExprList(v.expr)
			if step.Index < 0 || step.Index >= int64(len(exprs)) {
				return v.at
			}
			v.expr, v.at = exprs[step.Index], exprs[step.Index].Range()
		case *pluginv1.PathStep_Key:
			v.expr, v.at = v.entry(step.Key)
		case *pluginv1.PathStep_Attribute:
			v.expr, v.at = v.entry(step.Attribute)
		}
	}
	return v.at
}
