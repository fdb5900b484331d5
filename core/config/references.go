package config

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// checkReferences looks at every local.NAME, var.NAME and node.NAME of the files, also where they would never be evaluated:
// HCL itself says of an unknown name only that it is not there.
func (l *loading) checkReferences() {
	known := map[string][]string{"local": nil, "var": nil, "node": {"name", "address"}}
	for _, s := range l.sources {
		for _, b := range s.body().Blocks {
			switch {
			case b.Type == "locals":
				known["local"] = append(known["local"], slices.Sorted(maps.Keys(b.Body.Attributes))...)
			case b.Type == "variable" && len(b.Labels) == 1:
				known["var"] = append(known["var"], b.Labels[0])
			}
		}
	}
	for _, s := range l.sources {
		// The walk itself cannot fail; what the visitor finds goes to l.
		_ = hclsyntax.VisitAll(s.body(), func(n hclsyntax.Node) hcl.Diagnostics {
			if e, ok := n.(*hclsyntax.ScopeTraversalExpr); ok {
				l.checkReference(e.Traversal, known)
			}
			return nil
		})
	}
}

func (l *loading) checkReference(t hcl.Traversal, known map[string][]string) {
	root, name := t.RootName(), second(t)
	names, ours := known[root]
	if !ours || name == "" || slices.Contains(names, name) {
		return
	}
	at := t.SourceRange()
	l.misread = append(l.misread, at)
	r := l.fault(at, "there is no %s.%s", root, name)
	switch root {
	case "local":
		r.because("The blocks locals define %s.%s", list(names), suggest(name, names))
	case "var":
		r.because("The blocks variable declare %s.%s", list(names), suggest(name, names))
	default:
		r.because("node has the attributes name and address.%s", suggest(name, names))
	}
}
