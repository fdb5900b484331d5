package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newFailoverCommand is `vipward failover`.
func newFailoverCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "failover INSTANCE",
		Short: "Hand the VIPs of an instance to the peer, without a gap",
		Long: "Hand the VIPs of an instance to the peer. This node keeps them until the peer has taken over.\n" +
			"Afterwards it does not take them back by itself, even with the higher priority, until the peer fails.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeInstance(g),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := newClient(g.socket).post(c.Context(), "/v1/failover", control.FailoverRequest{Instance: args[0]})
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
}
