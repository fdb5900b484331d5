package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// definition is an expression with the file that it stands in.
type definition struct {
	expr hcl.Expression
	at   hcl.Range
	src  *source
}

// nodeDecl is one block `node`.
type nodeDecl struct {
	name    string
	address definition
	at      hcl.Range
	ip      netip.Addr // once resolved
	// heartbeats are the blocks `heartbeat`, and paths what they say.
	heartbeats []kid
}

// scope is what expressions can refer to, as one node sees it. Locals are resolved when they are first needed, which finds
// their order and their cycles.
type scope struct {
	l       *loading
	node    string
	locals  map[string]definition
	vars    map[string]cty.Value
	values  map[string]cty.Value // resolved: locals by name, the node's address as ""
	pending []string             // being resolved, outermost first
	done    map[*source]*hcl.EvalContext
}

// nodeNames lists the blocks `node`, before anything is evaluated.
func nodeNames(sources []*source) []string {
	var names []string
	for _, s := range sources {
		for _, b := range s.body().Blocks {
			if b.Type == "node" && len(b.Labels) == 1 && !slices.Contains(names, b.Labels[0]) {
				names = append(names, b.Labels[0])
			}
		}
	}
	return names
}

// resolveScopes makes the scopes of all nodes, and tells whether there is one for the node to load for.
func (l *loading) resolveScopes() bool {
	vars, locals := map[string]cty.Value{}, map[string]definition{}
	for _, s := range l.sources {
		content, _, _ := s.hcl.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
			{Type: "variable", LabelNames: []string{"NAME"}}, {Type: "locals"}, {Type: "node", LabelNames: []string{"NAME"}},
		}})
		for _, b := range content.Blocks {
			switch b.Type {
			case "variable":
				l.addVariable(vars, kid{b, s})
			case "locals":
				l.addLocals(locals, kid{b, s})
			case "node":
				l.addNode(kid{b, s})
			}
		}
	}
	if len(l.nodes) > 0 && !slices.ContainsFunc(l.nodes, func(n nodeDecl) bool { return n.name == l.opt.Node }) {
		l.strangeNode()
		return false
	}
	l.scopes = map[string]*scope{}
	for _, name := range append(l.nodeNames(), l.opt.Node) {
		l.scopes[name] = &scope{
			l: l, node: name, locals: locals, vars: vars,
			values: map[string]cty.Value{}, done: map[*source]*hcl.EvalContext{},
		}
	}
	l.scopes[l.opt.Node].resolveAll()
	l.resolveAddresses()
	return true
}

func (l *loading) nodeNames() []string {
	names := make([]string, 0, len(l.nodes)+1)
	for _, n := range l.nodes {
		names = append(names, n.name)
	}
	return names
}

func (l *loading) strangeNode() {
	names := l.nodeNames()
	l.diags = append(l.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  fmt.Sprintf("no node %q in the configuration", l.opt.Node),
		Detail: fmt.Sprintf("The configuration declares the nodes %s.%s Say which of them this is with --node NAME, or add a block node %q. Without --node it is the host name.",
			list(names), suggest(l.opt.Node, names), l.opt.Node),
		Subject: &l.nodes[0].at,
	})
}

func (l *loading) addLocals(locals map[string]definition, b kid) {
	attrs, diags := b.Body.JustAttributes()
	l.addHCL(diags, spec{})
	for name, a := range attrs {
		if first, ok := locals[name]; ok {
			l.fault(a.NameRange, "local %q is declared twice", name).because("It is declared at %s already.", place(first.at))
			continue
		}
		locals[name] = definition{a.Expr, a.NameRange, b.src}
	}
}

func (l *loading) addNode(b kid) {
	s := spec{attrs: []string{"address"}, blocks: []hcl.BlockHeaderSchema{header("heartbeat", "NAME")}}
	content, diags := b.Body.Content(s.schema())
	l.addHCL(diags, s)
	name := b.Labels[0]
	for _, n := range l.nodes {
		if n.name == name {
			l.fault(labelRange(b.Block), "node %q is declared twice", name).because("It is declared at %s already.", place(n.at))
			return
		}
	}
	n := nodeDecl{name: name, at: b.DefRange}
	for _, h := range content.Blocks {
		n.heartbeats = append(n.heartbeats, kid{h, b.src})
	}
	if a := content.Attributes["address"]; a != nil {
		n.address = definition{a.Expr, a.Expr.Range(), b.src}
	} else {
		l.fault(b.DefRange, "node %q has no address", name).because(
			"Write the address by which its peers reach it, for example address = \"10.0.0.1\".")
	}
	l.nodes = append(l.nodes, n)
}

// resolveAll resolves every local, so that faults in those that nobody uses are found as well.
func (s *scope) resolveAll() {
	for _, name := range slices.Sorted(maps.Keys(s.locals)) {
		s.local(name)
	}
}

// local is the value of a local.
func (s *scope) local(name string) cty.Value {
	return s.resolve("local."+name, s.locals[name])
}

// address is that of the scope's node.
func (s *scope) address() cty.Value {
	for _, n := range s.l.nodes {
		if n.name == s.node && n.address.expr != nil {
			return s.resolve("node.address", n.address)
		}
	}
	return cty.DynamicVal
}

func (s *scope) resolve(key string, d definition) cty.Value {
	if v, ok := s.values[key]; ok {
		return v
	}
	if k := slices.Index(s.pending, key); k >= 0 {
		s.l.fault(d.at, "%s depends on itself", key).because("The definitions refer to one another in a circle: %s.",
			list(append(slices.Clone(s.pending[k:]), key)))
		s.values[key] = cty.DynamicVal
		return cty.DynamicVal
	}
	s.pending = append(s.pending, key)
	v, diags := d.expr.Value(s.context(d.src, d.expr))
	s.pending = s.pending[:len(s.pending)-1]
	if diags.HasErrors() {
		v = cty.DynamicVal
	}
	if s.node == s.l.opt.Node { // the other nodes' scopes would only repeat it
		s.l.addHCL(diags, spec{})
	}
	if was, ok := s.values[key]; ok {
		return was // found to be in a cycle meanwhile
	}
	s.values[key] = v
	return v
}

// context is what the expression needs: the locals that it refers to, and those alone, which keeps the rest out of a cycle.
func (s *scope) context(src *source, expr hcl.Expression) *hcl.EvalContext {
	locals := map[string]cty.Value{}
	node := map[string]cty.Value{"name": cty.StringVal(s.node)}
	for _, t := range expr.Variables() {
		switch name := second(t); {
		case t.RootName() == "node" && name != "name":
			s.addAddress(node)
		case t.RootName() != "local":
		case name == "":
			for name := range s.locals {
				locals[name] = s.local(name)
			}
		default:
			if _, ok := s.locals[name]; ok {
				locals[name] = s.local(name)
			}
		}
	}
	return s.with(src, locals, node)
}

// full is the context of a file once everything is resolved.
func (s *scope) full(src *source) *hcl.EvalContext {
	if c, ok := s.done[src]; ok {
		return c
	}
	locals := map[string]cty.Value{}
	for name := range s.locals {
		locals[name] = s.local(name)
	}
	node := map[string]cty.Value{"name": cty.StringVal(s.node)}
	s.addAddress(node)
	s.done[src] = s.with(src, locals, node)
	return s.done[src]
}

func (s *scope) addAddress(node map[string]cty.Value) {
	if len(s.l.nodes) > 0 {
		node["address"] = s.address()
	}
}

func (s *scope) with(src *source, locals, node map[string]cty.Value) *hcl.EvalContext {
	return &hcl.EvalContext{
		Variables: map[string]cty.Value{
			"local": cty.ObjectVal(locals), "var": cty.ObjectVal(s.vars), "node": cty.ObjectVal(node),
		},
		Functions: s.l.functions(src),
	}
}

// second is the name after the first dot of a reference; empty where there is none.
func second(t hcl.Traversal) string {
	if len(t) < 2 {
		return ""
	}
	switch step := t[1].(type) {
	case hcl.TraverseAttr:
		return step.Name
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String && step.Key.IsKnown() && !step.Key.IsNull() {
			return step.Key.AsString()
		}
	}
	return ""
}

// context is that of a file for the node to load for.
func (l *loading) context(s *source) *hcl.EvalContext { return l.scopes[l.opt.Node].full(s) }

// resolveAddresses reads the addresses of the nodes.
func (l *loading) resolveAddresses() {
	seen := map[netip.Addr]string{}
	for i := range l.nodes {
		n := &l.nodes[i]
		v, err := convert.Convert(l.scopes[n.name].address(), cty.String)
		if n.address.expr == nil || err == nil && !v.IsKnown() {
			continue
		}
		if err == nil && !v.IsNull() {
			n.ip, err = netip.ParseAddr(v.AsString())
		}
		if err != nil || !n.ip.IsValid() {
			l.fault(n.address.at, "the address of node %q is no IP address", n.name).because("Write it like \"10.0.0.1\".")
			continue
		}
		if other, ok := seen[n.ip]; ok {
			l.fault(n.address.at, "nodes %q and %q have the same address", other, n.name).because(
				"%v can belong to one of them only. It is the address by which the peers reach the node.", n.ip)
		}
		seen[n.ip] = n.name
		l.cfg.Nodes = append(l.cfg.Nodes, Node{Name: n.name, Address: n.ip, Heartbeats: l.heartbeats(*n)})
	}
}
