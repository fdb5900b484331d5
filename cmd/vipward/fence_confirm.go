package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newFenceConfirmCommand is `vipward fence confirm`.
func newFenceConfirmCommand(g *globals) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "confirm NODE",
		Short: "Say that a node is off, as surely as a fencer would",
		Long: "Say that NODE is off: powered down, or cut off from the VIPs' network by hand. A takeover that waits for its fencing goes on.\n" +
			"It is as good as the word of a fencer, and as dangerous where it is wrong: two nodes then answer for one address. It asks\n" +
			"first, unless with --yes, and is refused with 5 where the node was just heard. It holds until the node is heard again.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if _, _, err := newClient(g.socket).status(c.Context()); err != nil { // before anybody is asked for nothing
				return clientError(c, g, err)
			}
			if !yes {
				if err := askSure(c.InOrStdin(), c.ErrOrStderr(), args[0]); err != nil {
					return err
				}
			}
			b, err := newClient(g.socket).post(c.Context(), "/v1/fence/confirm", control.ConfirmRequest{Node: args[0]})
			if err != nil {
				return clientError(c, g, err)
			}
			return showDone(c, g, b)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// askSure has an operator write the node's name.
func askSure(in io.Reader, out io.Writer, name string) error {
	if _, err := fmt.Fprintf(out, "Is %s off for sure? Two nodes answer for one address if it is not.\nWrite its name to say so: ", name); err != nil {
		return err
	}
	answer, err := bufio.NewReader(in).ReadString('\n')
	if strings.TrimSpace(answer) == name {
		return nil
	}
	if err != nil && answer == "" {
		_, _ = fmt.Fprintln(out) // the cursor stands behind the question
	}
	return &exitError{exitRefused, fmt.Errorf("not confirmed: nothing was done; a script says --yes")}
}
