// Command vipward-plugins is all bundled plugins in one executable. The name under which it is started, vipward-plugin-NAME,
// or else its first argument tells which one it is. It goes through the same door as any other plugin.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vipward/vipward/plugins/alertmanager"
	"github.com/vipward/vipward/plugins/consul"
	"github.com/vipward/vipward/plugins/dns"
	"github.com/vipward/vipward/plugins/etcd"
	"github.com/vipward/vipward/plugins/exec"
	"github.com/vipward/vipward/plugins/execd"
	"github.com/vipward/vipward/plugins/fenceagent"
	"github.com/vipward/vipward/plugins/fencewebhook"
	"github.com/vipward/vipward/plugins/fifo"
	"github.com/vipward/vipward/plugins/file"
	"github.com/vipward/vipward/plugins/grpc"
	"github.com/vipward/vipward/plugins/http"
	"github.com/vipward/vipward/plugins/ipmi"
	"github.com/vipward/vipward/plugins/mail"
	"github.com/vipward/vipward/plugins/mysql"
	"github.com/vipward/vipward/plugins/nginx"
	"github.com/vipward/vipward/plugins/ping"
	"github.com/vipward/vipward/plugins/postgres"
	"github.com/vipward/vipward/plugins/process"
	"github.com/vipward/vipward/plugins/redfish"
	"github.com/vipward/vipward/plugins/redis"
	"github.com/vipward/vipward/plugins/smtp"
	"github.com/vipward/vipward/plugins/ssh"
	"github.com/vipward/vipward/plugins/syslog"
	"github.com/vipward/vipward/plugins/tcp"
	"github.com/vipward/vipward/plugins/udp"
	"github.com/vipward/vipward/plugins/webhook"
	"github.com/vipward/vipward/plugins/witnesshttp"
	"github.com/vipward/vipward/sdk"
)

// version is set by the linker.
var version = "devel"

// bundled are the plugins, one a line, each with its components.
func bundled() map[string][]func() sdk.Component {
	return map[string][]func() sdk.Component{
		"alertmanager": {alertmanager.Component},
		"consul":       {consul.Component},
		"dns":          {dns.Component},
		"etcd":         {etcd.Component},
		"exec":         {exec.Checker, exec.Notifier, exec.Fencer},
		"execd":        {execd.Component},
		"fence-agent":  {fenceagent.Fencer},
		"fifo":         {fifo.Component},
		"file":         {file.Component},
		"grpc":         {grpc.Component},
		"http":         {http.Component, witnesshttp.Component},
		"ipmi":         {ipmi.Fencer},
		"mail":         {mail.Component},
		"mysql":        {mysql.Component},
		"nginx":        {nginx.Component},
		"ping":         {ping.Component},
		"postgres":     {postgres.Component},
		"process":      {process.Component},
		"redfish":      {redfish.Fencer},
		"redis":        {redis.Component},
		"smtp":         {smtp.Component},
		"udp":          {udp.Component},
		"webhook":      {fencewebhook.Fencer, webhook.Component},
		"ssh":          {ssh.Fencer},
		"syslog":       {syslog.Component},
		"tcp":          {tcp.Component},
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
