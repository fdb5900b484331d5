//go:build linux

package command

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/vipward/vipward/sdk"
)

// Environment is what the operator gave to the plugin, a search path, and more: words of the form NAME=VALUE, of which the last
// of a name counts. What the plugin and its host have between them is not in it. A zero byte in more is left out.
func Environment(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PLUGIN_") && !strings.HasPrefix(v, "VIPWARD_") && !strings.HasPrefix(v, "PATH=") {
			env = append(env, v)
		}
	}
	env = append(env, "PATH="+searchPath())
	for _, v := range more {
		env = append(env, strings.ReplaceAll(v, "\x00", ""))
	}
	return env
}

// Words are the words for [Environment] of what an operator wrote into a configuration, sorted by name.
func Words(env map[string]sdk.Secret) []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		words = append(words, name+"="+string(env[name]))
	}
	return words
}

// searchPath is PATH where the operator gave one to the plugin, else the usual one: nothing of the daemon's is inherited.
func searchPath() string {
	if path := os.Getenv("PATH"); path != "" {
		return path
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}
