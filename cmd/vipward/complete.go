package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// complete offers to the shell what names finds in the status of the daemon, given the arguments so far.
func complete(g *globals, names func(s control.Status, args []string) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx := c.Context()
		if ctx == nil { // the shell's own commands have none
			ctx = context.Background()
		}
		s, _, err := newClient(g.socket).status(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names(s, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// first is complete for a command whose first argument alone is a name.
func first(g *globals, names func(s control.Status) []string) cobra.CompletionFunc {
	return complete(g, func(s control.Status, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return names(s)
	})
}
