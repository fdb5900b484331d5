package sdk

import (
	"fmt"
	"io"
	"strings"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// help says what the plugin is and what its blocks take.
func (s *server) help(w io.Writer) {
	fmt.Fprintf(w, "%s is a plugin of vipward, version %s. vipward starts it where its configuration names it.\n", s.name, s.version())
	for _, c := range s.components {
		fmt.Fprintf(w, "\n%s %q", strings.ToLower(c.kind.String()), c.name)
		if c.summary != "" {
			fmt.Fprintf(w, ": %s", c.summary)
		}
		fmt.Fprintln(w)
		helpSchema(w, c.schema, "  ")
	}
}

func helpSchema(w io.Writer, s *pluginv1.Schema, indent string) {
	for _, a := range s.GetAttributes() {
		fmt.Fprintf(w, "%s%s  %s\n", indent, a.GetName(), traits(a))
		if a.GetDoc() != "" {
			fmt.Fprintf(w, "%s    %s\n", indent, a.GetDoc())
		}
	}
	for _, b := range s.GetBlocks() {
		fmt.Fprintf(w, "%s%s { }", indent, b.GetName())
		if b.GetDoc() != "" {
			fmt.Fprintf(w, "  %s", b.GetDoc())
		}
		fmt.Fprintln(w)
		helpSchema(w, b.GetSchema(), indent+"  ")
	}
}

// traits words what a value of an attribute may be.
func traits(a *pluginv1.Attribute) string {
	t := []string{a.GetType()}
	add := func(when bool, format string, args ...any) {
		if when {
			t = append(t, fmt.Sprintf(format, args...))
		}
	}
	add(a.GetRequired(), "required")
	add(a.GetSecret(), "secret")
	add(a.GetDefaultJson() != "", "default %s", a.GetDefaultJson())
	add(len(a.GetOneOf()) > 0, "one of %s", strings.Join(a.GetOneOf(), ", "))
	add(a.Min != nil, "at least %v", a.GetMin())
	add(a.Max != nil, "at most %v", a.GetMax())
	add(a.GetPattern() != "", "matches %s", a.GetPattern())
	add(a.GetDeprecated() != "", "deprecated: %s", a.GetDeprecated())
	return strings.Join(t, ", ")
}
