package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// newPluginDocsCommand is `vipward plugin docs`.
func newPluginDocsCommand(g *globals) *cobra.Command {
	var dirs []string
	c := &cobra.Command{
		Use:   "docs NAME|PATH",
		Short: "Write the reference of a plugin in Markdown",
		Long:  "Start a plugin, ask what it takes, and write that as Markdown: an example, and a table of the attributes of each block.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := askPlugin(c.Context(), args[0], dirs)
			if err != nil {
				return err
			}
			if g.json {
				return showJSON(c.OutOrStdout(), p)
			}
			_, err = io.WriteString(c.OutOrStdout(), markdown(p))
			return err
		},
	}
	addPluginDirs(c, &dirs)
	return c
}

// markdown is the reference of a plugin: a section for each component.
func markdown(p *pluginInfo) string {
	var b strings.Builder
	for i, c := range p.Components {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "# %s %q\n\n", c.Kind, c.Name)
		if c.Summary != "" {
			fmt.Fprintf(&b, "%s\n\n", c.Summary)
		}
		fmt.Fprintf(&b, "```hcl\n%s```\n\n", c.example())
		c.tables(&b, "## Attributes")
	}
	return b.String()
}

// example is a block with all that is required.
func (c componentInfo) example() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q \"NAME\" {\n", c.Kind, c.Name)
	c.exampleBody(&b, "  ")
	b.WriteString("}\n")
	return b.String()
}

func (s schemaInfo) exampleBody(b *strings.Builder, indent string) {
	width := 0
	for _, a := range s.Attributes {
		if a.Required {
			width = max(width, len(a.Name))
		}
	}
	for _, a := range s.Attributes {
		if a.Required {
			fmt.Fprintf(b, "%s%-*s = %s\n", indent, width, a.Name, a.exampleValue())
		}
	}
	for _, n := range s.Blocks {
		if n.Min > 0 {
			fmt.Fprintf(b, "%s%s {\n", indent, n.header())
			n.exampleBody(b, indent+"  ")
			fmt.Fprintf(b, "%s}\n", indent)
		}
	}
}

// exampleValue is a value of the attribute's type as a configuration has it.
func (a attributeInfo) exampleValue() string {
	collection, element, nested := strings.Cut(strings.TrimSuffix(a.Type, ")"), "(")
	if !nested {
		return a.exampleScalar(a.Type)
	}
	if collection == "map" {
		return "{ name = " + a.exampleScalar(element) + " }"
	}
	return "[" + a.exampleScalar(element) + "]"
}

func (a attributeInfo) exampleScalar(t string) string {
	if len(a.OneOf) > 0 {
		return fmt.Sprintf("%q", a.OneOf[0])
	}
	switch t {
	case "bool":
		return "true"
	case "int", "number":
		if a.Min != nil {
			return fmt.Sprint(*a.Min)
		}
		return "1"
	case "duration":
		return `"1s"`
	case "address":
		return `"192.0.2.1"`
	case "endpoint":
		return `"192.0.2.1:80"`
	case "prefix":
		return `"192.0.2.0/24"`
	}
	return `"…"`
}

// tables writes a table of the attributes, and one for each nested block.
func (s schemaInfo) tables(b *strings.Builder, title string) {
	fmt.Fprintf(b, "%s\n\n", title)
	if len(s.Attributes) == 0 {
		b.WriteString("None.\n")
	} else {
		b.WriteString("| attribute | type | default | |\n|---|---|---|---|\n")
	}
	for _, a := range s.Attributes {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", a.Name, a.Type, a.defaultCell(), escapeCell(a.meaning()))
	}
	for _, n := range s.Blocks {
		b.WriteByte('\n')
		n.tables(b, fmt.Sprintf("## Block `%s`\n\n%s", n.header(), strings.TrimSpace(n.Doc+" "+n.times())))
	}
}

func (a attributeInfo) defaultCell() string {
	switch {
	case a.Required:
		return "**required**"
	case len(a.Default) == 0:
		return ""
	}
	return "`" + escapeCell(string(a.Default)) + "`"
}

// meaning is the doc and what a value has to keep to.
func (a attributeInfo) meaning() string {
	words := []string{a.Doc}
	add := func(when bool, format string, args ...any) {
		if when {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(len(a.OneOf) > 0, "One of %s.", quoteAll(a.OneOf))
	add(a.Min != nil, "At least %v.", show(a.Min, a.Type))
	add(a.Max != nil, "At most %v.", show(a.Max, a.Type))
	add(a.Pattern != "", "Of the form `%s`.", a.Pattern)
	add(len(a.ConflictsWith) > 0, "Not together with %s.", quoteAll(a.ConflictsWith))
	add(len(a.RequiredWith) > 0, "Only together with %s.", quoteAll(a.RequiredWith))
	add(a.Secret, "A secret: it appears in no log.")
	add(a.Deprecated != "", "Deprecated: %s", a.Deprecated)
	return strings.TrimSpace(strings.Join(words, " "))
}

// show is a limit as it is written; that of a duration has a unit.
func show(limit *float64, t string) string {
	if limit == nil {
		return ""
	}
	if strings.Contains(t, "duration") {
		return time.Duration(*limit * float64(time.Second)).String()
	}
	return strconv.FormatFloat(*limit, 'f', -1, 64)
}

// times says how often a block may stand there.
func (b blockInfo) times() string {
	switch {
	case b.Min > 0 && b.Max == 1:
		return "Required, once."
	case b.Max == 1:
		return "At most once."
	case b.Min > 0:
		return fmt.Sprintf("At least %d.", b.Min)
	case b.Max > 1:
		return fmt.Sprintf("At most %d.", b.Max)
	}
	return "Any number."
}

func quoteAll(texts []string) string {
	var all []string
	for _, t := range texts {
		all = append(all, "`"+t+"`")
	}
	return strings.Join(all, ", ")
}

// escapeCell keeps a text within its cell.
func escapeCell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
