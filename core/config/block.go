package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// block is one open block. Its methods take one attribute each, in the type that the caller wants, and report what is wrong.
type block struct {
	*loading
	src    *source
	name   string    // for messages: `vrrp_instance "web"`
	at     hcl.Range // of the header
	labels []string
	label  hcl.Range // of the last label
	spec   spec
	attrs  hcl.Attributes
	kids   hcl.Blocks
	// perNode lets every attribute be a map by node name.
	perNode bool
}

// open reads what stands in a block against the spec.
func (l *loading) open(k kid, s spec, perNode bool) *block {
	return l.openBy(k, s, s.schema(), perNode)
}

// openBy is open with the schema of the spec, which is made once for all blocks of a type.
func (l *loading) openBy(k kid, s spec, schema *hcl.BodySchema, perNode bool) *block {
	content, diags := k.Body.Content(schema)
	l.addHCL(diags, s)
	return l.opened(k, s, content, perNode)
}

// openPartly reads what the spec names and leaves the rest alone, where nobody knows what else the block takes.
func (l *loading) openPartly(k kid, s spec, perNode bool) *block {
	content, _, diags := k.Body.PartialContent(s.schema())
	l.addHCL(diags, s)
	return l.opened(k, s, content, perNode)
}

func (l *loading) opened(k kid, s spec, content *hcl.BodyContent, perNode bool) *block {
	b := &block{
		loading: l, src: k.src, at: k.DefRange, labels: k.Labels, label: labelRange(k.Block),
		spec: s, attrs: content.Attributes, perNode: perNode, name: k.Type,
	}
	for _, label := range k.Labels {
		b.name += fmt.Sprintf(" %q", label)
	}
	for _, inner := range content.Blocks {
		if why, ok := s.laterBlocks[inner.Type]; ok {
			l.notYet(inner.DefRange, inner.Type, why)
			continue
		}
		b.kids = append(b.kids, inner)
	}
	return b
}

// nested opens the blocks of one type within this one.
func (b *block) nested(blockType string, s spec) []*block {
	var out []*block
	schema := s.schema()
	for _, k := range b.kids {
		if k.Type == blockType {
			out = append(out, b.openBy(kid{k, b.src}, s, schema, b.perNode))
		}
	}
	return out
}

// single opens the one block of a type; nil where there is none.
func (b *block) single(blockType string, s spec) *block {
	all := b.nested(blockType, s)
	if len(all) == 0 {
		return nil
	}
	for _, more := range all[1:] {
		b.fault(more.at, "%s has more than one block %s", b.name, blockType).because("It is at %s already. Join the two.", place(all[0].at))
	}
	return all[0]
}

// value is a known value, not null, with its place.
type value struct {
	cty.Value
	expr hcl.Expression // of just this value, for the places of its elements
	at   hcl.Range
}

// take evaluates an attribute. It is false where the attribute is absent or null, or where its fault has been reported.
func (b *block) take(name string) (value, bool) {
	v, ok := b.evaluate(name, b.opt.Node)
	if ok && b.perNode && isMap(v) {
		b.checkNodes(name, v)
		v, ok = v.pick(b.opt.Node)
	}
	return v, ok && !v.IsNull() && v.IsWhollyKnown()
}

// evaluate is the attribute as it stands, as the node sees it.
func (b *block) evaluate(name, node string) (value, bool) {
	a, ok := b.attrs[name]
	if !ok {
		return value{}, false
	}
	v, diags := a.Expr.Value(b.scopes[node].full(b.src))
	if node == b.opt.Node {
		b.addHCL(diags, spec{})
	}
	if diags.HasErrors() {
		b.broken = append(b.broken, a.Expr.Range())
	}
	v, _ = v.UnmarkDeep()
	return value{v, a.Expr, a.Expr.Range()}, !diags.HasErrors() && v.IsKnown()
}

func isMap(v value) bool { return v.Type().IsObjectType() || v.Type().IsMapType() }

// pick is the element of a map for one node.
func (v value) pick(node string) (value, bool) {
	if v.IsNull() || !v.IsKnown() {
		return v, false
	}
	e, ok := v.AsValueMap()[node]
	if !ok {
		return value{}, false
	}
	expr, at := v.entry(node)
	return value{e, expr, at}, e.IsKnown()
}

// entry is the expression of one element of a map that is written out; else that of the whole map.
func (v value) entry(name string) (hcl.Expression, hcl.Range) {
	pairs, _ := hcl.ExprMap(v.expr)
	for _, p := range pairs {
		key, _ := p.Key.Value(nil)
		if key.Type() == cty.String && key.IsKnown() && !key.IsNull() && key.AsString() == name {
			return p.Value, p.Value.Range()
		}
	}
	return v.expr, v.at
}

// checkNodes reports a map by node name that names a node that is not there, or leaves this one out.
func (b *block) checkNodes(name string, v value) {
	if v.IsNull() || !v.IsKnown() {
		return
	}
	nodes := b.nodeNames()
	if len(nodes) == 0 {
		b.fault(v.at, "%s is a map by node, and there are no nodes", name).because(
			"Declare the members of the pair, for example node \"lb1\" { address = \"10.0.0.1\" }, or write one value.")
		return
	}
	entries := v.AsValueMap()
	for key := range entries {
		if !slices.Contains(nodes, key) {
			b.fault(v.at, "%s names the node %q, which is not declared", name, key).because("The nodes are %s.%s", list(nodes), suggest(key, nodes))
		}
	}
	if _, ok := entries[b.opt.Node]; !ok {
		b.fault(v.at, "%s leaves out the node %q", name, b.opt.Node).because(
			"A map by node has a value for each of %s; for one value for all write it without a map.", list(nodes))
		b.broken = append(b.broken, v.at)
	}
}

// required reports an attribute that is not there, with an example of what to write.
func (b *block) required(name, example string) {
	if _, ok := b.attrs[name]; !ok {
		b.fault(b.at, "%s has no %s", b.name, name).because("Add a line like %s = %s", name, example)
	}
}

// where is the place of an attribute's value, or of the block's header where the attribute is not given.
func (b *block) where(name string) hcl.Range {
	if a, ok := b.attrs[name]; ok {
		return a.Expr.Range()
	}
	return b.at
}

// given tells whether an attribute stands in the block.
func (b *block) given(name string) bool { return b.attrs[name] != nil }
