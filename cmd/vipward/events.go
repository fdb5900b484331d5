package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/event"
)

// newEventsCommand is `vipward events`.
func newEventsCommand(g *globals) *cobra.Command {
	var follow bool
	var since time.Duration
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what happened, newest last",
		Long: "Show the events that the daemon keeps, newest last; with --json, one object a line.\n" +
			"With --follow, show events as they come; those of the past only with --since.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if since < 0 {
				return usageError(fmt.Errorf("--since is how long ago, so it is not negative: --since 10m"))
			}
			show := eventPrinter(c.OutOrStdout(), g)
			if follow {
				return clientError(c, g, followEvents(c.Context(), newClient(g.socket), since, show))
			}
			return clientError(c, g, listEvents(c.Context(), newClient(g.socket), since, show))
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "show events as they come, until interrupted")
	c.Flags().DurationVar(&since, "since", 0, "show only events of that time, for example 10m (all)")
	return c
}

func listEvents(ctx context.Context, c *client, since time.Duration, show func(event.Event) error) error {
	b, err := c.get(ctx, eventPath(since, false))
	if err != nil {
		return err
	}
	var list control.EventList
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("read the daemon's events: %w", err)
	}
	for _, e := range list.Events {
		if err := show(e); err != nil {
			return err
		}
	}
	return nil
}

// followEvents shows events until the operator has seen enough, which is no fault.
func followEvents(ctx context.Context, c *client, since time.Duration, show func(event.Event) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := c.follow(ctx, eventPath(since, true), show)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func eventPath(since time.Duration, follow bool) string {
	q := url.Values{}
	if since > 0 {
		q.Set("since", since.String())
	}
	if follow {
		q.Set("follow", "1")
	}
	return "/v1/events?" + q.Encode()
}

// eventPrinter prints one event a line.
func eventPrinter(w io.Writer, g *globals) func(event.Event) error {
	if g.json {
		enc := json.NewEncoder(w)
		return func(e event.Event) error { return enc.Encode(e) }
	}
	color := g.color(w)
	return func(e event.Event) error {
		severity := state(string(e.Severity))
		t := table{color: color}
		t.add(e.Time.Local().Format("2006-01-02 15:04:05.000"), cell{fmt.Sprintf("%-8s", severity.text), severity.sgr}, e.String())
		return t.write(w)
	}
}
