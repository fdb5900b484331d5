package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

const (
	// drainLimit is how long `vipward drain` waits for connections unless told otherwise.
	drainLimit = 5 * time.Minute
	// drainLook is how often it looks; the daemon counts about once a second.
	drainLook = 500 * time.Millisecond
)

// newDrainCommand is `vipward drain`.
func newDrainCommand(g *globals) *cobra.Command {
	var force, noWait bool
	var limit time.Duration
	c := &cobra.Command{
		Use:   "drain SERVICE REAL",
		Short: "Keep new connections from a real server, and wait for those that it has",
		Long: "Keep new connections from a real server (weight 0), and wait until those that it has have ended: then it can be stopped.\n" +
			"REAL is its address with the port, or the address alone where that is clear. It stays drained, also over a reload and a\n" +
			"restart of the daemon, until vipward undrain. Over TCP and SCTP an established connection counts, over UDP every flow that\n" +
			"IPVS still knows. The peer is not told: drain there as well, or it sends connections to the server when it is master.\n" +
			"A server without which the service would go down is not drained, unless with --force.",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeServer(g),
		RunE: func(c *cobra.Command, args []string) error {
			if limit <= 0 {
				return usageError(fmt.Errorf("--timeout %v is no time to wait; see %s --help", limit, c.CommandPath()))
			}
			req := control.DrainRequest{Service: args[0], RealServer: args[1], Force: force}
			client := newClient(g.socket)
			b, err := client.post(c.Context(), "/v1/drain", req)
			if r, ok := errors.AsType[*refusal](err); ok && r.status == http.StatusConflict && !g.json {
				return &exitError{exitRefused, fmt.Errorf("%w; --force drains it all the same", err)}
			}
			if err != nil {
				return clientError(c, g, err)
			}
			return finishDrain(c, g, client, b, noWait, limit)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "also where the service goes down without the server")
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for its connections")
	c.Flags().DurationVar(&limit, "timeout", drainLimit, "how long to wait for its connections; it stays drained after that")
	return c
}

// finishDrain tells of a drain that has begun, and waits for its end.
func finishDrain(c *cobra.Command, g *globals, client *client, b []byte, noWait bool, limit time.Duration) error {
	s, err := readDrain(b)
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	if !g.json {
		if _, err := fmt.Fprintf(out, "%s\n", s.Text); err != nil {
			return err
		}
	}
	text := s.Text
	if !noWait {
		if s, err = awaitDrain(c.Context(), client, s, limit); err != nil {
			return clientError(c, g, err)
		}
		s.Text = text
	}
	if g.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	switch {
	case noWait:
		return nil
	case !s.Drained:
		return fmt.Errorf("%v of %s is not drained any more: somebody has put it back", s.RealServer, s.Service)
	case !s.Done:
		return &exitError{exitTimedOut, fmt.Errorf("%v of %s still has %s after %v; it stays drained: run the command again to wait on, or vipward undrain",
			s.RealServer, s.Service, connections(s), limit)}
	case g.json:
		return nil
	}
	_, err = fmt.Fprintf(out, "its connections have ended\n")
	return err
}

// connections are those that a server has, in words.
func connections(s control.DrainState) string {
	return fmt.Sprintf("%d active and %d inactive connections", s.ActiveConnections, s.InactiveConnections)
}

// awaitDrain looks until the drain is done, or somebody has ended it, or the time is over.
func awaitDrain(ctx context.Context, client *client, s control.DrainState, limit time.Duration) (control.DrainState, error) {
	path := "/v1/drain?" + url.Values{"service": {s.Service}, "real_server": {s.RealServer.String()}}.Encode()
	end := time.Now().Add(limit)
	for {
		b, err := client.get(ctx, path)
		if err != nil {
			return s, err
		}
		if s, err = readDrain(b); err != nil || s.Done || !s.Drained || !time.Now().Before(end) {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(min(drainLook, time.Until(end))):
		}
	}
}

func readDrain(b []byte) (s control.DrainState, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read the daemon's answer: %w", err)
	}
	return s, nil
}

// newUndrainCommand is `vipward undrain`.
func newUndrainCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "undrain SERVICE REAL",
		Short:             "Let a drained real server have new connections again",
		Long:              "Let a real server that vipward drain has taken out have new connections again, by its checks and its weight.",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeServer(g),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := newClient(g.socket).post(c.Context(), "/v1/undrain", control.DrainRequest{Service: args[0], RealServer: args[1]})
			if err != nil {
				return clientError(c, g, err)
			}
			if g.json {
				_, err := c.OutOrStdout().Write(b)
				return err
			}
			s, err := readDrain(b)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", s.Text)
			return err
		},
	}
}

// completeServer offers the names of services, and then those of their real servers, to the shell.
func completeServer(g *globals) cobra.CompletionFunc {
	return complete(g, func(s control.Status, args []string) (names []string) {
		for _, v := range s.Services {
			switch {
			case len(args) == 0:
				names = append(names, v.Name)
			case len(args) == 1 && v.Name == args[0]:
				for _, r := range v.RealServers {
					names = append(names, r.Address.String())
				}
			}
		}
		return names
	})
}
