package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// fenceLimit bounds a request about a fencer: longer than the daemon gives itself for it.
const fenceLimit = 150 * time.Second

// newFenceCommand is `vipward fence`, the parent of what concerns fencers.
func newFenceCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "fence", Short: "Fencers: what there is, how the nodes are, and whether they would work",
		Long: "Fencers take the power or the network away from a node. Nothing here does: list, status and test only look. confirm says\n" +
			"that somebody has done it by hand.",
		Args: noSuchCommand,
		RunE: needsCommand,
	}
	c.AddCommand(newFenceListCommand(g), newFenceStatusCommand(g), newFenceTestCommand(g), newFenceConfirmCommand(g))
	return c
}

// newFenceListCommand is `vipward fence list`.
func newFenceListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the fencers, and what they said when the daemon last asked them",
		Long: "List the fencers, and what they said when the daemon last asked them; it does so every five minutes.\n" +
			"ready says that the device answers, not that the node is off.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, _, err := newClient(g.socket).status(c.Context())
			if err != nil {
				return clientError(c, g, err)
			}
			return showFencers(c.OutOrStdout(), g, s.Fencers)
		},
	}
}

func showFencers(w io.Writer, g *globals, list []control.Fencer) error {
	if g.json {
		if list == nil {
			list = []control.Fencer{}
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "the configuration has no block fencer")
		return err
	}
	v := view{now: time.Now()}
	t := &table{color: g.color(w)}
	t.add("FENCER", "KIND", "STATE", "ASKED", "NODE", "EVIDENCE")
	for _, f := range list {
		asked := ""
		if f.Checked != nil {
			asked = v.ago(*f.Checked) + " ago"
		}
		t.add(f.Name, f.Kind, fencerState(f.State), asked, f.Node, f.Evidence)
	}
	return t.write(w)
}

func fencerState(text string) cell {
	switch text {
	case "ready":
		return cell{text, sgrGood}
	case "unreachable":
		return cell{text, sgrBad}
	}
	return cell{text, sgrOdd}
}

// newFenceStatusCommand is `vipward fence status`.
func newFenceStatusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status FENCER [NODE]",
		Short: "Ask a fencer whether a node is off",
		Long: "Ask a fencer whether a node is off: NODE, or the only other one.\n" +
			"It ends with 0 where the fencer can tell, and with 1 where it cannot.",
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeFencer(g),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := askFencer(c, g, "status", args)
			if err != nil || g.json {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is %s by %s: %s\n", a.Node, power(a.Verdict), a.Fencer, a.Evidence)
			return unlessReady(a, err)
		},
	}
}

// power is what a verdict of the status says of the node.
func power(verdict string) string {
	switch verdict {
	case "confirmed":
		return "off"
	case "failed":
		return "not off"
	}
	return "unknown"
}

// newFenceTestCommand is `vipward fence test`.
func newFenceTestCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "test FENCER [NODE]",
		Short: "Try a fencer without any effect on the node",
		Long: "Ask a fencer how a node is, and have it do everything that taking the power away needs, but for the switching:\n" +
			"NODE, or the only other one. It ends with 0 where the fencer would have gone on, and with 1 where it would not.",
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeFencer(g),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := askFencer(c, g, "test", args)
			if err != nil || g.json {
				return err
			}
			result := "works"
			if !a.Ready {
				result = "does not work"
			}
			took := time.Duration(a.TookMS * float64(time.Millisecond)).Round(time.Millisecond)
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s for %s (%s)\nstatus: %s\noff: %s\n",
				a.Fencer, result, a.Node, took, a.Evidence, strings.TrimPrefix(a.DryRun, "dry run: "))
			return unlessReady(a, err)
		},
	}
}

// askFencer makes the request, and with --json prints the answer.
func askFencer(c *cobra.Command, g *globals, action string, args []string) (control.FenceAnswer, error) {
	request := control.FenceRequest{Fencer: args[0], Action: action}
	if len(args) > 1 {
		request.Node = args[1]
	}
	body, err := json.Marshal(request)
	if err != nil {
		return control.FenceAnswer{}, err
	}
	b, err := newClient(g.socket).do(c.Context(), http.MethodPost, "/v1/fence", body, fenceLimit)
	if err != nil {
		return control.FenceAnswer{}, clientError(c, g, err)
	}
	var a control.FenceAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("read the daemon's answer: %w", err)
	}
	if g.json {
		_, err := c.OutOrStdout().Write(b)
		return a, unlessReady(a, err)
	}
	return a, nil
}

// unlessReady ends a command that has said why the fencer is not ready.
func unlessReady(a control.FenceAnswer, err error) error {
	if err == nil && !a.Ready {
		return &exitError{code: exitFailed}
	}
	return err
}

// completeFencer offers the names of the fencers to the shell.
func completeFencer(g *globals) cobra.CompletionFunc {
	return first(g, func(s control.Status) (names []string) {
		for _, f := range s.Fencers {
			names = append(names, f.Name)
		}
		return names
	})
}
