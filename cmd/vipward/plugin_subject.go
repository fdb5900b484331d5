package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/sdk/conformance"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// pluginSubject is an executable that an author tries out, one of its components, and what that is configured with. The
// commands `test` and `run` have it from their flags.
type pluginSubject struct {
	component, kind string
	file            string
	target          string

	command conformance.Command
	chosen  *pluginv1.Component // nil for all
	config  json.RawMessage     // nil for none
}

func (p *pluginSubject) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&p.component, "component", "", "name of the component, where the plugin has several")
	c.Flags().StringVar(&p.kind, "kind", "", "kind of the component: checker, notifier, fencer or witness")
	c.Flags().StringVar(&p.file, "config", "", "file with what stands in the plugin's block, without vipward's own attributes")
	c.Flags().StringVar(&p.target, "target", "", "ADDRESS:PORT for a checker")
}

// open finds the executable. Its environment is the one that it has under the daemon: empty.
func (p *pluginSubject) open(path string, stderr io.Writer) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if info, err := os.Stat(abs); err != nil {
		return err
	} else if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not executable", path)
	}
	if _, ok := pluginv1.Kind_value[strings.ToUpper(p.kind)]; p.kind != "" && !ok {
		return usageError(fmt.Errorf("there is no kind %q; it is checker, notifier, fencer or witness", p.kind))
	}
	p.command = conformance.Command{Path: abs, Env: []string{}, Stderr: stderr}
	return nil
}

// choose picks the component that is meant, and reads its configuration.
func (p *pluginSubject) choose(ctx context.Context, d *pluginv1.DescribeResponse) error {
	kind := pluginv1.Kind(pluginv1.Kind_value[strings.ToUpper(p.kind)])
	var fit []*pluginv1.Component
	var offered []string
	for _, c := range d.GetComponents() {
		offered = append(offered, conformance.Title(c.GetKind(), c.GetName()))
		if (p.component == "" || c.GetName() == p.component) && (kind == 0 || c.GetKind() == kind) {
			fit = append(fit, c)
		}
	}
	switch {
	case len(fit) == 0:
		return usageError(fmt.Errorf("no such component; the plugin has %s", strings.Join(offered, ", ")))
	case len(fit) > 1:
		return usageError(fmt.Errorf("say which component with --component and --kind; the plugin has %s", strings.Join(offered, ", ")))
	}
	p.chosen = fit[0]
	return p.read(ctx)
}

// read reads the configuration; without a file there is none.
func (p *pluginSubject) read(ctx context.Context) error {
	if p.file == "" {
		return nil
	}
	object, diags := config.Inside(ctx, p.file, p.chosen.GetConfig(), os.LookupEnv)
	if diags.HasErrors() {
		return invalidConfig(diags)
	}
	p.config = object
	return nil
}

// validate has the plugin judge the configuration.
func (p *pluginSubject) validate(ctx context.Context, plugin *conformance.Plugin) error {
	r, err := pluginv1.NewPluginClient(plugin.Conn).Validate(ctx, &pluginv1.ValidateRequest{
		Kind: p.chosen.GetKind(), Name: p.chosen.GetName(), ConfigJson: p.config,
	})
	if err != nil {
		return fmt.Errorf("have the plugin validate: %w", err)
	}
	var faults []error
	for _, d := range r.GetDiagnostics() {
		if d.GetSeverity() == pluginv1.Diagnostic_ERROR {
			faults = append(faults, fmt.Errorf("the plugin refuses the configuration: %s%s", where(d.GetPath()), d.GetSummary()))
		}
	}
	if len(faults) > 0 {
		return &exitError{exitInvalid, errors.Join(faults...)}
	}
	return nil
}

// where is the attribute that a path begins with.
func where(path []*pluginv1.PathStep) string {
	if len(path) == 0 {
		return ""
	}
	return path[0].GetAttribute() + ": "
}
