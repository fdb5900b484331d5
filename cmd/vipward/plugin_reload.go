package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newPluginReloadCommand is `vipward plugin reload`.
func newPluginReloadCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "reload NAME",
		Short: "Replace the process of a plugin in use, without a gap in its checks",
		Long: "Replace the process of a plugin in use, for example after its executable has been updated.\n" +
			"The new process takes over when it has results for nearly all checks; if it does not come so far,\n" +
			"the old one goes on and the reason is shown.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completePlugin(g),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := newClient(g.socket).post(c.Context(), "/v1/plugins/"+url.PathEscape(args[0])+"/reload", struct{}{})
			if err != nil {
				return clientError(c, g, err)
			}
			if g.json {
				_, err := c.OutOrStdout().Write(b)
				return err
			}
			var done control.ReloadedPlugin
			if err := json.Unmarshal(b, &done); err != nil {
				return fmt.Errorf("read the daemon's answer: %w", err)
			}
			took := time.Duration(done.TookMS * float64(time.Millisecond)).Round(time.Millisecond)
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: process %d, version %s, took over after %s\n", done.Name, done.PID, done.Version, took)
			return err
		},
	}
}

// completePlugin offers the names of the plugins in use to the shell.
func completePlugin(g *globals) cobra.CompletionFunc {
	return first(g, func(s control.Status) (names []string) {
		for _, p := range s.Plugins {
			names = append(names, p.Name)
		}
		return names
	})
}
