package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/pluginhost"
)

// newPluginCommand is `vipward plugin`, the parent of what concerns plugins.
func newPluginCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "plugin", Short: "Plugins: what there is, what runs, and how to write one",
		Args: noSuchCommand,
		RunE: needsCommand,
	}
	c.AddCommand(
		newPluginListCommand(g),
		newPluginInfoCommand(g),
		newPluginDocsCommand(g),
		newPluginLockCommand(g),
		newPluginNewCommand(g),
		newPluginReloadCommand(g),
		newPluginRunCommand(g),
		newPluginTestCommand(g),
	)
	return c
}

// newPluginListCommand is `vipward plugin list`.
func newPluginListCommand(g *globals) *cobra.Command {
	var dirs []string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the plugins that lie in the plugin directories and those that the daemon runs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			search, err := pluginDirs(dirs)
			if err != nil {
				return err
			}
			running, err := runningPlugins(c.Context(), newClient(g.socket))
			if err != nil {
				return clientError(c, g, err)
			}
			return showPlugins(c.OutOrStdout(), g, mergePlugins(running, pluginhost.Catalog(search)))
		},
	}
	addPluginDirs(c, &dirs)
	return c
}

// runningPlugins are the daemon's; none where no daemon runs, since the directories have an answer as well.
func runningPlugins(ctx context.Context, c *client) ([]control.Plugin, error) {
	s, _, err := c.status(ctx)
	if _, ok := errors.AsType[*unreachable](err); ok {
		return nil, nil
	}
	return s.Plugins, err
}

// listedPlugin is one line of the list.
type listedPlugin struct {
	control.Plugin
	// Path of the executable in the plugin directories; empty for one that the configuration names by its path.
	Path string `json:"path"`
}

// mergePlugins is what runs and what lies in the directories, by name. What does not run has the state "installed".
func mergePlugins(running []control.Plugin, found []pluginhost.Found) []listedPlugin {
	list := make([]listedPlugin, 0, len(running)+len(found))
	for _, p := range running {
		list = append(list, listedPlugin{Plugin: p})
	}
	for _, f := range found {
		runs := false
		for i := range list {
			if list[i].Name == f.Name {
				list[i].Path, runs = f.Path, true
			}
		}
		if !runs {
			list = append(list, listedPlugin{Plugin: control.Plugin{Name: f.Name, State: "installed"}, Path: f.Path})
		}
	}
	slices.SortStableFunc(list, func(a, b listedPlugin) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func showPlugins(w io.Writer, g *globals, list []listedPlugin) error {
	if g.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	t := &table{color: g.color(w)}
	t.add("PLUGIN", "KIND", "STATE", "PID", "RESTARTS", "VERSION", "PATH")
	for _, p := range list {
		pid, restarts := "", ""
		if p.PID != 0 {
			pid, restarts = strconv.Itoa(p.PID), strconv.Itoa(p.Restarts)
		}
		t.add(p.Name, p.Kind, pluginState(p.State), pid, restarts, p.Version, p.Path)
	}
	return t.write(w)
}

func pluginState(text string) cell {
	if text == "installed" {
		return cell{text: text}
	}
	return state(text)
}
