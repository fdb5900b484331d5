package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newReloadCommand is `vipward reload`.
func newReloadCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "reload [PATH]",
		Short: "Validate a configuration and put it in force",
		Long: "Validate a configuration and put it in force. Without PATH it is the one that the daemon runs with.\n" +
			"A faulty configuration changes nothing.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req, err := reloadRequest(args)
			if err != nil {
				return err
			}
			b, err := newClient(g.socket).post(c.Context(), "/v1/reload", req)
			if err != nil {
				return clientError(c, g, err)
			}
			return showReloaded(c, g, b)
		},
	}
}

// reloadRequest names the configuration as the daemon finds it, wherever it was started.
func reloadRequest(args []string) (req control.ReloadRequest, err error) {
	if len(args) > 0 {
		req.Path, err = filepath.Abs(args[0])
	}
	return req, err
}

func showReloaded(c *cobra.Command, g *globals, b []byte) error {
	if g.json {
		_, err := c.OutOrStdout().Write(b)
		return err
	}
	var done control.Reloaded
	if err := json.Unmarshal(b, &done); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	if err := done.Warnings.WriteText(c.ErrOrStderr(), g.color(c.ErrOrStderr())); err != nil {
		return err
	}
	what := "the configuration is the one in force already"
	if done.Changed {
		what = "reloaded"
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s: %.12s\n", what, done.ConfigHash)
	return err
}
