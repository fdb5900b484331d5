package pluginhost

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vipward/vipward/core/config"
)

// prefix of the file name of every plugin.
const prefix = "vipward-plugin-"

// DefaultDirs are where plugins are looked for, in this order, when the operator names no directory: plugins beside the
// executable, whose path is given, and the two directories that packages install to.
func DefaultDirs(executable string) []string {
	dirs := []string{"/usr/lib/vipward/plugins", "/usr/local/lib/vipward/plugins"}
	if executable == "" {
		return dirs
	}
	if real, err := filepath.EvalSymlinks(executable); err == nil {
		executable = real
	}
	return append([]string{filepath.Join(filepath.Dir(executable), "plugins")}, dirs...)
}

// Found is one plugin that lies in a plugin directory.
type Found struct {
	// Name is NAME of the file vipward-plugin-NAME.
	Name string
	// Path of the executable.
	Path string
}

// Catalog lists the plugins in some directories by name; of two with one name the first directory wins. Nothing is executed.
// A directory that cannot be read has no plugins.
func Catalog(dirs []string) []Found {
	var all []Found
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), prefix)
			path := filepath.Join(dir, e.Name())
			known := slices.ContainsFunc(all, func(f Found) bool { return f.Name == name })
			if ok && name != "" && !known && isExecutable(path) {
				all = append(all, Found{name, path})
			}
		}
	}
	slices.SortFunc(all, func(a, b Found) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// find is the path of the executable of a declared plugin; a [*config.MissingPlugin] where there is none.
func find(decl config.Plugin, dirs []string) (string, error) {
	if decl.Path != "" {
		return decl.Path, nil
	}
	if !strings.ContainsRune(decl.Name, os.PathSeparator) {
		for _, dir := range dirs {
			if path := filepath.Join(dir, prefix+decl.Name); isExecutable(path) {
				return path, nil
			}
		}
	}
	missing := &config.MissingPlugin{Name: decl.Name, Searched: dirs}
	for _, f := range Catalog(dirs) {
		missing.Found = append(missing.Found, f.Name)
	}
	return "", missing
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
