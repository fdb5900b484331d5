// Command vipward-plugins is all bundled plugins in one executable. The name under which it is started, vipward-plugin-NAME,
// or else its first argument tells which one it is. It goes through the same door as any other plugin.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vipward/vipward/plugins/exec"
	"github.com/vipward/vipward/plugins/execd"
	"github.com/vipward/vipward/plugins/http"
	"github.com/vipward/vipward/plugins/tcp"
	"github.com/vipward/vipward/sdk"
)

// version is set by the linker.
var version = "devel"

// bundled are the plugins, one a line, each with its components.
func bundled() map[string][]func() sdk.Component {
	return map[string][]func() sdk.Component{
		"exec":  {exec.Checker, exec.Notifier},
		"execd": {execd.Component},
		"http":  {http.Component},
		"tcp":   {tcp.Component},
	}
}

func main() {
	name := plugin(os.Args)
	makers, ok := bundled()[name]
	if !ok {
		fmt.Fprint(os.Stderr, usage(name))
		os.Exit(2)
	}
	var components []sdk.Component
	for _, component := range makers {
		c := component()
		sdk.Version(version)(&c)
		components = append(components, c)
	}
	sdk.Serve(components...)
}

// plugin is the name of the plugin that is asked for; empty for none.
func plugin(args []string) string {
	if name, ok := strings.CutPrefix(filepath.Base(args[0]), "vipward-plugin-"); ok {
		return name
	}
	if len(args) > 1 {
		return args[1]
	}
	return ""
}
