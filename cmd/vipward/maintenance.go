package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newMaintenanceCommand is `vipward maintenance`.
func newMaintenanceCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "maintenance", Short: "Keep this node from being master, or let it take part again",
		Args: noSuchCommand,
		RunE: needsCommand,
	}
	var reason string
	var force bool
	on := &cobra.Command{
		Use: "on", Short: "Hand over what this node is master of, and stay out until told otherwise",
		Long: "Hand over what this node is master of, without a gap, and stay out: every instance is in FAULT, also after a restart, until\n" +
			"vipward maintenance off. Where no peer takes over, the command ends with 6 and changes nothing; with --force this node\n" +
			"lets go all the same, and nobody has the VIPs.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return maintain(c, g, control.MaintenanceRequest{On: true, Reason: cmp.Or(reason, "by an operator"), Force: force})
		},
	}
	on.Flags().StringVar(&reason, "reason", "", "why, for the status of both nodes and the log")
	on.Flags().BoolVar(&force, "force", false, "let go also of what no peer takes over")
	off := &cobra.Command{
		Use: "off", Short: "Let this node take part again",
		Long: "Let this node take part again: after vipward maintenance on, and after it was fenced and is in order again.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return maintain(c, g, control.MaintenanceRequest{Reason: "by an operator"})
		},
	}
	c.AddCommand(on, off)
	return c
}

// newResumeCommand is `vipward resume`, as people say it of a node that was fenced.
func newResumeCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "resume", Short: "Let this node take part again: maintenance off", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return maintain(c, g, control.MaintenanceRequest{Reason: "by an operator"})
		},
	}
}

// maintain gives the command and tells of its end.
func maintain(c *cobra.Command, g *globals, r control.MaintenanceRequest) error {
	b, err := newClient(g.socket).post(c.Context(), "/v1/maintenance", r)
	if why, ok := errors.AsType[*refusal](err); ok && why.status == http.StatusGatewayTimeout && !r.Force && !g.json {
		return &exitError{exitTimedOut, fmt.Errorf("%w; --force lets go all the same", err)}
	}
	if err != nil {
		return clientError(c, g, err)
	}
	return showDone(c, g, b)
}

// showDone prints the answer to a command that has no more to say than a sentence.
func showDone(c *cobra.Command, g *globals, b []byte) error {
	if g.json {
		_, err := c.OutOrStdout().Write(b)
		return err
	}
	var done control.Done
	if err := json.Unmarshal(b, &done); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), done.Text)
	return err
}
