package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newExplainCommand is `vipward explain`.
func newExplainCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME",
		Short: "Say why an instance, a VIP or a real server is in the state that it is in",
		Long: "Say why an instance, a VIP or a real server is in the state that it is in. Of an instance it prints the row of the table of\n" +
			"evidence that decided about its takeover, and the evidence: the link, the references, who answers for the VIP, what the peer\n" +
			"says by heartbeats, the fencing, the witness.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeInstance(g),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := newClient(g.socket).get(c.Context(), "/v1/explain?name="+url.QueryEscape(args[0]))
			if err != nil {
				return clientError(c, g, err)
			}
			if g.json {
				_, err := c.OutOrStdout().Write(b)
				return err
			}
			var e control.Explanation
			if err := json.Unmarshal(b, &e); err != nil {
				return fmt.Errorf("read the daemon's answer: %w", err)
			}
			return writeExplanation(c.OutOrStdout(), e)
		},
	}
}

// writeExplanation is the explanation for people.
func writeExplanation(w io.Writer, e control.Explanation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s", e.Name, e.State)
	if e.Guard != nil && e.Guard.Condition != "" && e.Guard.Condition != e.State {
		fmt.Fprintf(&b, " (%s)", e.Guard.Condition)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, ": %s", e.Reason)
	}
	b.WriteString("\n")
	facts := e.Facts
	if e.Guard != nil && e.Guard.Decision != "" {
		fmt.Fprintf(&b, "the last decision about a takeover: %s, by row %d: %s\n", e.Guard.Decision, e.Guard.Row, e.Row)
		facts = append(append([]control.Fact{}, e.Guard.Evidence...), facts...)
	}
	for _, f := range facts {
		fmt.Fprintf(&b, "  %-12s %s\n", f.Name, f.Value)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
