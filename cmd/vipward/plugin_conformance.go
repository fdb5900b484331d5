package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/sdk/conformance"
)

// newPluginTestCommand is `vipward plugin test`.
func newPluginTestCommand(g *globals) *cobra.Command {
	var p pluginSubject
	c := &cobra.Command{
		Use:   "test BINARY",
		Short: "Check whether a plugin keeps the protocol",
		Long: "Start a plugin, in whatever language it is written, and check that it keeps the protocol of vipward: one line a check.\n" +
			"Without --config the configuration is made up from what the plugin declares, with addresses of this machine.\n" +
			"A notifier is given a few events. Of a fencer only dry runs are asked: try a new one where it can do no harm.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.open(args[0], nil); err != nil {
				return err
			}
			o, err := p.conformanceOptions(c.Context())
			if err != nil {
				return err
			}
			return p.conform(c, g, o)
		},
	}
	p.addFlags(c)
	return c
}

// conformanceOptions asks the plugin for its schema where a configuration is to be read. A plugin that does not start
// is told about by the suite.
func (p *pluginSubject) conformanceOptions(ctx context.Context) (conformance.Options, error) {
	o := conformance.Options{Target: p.target}
	if p.file == "" && p.component == "" && p.kind == "" {
		return o, nil
	}
	plugin, err := p.command.Start(ctx)
	if err != nil {
		return o, nil // see above
	}
	defer plugin.Close()
	d, err := plugin.Describe(ctx)
	if err != nil {
		return o, nil // the same
	}
	if err := p.choose(ctx, d); err != nil {
		return o, err
	}
	o.Component, o.Kind, o.Config = p.chosen.GetName(), p.chosen.GetKind(), p.config
	return o, nil
}

// conform runs the suite and writes its findings: as they come, or with --json all together.
func (p *pluginSubject) conform(c *cobra.Command, g *globals, o conformance.Options) error {
	out := c.OutOrStdout()
	all, failed := []conformance.Finding{}, 0
	ok := conformance.Executable(c.Context(), p.command, o, func(f conformance.Finding) {
		all = append(all, f)
		if !f.OK {
			failed++
		}
		if !g.json {
			_, _ = fmt.Fprintln(out, f) // the exit code still tells
		}
	})
	if err := summarize(c.ErrOrStderr(), out, g, all, failed, ok); err != nil {
		return err
	}
	if !ok {
		return &exitError{code: exitFailed}
	}
	return nil
}

func summarize(stderr, out io.Writer, g *globals, all []conformance.Finding, failed int, ok bool) error {
	if g.json {
		return showJSON(out, struct {
			Conforms bool                  `json:"conforms"`
			Checks   []conformance.Finding `json:"checks"`
		}{ok, all})
	}
	_, err := fmt.Fprintf(stderr, "%d checks, %d failed\n", len(all), failed)
	return err
}
