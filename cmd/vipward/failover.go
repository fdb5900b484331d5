package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newFailoverCommand is `vipward failover`.
func newFailoverCommand(g *globals) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "failover INSTANCE|--all",
		Short: "Hand the VIPs of an instance, or all of them, to the peer, without a gap",
		Long: "Hand the VIPs of an instance, or with --all those of all instances that this node is master of, to the peer. This node keeps\n" +
			"them until the peer has taken over. Afterwards it does not take them back by itself, even with the higher priority, until the\n" +
			"peer fails. It resigns first; a router that does not obey is invited to preempt. When nobody has come after a down interval,\n" +
			"everything stays as it was.",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) == 0) && len(args) <= 1 {
				return nil
			}
			return errors.New("write the name of one instance, or --all")
		},
		ValidArgsFunction: completeInstance(g),
		RunE: func(c *cobra.Command, args []string) error {
			req := control.FailoverRequest{All: all}
			if !all {
				req.Instance = args[0]
			}
			b, err := newClient(g.socket).post(c.Context(), "/v1/failover", req)
			if err != nil {
				return clientError(c, g, err)
			}
			if g.json {
				_, err := c.OutOrStdout().Write(b)
				return err
			}
			var done control.HandedOver
			if err := json.Unmarshal(b, &done); err != nil {
				return fmt.Errorf("read the daemon's answer: %w", err)
			}
			took := time.Duration(done.TookMS * float64(time.Millisecond)).Round(100 * time.Microsecond)
			_, err = fmt.Fprintf(c.OutOrStdout(),
				"%s: the peer took over after %s; outage 0s, for this node held the VIPs until then\n", done.Text, took)
			return err
		},
	}
	c.Flags().BoolVar(&all, "all", false, "everything that this node is master of")
	return c
}
