package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/pluginhost"
)

// newPluginLockCommand is `vipward plugin lock`.
func newPluginLockCommand(g *globals) *cobra.Command {
	var dirs []string
	c := &cobra.Command{
		Use:   "lock PATH",
		Short: "Write down which plugins of third parties may run",
		Long: "Write the digests of the plugins of third parties that a configuration uses into the file " + config.LockName + " beside it.\n" +
			"From then on the daemon runs no other file in their place, and none that is not in the file. No plugin is started. What\n" +
			"the file says for other platforms than this one stays; a plugin that is not in use any more leaves the file. The plugins\n" +
			"that come with vipward are not in it: they are replaced with vipward itself.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			search, err := pluginDirs(dirs)
			if err != nil {
				return err
			}
			locked, err := lock(c.Context(), args[0], search)
			if err != nil {
				return err
			}
			return locked.show(c.OutOrStdout(), g)
		},
	}
	addPluginDirs(c, &dirs)
	return c
}

// lockResult is what became of the lock file.
type lockResult struct {
	File    string         `json:"file"`
	Changed bool           `json:"changed"`
	Plugins []lockedPlugin `json:"plugins"`
}

type lockedPlugin struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	Platform string `json:"platform"`
	SHA256   string `json:"sha256"`
}

// lock writes the lock file of the configuration at path.
func lock(ctx context.Context, path string, dirs []string) (lockResult, error) {
	node, _ := os.Hostname() // counts only where the configuration declares no nodes
	used, diags := config.PluginsInUse(ctx, path, config.Options{Node: node, Environ: os.LookupEnv})
	if diags.HasErrors() {
		return lockResult{}, invalidConfig(diags)
	}
	old, diags := config.ReadLock(path)
	if diags.HasErrors() {
		return lockResult{}, invalidConfig(diags)
	}
	next := &config.LockFile{Path: config.LockPath(path), Plugins: map[string]map[string]string{}}
	result := lockResult{File: next.Path, Plugins: []lockedPlugin{}}
	for _, decl := range used {
		checked, err := pluginhost.Check(decl, dirs)
		if _, ok := errors.AsType[*config.MissingPlugin](err); ok {
			return result, fmt.Errorf("plugin %q is not there: vipward validate says where it was looked for", decl.Name)
		}
		if err != nil {
			return result, fmt.Errorf("plugin %q: %w", decl.Name, err)
		}
		if checked.Bundled {
			continue
		}
		next.Plugins[decl.Name] = merged(old, decl.Name, checked.SHA256)
		result.Plugins = append(result.Plugins, lockedPlugin{decl.Name, checked.Path, pluginhost.Platform(), checked.SHA256})
	}
	var err error
	result.Changed, err = writeLock(next.Path, next.Bytes())
	return result, err
}

// merged are the digests of a plugin: that for this platform, and what was there for others.
func merged(old *config.LockFile, name, digest string) map[string]string {
	all := map[string]string{}
	if old != nil {
		for platform, d := range old.Plugins[name] {
			all[platform] = d
		}
	}
	all[pluginhost.Platform()] = digest
	return all
}

// writeLock puts a file in the place of another at once, unless they are the same.
func writeLock(path string, text []byte) (changed bool, err error) {
	if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, text) {
		return false, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".vipward-lock-")
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(writeAll(f, text, 0o644), f.Close()); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	return true, os.Rename(f.Name(), path)
}

func (r lockResult) show(w io.Writer, g *globals) error {
	if g.json {
		return showJSON(w, r)
	}
	for _, p := range r.Plugins {
		if _, err := fmt.Fprintf(w, "%s  %s  %s\n", p.SHA256, p.Name, p.Path); err != nil {
			return err
		}
	}
	text := "unchanged: " + r.File
	if r.Changed {
		text = "written: " + r.File + "; vipward reload makes it count"
	}
	if len(r.Plugins) == 0 {
		text += "; no plugin of a third party is in use"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
