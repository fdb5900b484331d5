package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/kernel"
	"github.com/vipward/vipward/core/pluginhost"
)

// newValidateCommand is `vipward validate`.
func newValidateCommand(g *globals) *cobra.Command {
	var node string
	var dirs []string
	c := &cobra.Command{
		Use:   "validate PATH",
		Short: "Check a configuration",
		Long: "Check a configuration file, or a directory of *.hcl, and print every fault at once with its place and what to write.\n" +
			"The plugins that it names are started, to check their blocks against what they declare. Without --node the\n" +
			"configuration is checked for every node that it declares.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			v := validation{path: args[0], node: node}
			if err := v.run(c.Context(), dirs, c.ErrOrStderr()); err != nil {
				return err
			}
			return v.print(c, g)
		},
	}
	c.Flags().StringVar(&node, "node", "", "check for this node only (all of them)")
	c.Flags().StringArrayVar(&dirs, "plugin-dir", nil, "directory of plugins, searched before the usual ones (repeatable)")
	return c
}

// validation is one check of a configuration, and what came out.
type validation struct {
	path, node  string
	nodes       []string
	forecasts   []config.Forecast
	diagnostics config.Diagnostics
}

func (v *validation) run(ctx context.Context, given []string, stderr io.Writer) error {
	dirs, err := pluginDirs(given)
	if err != nil {
		return err
	}
	attached, err := reattach()
	if err != nil {
		return err
	}
	if len(attached) > 0 {
		_, _ = fmt.Fprintf(stderr, "vipward: asks plugins that run elsewhere, for debugging only: %s\n",
			strings.Join(slices.Sorted(maps.Keys(attached)), ", "))
	}
	host := pluginhost.New(pluginhost.Options{Dirs: dirs, Reattach: attached, Version: version})
	defer host.Close()
	opt := config.Options{Node: v.node, Plugins: host, Environ: os.LookupEnv, Scheduler: kernel.MissingScheduler}
	if v.node != "" {
		cfg, diags := config.Load(ctx, v.path, opt)
		v.nodes, v.diagnostics = []string{v.node}, diags
		if cfg != nil {
			v.forecasts = cfg.Forecasts
		}
		return nil
	}
	opt.Node, _ = os.Hostname() // counts only where the configuration declares no nodes
	v.nodes, v.forecasts, v.diagnostics = config.Validate(ctx, v.path, opt)
	return nil
}

// print writes the outcome: the diagnostics for people on stderr, or everything as JSON on stdout.
func (v *validation) print(c *cobra.Command, g *globals) error {
	valid := !v.diagnostics.HasErrors()
	if g.json {
		return v.printJSON(c.OutOrStdout(), valid)
	}
	if !valid {
		return invalidConfig(v.diagnostics)
	}
	stderr := c.ErrOrStderr()
	if err := v.diagnostics.WriteText(stderr, g.color(stderr)); err != nil {
		return err
	}
	if _, err := fmt.Fprint(c.OutOrStdout(), foretold(v.forecasts)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), v.summary())
	return err
}

// foretold are the forecasts in lines, those of each instance after the priorities that they come from. What does not move is said as a
// warning.
func foretold(all []config.Forecast) string {
	var b strings.Builder
	last := ""
	for _, f := range all {
		if !f.Moves {
			continue
		}
		if f.Instance != last {
			last = f.Instance
			fmt.Fprintf(&b, "%s: %s is MASTER with priority %d while all is well, and %s is next with %d\n", f.Instance, f.Node, f.Priority, f.To, f.PeerPriority)
		}
		b.WriteString(f.Text + "\n")
	}
	return b.String()
}

func (v *validation) summary() string {
	text := "ok: " + v.path
	if len(v.nodes) > 0 {
		text += " for " + strings.Join(v.nodes, ", ")
	}
	switch _, warnings := v.diagnostics.Counts(); warnings {
	case 0:
	case 1:
		text += ", with 1 warning"
	default:
		text += fmt.Sprintf(", with %d warnings", warnings)
	}
	return text
}

func (v *validation) printJSON(w io.Writer, valid bool) error {
	out := struct {
		Valid       bool               `json:"valid"`
		Nodes       []string           `json:"nodes"`
		Diagnostics config.Diagnostics `json:"diagnostics"`
		Forecasts   []config.Forecast  `json:"forecasts"`
	}{valid, v.nodes, v.diagnostics, v.forecasts}
	if out.Nodes == nil {
		out.Nodes = []string{}
	}
	if out.Forecasts == nil {
		out.Forecasts = []config.Forecast{}
	}
	if out.Diagnostics == nil {
		out.Diagnostics = config.Diagnostics{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	if !valid {
		return invalid()
	}
	return nil
}
