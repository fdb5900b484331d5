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
	"github.com/vipward/vipward/core/pluginhost"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// newPluginInfoCommand is `vipward plugin info`.
func newPluginInfoCommand(g *globals) *cobra.Command {
	var dirs []string
	c := &cobra.Command{
		Use:   "info NAME|PATH",
		Short: "Say what a plugin offers",
		Long:  "Start a plugin, ask what it offers, and stop it. With a slash in it, the argument is the path of an executable.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := askPlugin(c.Context(), args[0], dirs)
			if err != nil {
				return err
			}
			if g.json {
				return showJSON(c.OutOrStdout(), p)
			}
			return showPlugin(c.OutOrStdout(), g, p)
		},
	}
	addPluginDirs(c, &dirs)
	return c
}

func addPluginDirs(c *cobra.Command, dirs *[]string) {
	c.Flags().StringArrayVar(dirs, "plugin-dir", nil, "directory of plugins, searched before the usual ones (repeatable)")
}

// pluginInfo is what a plugin says of itself.
type pluginInfo struct {
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	SDK        string          `json:"sdk"`
	Path       string          `json:"path"`
	Components []componentInfo `json:"components"`
	// Confinement is what it may do where the configuration says nothing about that, started by this user.
	Confinement pluginhost.Confinement `json:"confinement"`
}

type componentInfo struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Summary string `json:"summary"`
	schemaInfo
}

type schemaInfo struct {
	Attributes []attributeInfo `json:"attributes"`
	Blocks     []blockInfo     `json:"blocks,omitempty"`
}

type attributeInfo struct {
	Name          string          `json:"name"`
	Type          string          `json:"type"`
	Doc           string          `json:"doc"`
	Required      bool            `json:"required"`
	Secret        bool            `json:"secret,omitempty"`
	Default       json.RawMessage `json:"default,omitempty"`
	OneOf         []string        `json:"one_of,omitempty"`
	Min           *float64        `json:"min,omitempty"`
	Max           *float64        `json:"max,omitempty"`
	Pattern       string          `json:"pattern,omitempty"`
	ConflictsWith []string        `json:"conflicts_with,omitempty"`
	RequiredWith  []string        `json:"required_with,omitempty"`
	Deprecated    string          `json:"deprecated,omitempty"`
}

type blockInfo struct {
	Name   string   `json:"name"`
	Doc    string   `json:"doc"`
	Labels []string `json:"labels,omitempty"`
	// Min and Max are how often the block may stand there; a Max of 0 is no bound.
	Min uint32 `json:"min"`
	Max uint32 `json:"max"`
	schemaInfo
}

// askPlugin starts a plugin, given by its name or by the path of its executable, and asks what it offers.
func askPlugin(ctx context.Context, nameOrPath string, given []string) (*pluginInfo, error) {
	dirs, err := pluginDirs(given)
	if err != nil {
		return nil, err
	}
	decl, err := declarationOf(nameOrPath, dirs)
	if err != nil {
		return nil, err
	}
	host := pluginhost.New(pluginhost.Options{Dirs: dirs, Version: version})
	defer host.Close()
	d, err := host.Describe(ctx, decl)
	if err != nil {
		return nil, err
	}
	info := pluginInfoOf(decl.Path, d)
	info.Confinement, err = pluginhost.ConfinementOf(decl, dirs)
	return info, err
}

// declarationOf is the plugin as a configuration would declare it.
func declarationOf(nameOrPath string, dirs []string) (config.Plugin, error) {
	if strings.ContainsRune(nameOrPath, os.PathSeparator) {
		path, err := filepath.Abs(nameOrPath)
		return config.Plugin{Name: strings.TrimPrefix(filepath.Base(path), "vipward-plugin-"), Path: path}, err
	}
	path, err := pluginhost.Find(nameOrPath, dirs)
	if missing, ok := errors.AsType[*config.MissingPlugin](err); ok {
		return config.Plugin{}, fmt.Errorf("no plugin %q in %s; the plugins there are: %s",
			nameOrPath, strings.Join(missing.Searched, ", "), strings.Join(missing.Found, ", "))
	}
	return config.Plugin{Name: nameOrPath, Path: path}, err
}

func pluginInfoOf(path string, d *pluginv1.DescribeResponse) *pluginInfo {
	p := &pluginInfo{Name: d.GetName(), Version: d.GetVersion(), SDK: d.GetSdk(), Path: path, Components: []componentInfo{}}
	for _, c := range d.GetComponents() {
		p.Components = append(p.Components, componentInfo{
			Kind: strings.ToLower(c.GetKind().String()), Name: c.GetName(), Summary: c.GetSummary(),
			schemaInfo: schemaInfoOf(c.GetConfig()),
		})
	}
	return p
}

func schemaInfoOf(s *pluginv1.Schema) schemaInfo {
	info := schemaInfo{Attributes: []attributeInfo{}}
	for _, a := range s.GetAttributes() {
		info.Attributes = append(info.Attributes, attributeInfo{
			Name: a.GetName(), Type: a.GetType(), Doc: a.GetDoc(), Required: a.GetRequired(), Secret: a.GetSecret(),
			Default: json.RawMessage(a.GetDefaultJson()), OneOf: a.GetOneOf(), Min: a.Min, Max: a.Max, Pattern: a.GetPattern(),
			ConflictsWith: a.GetConflictsWith(), RequiredWith: a.GetRequiredWith(), Deprecated: a.GetDeprecated(),
		})
	}
	for _, b := range s.GetBlocks() {
		info.Blocks = append(info.Blocks, blockInfo{
			Name: b.GetName(), Doc: b.GetDoc(), Labels: b.GetLabels(), Min: b.GetMinItems(), Max: b.GetMaxItems(),
			schemaInfo: schemaInfoOf(b.GetSchema()),
		})
	}
	return info
}

func showJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// showPlugin writes what a plugin offers for people: itself, then its components with what they take.
func showPlugin(w io.Writer, g *globals, p *pluginInfo) error {
	head := &table{color: g.color(w)}
	head.add("plugin", p.Name)
	head.add("version", p.Version)
	head.add("sdk", p.SDK)
	head.add("path", p.Path)
	head.add("runs as", p.Confinement.String())
	if err := head.write(w); err != nil {
		return err
	}
	for _, c := range p.Components {
		title := fmt.Sprintf("\n%s %q", c.Kind, c.Name)
		if c.Summary != "" {
			title += ": " + c.Summary
		}
		if _, err := fmt.Fprintln(w, title); err != nil {
			return err
		}
		t := &table{color: head.color}
		c.rows(t, "  ")
		if err := t.write(w); err != nil {
			return err
		}
	}
	return nil
}

// rows adds a row for each attribute, those of nested blocks further in.
func (s schemaInfo) rows(t *table, indent string) {
	for _, a := range s.Attributes {
		t.add(indent+a.Name, a.Type, a.otherwise(), a.Doc)
	}
	for _, b := range s.Blocks {
		t.add(indent+b.header(), "block", "", b.Doc)
		b.rows(t, indent+"  ")
	}
}

// otherwise is what holds where an attribute is not written.
func (a attributeInfo) otherwise() string {
	if a.Required {
		return "required"
	}
	return string(a.Default)
}

// header is the block's name with its labels: header "NAME".
func (b blockInfo) header() string {
	text := b.Name
	for _, l := range b.Labels {
		text += fmt.Sprintf(" %q", strings.ToUpper(l))
	}
	return text
}
