package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/vipward/vipward/core/event"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// defaults is the block `defaults`.
type defaults struct {
	garp   garp
	check  timing
	notify []string
	start  *time.Duration // start_delay; nil for one interval between adverts
}

// readDaemon reads what concerns the daemon itself, and what the other blocks inherit.
func (l *loading) readDaemon(kids map[string][]kid) {
	l.cfg.Log = Log{Level: "info", Output: "stderr"}
	l.cfg.Plugins, l.pluginAt, l.pluginUsed = map[string]Plugin{}, map[string]hcl.Range{}, map[string]bool{}
	l.notifiers = map[string]bool{}
	l.defaults.garp = standardGarp()
	for _, k := range kids["notifier"] {
		l.notifiers[k.Labels[1]] = true
	}
	for _, k := range kids["plugin"] {
		l.readPlugin(k)
	}
	for _, k := range kids["listen"] {
		l.readListen(l.open(k, spec{attrs: []string{"address"}}, false))
	}
	for _, k := range kids["log"] {
		l.readLog(l.open(k, spec{attrs: []string{"level", "format", "output"}}, false))
	}
	for _, k := range kids["defaults"] {
		b := l.open(k, spec{attrs: []string{"notify", "start_delay"}, blocks: []hcl.BlockHeaderSchema{header("garp"), header("check")}}, false)
		l.defaults.notify = b.notify()
		if b.given("start_delay") {
			delay := b.startDelay(0)
			l.defaults.start = &delay
		}
		if g := b.single("garp", garpSpec()); g != nil {
			l.defaults.garp = g.garp(l.defaults.garp)
		}
		if c := b.single("check", timingSpec()); c != nil {
			l.defaults.check = c.timing(timing{})
		}
	}
}

// startDelay takes how long an instance waits at start for its links and checks to settle.
func (b *block) startDelay(otherwise time.Duration) time.Duration {
	return b.duration("start_delay", otherwise, span{most: time.Hour, why: "It is 0s to 1h."})
}

// notify takes names of notifiers.
func (b *block) notify() []string {
	names, places := b.names("notify")
	for i, n := range names {
		if !b.loading.notifiers[n] {
			b.noNotifier(places[i], n)
		}
	}
	return names
}

// noNotifier reports the name of a notifier that is not declared.
func (b *block) noNotifier(at hcl.Range, name string) {
	b.fault(at, "no notifier %q", name).because("%s Declare it with a block notifier \"KIND\" %q.",
		thereAre("notifiers", name, sorted(b.loading.notifiers)), name)
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (l *loading) readListen(b *block) {
	b.required("address", `"127.0.0.1:9112"`)
	text := b.text("address", "")
	if !b.given("address") || text == "" {
		return
	}
	host, port, err := net.SplitHostPort(text)
	n, badPort := strconv.ParseUint(port, 10, 16)
	_, badHost := netip.ParseAddr(host)
	if err != nil || badPort != nil || n == 0 || badHost != nil && host != "" && host != "localhost" {
		b.fault(b.where("address"), "%q is no address to listen on", text).because(
			`Write an address and a port, like "127.0.0.1:9112", "[::1]:9112" or ":9112" for every address of the machine.`)
		return
	}
	l.cfg.Listen = text
}

func (l *loading) readLog(b *block) {
	l.cfg.Log.Level = b.choice("level", "info", "debug", "info", "warn", "error")
	l.cfg.Log.Format = b.choice("format", "", "text", "json")
	output := b.text("output", "stderr")
	if output != "stderr" && output != "syslog" && !filepath.IsAbs(output) {
		b.fault(b.where("output"), "log output cannot be %q", output).because(
			`It is "stderr", "syslog", or the absolute path of a file, like "/var/log/vipward.log".`)
		return
	}
	l.cfg.Log.Output = output
}

// readPlugin reads how one plugin is found and confined.
func (l *loading) readPlugin(k kid) {
	b := l.open(k, spec{attrs: []string{"path", "sha256", "user", "capabilities", "writable", "env", "args"}}, false)
	p := Plugin{Name: k.Labels[0], Path: b.text("path", ""), SHA256: strings.ToLower(b.text("sha256", "")), User: b.text("user", ""), Env: b.environment()}
	if p.Path != "" && !filepath.IsAbs(p.Path) {
		p.Path = filepath.Join(k.src.dir(), p.Path)
	}
	if p.SHA256 != "" && !isHex(p.SHA256, 64) {
		b.fault(b.where("sha256"), "sha256 of plugin %q is no digest", p.Name).because(
			"It has 64 hexadecimal digits; sha256sum prints it. This has %d characters.", len(p.SHA256))
		p.SHA256 = ""
	}
	p.Capabilities, p.Writable, p.Lock = b.capabilities(), b.writable(), l.lock.of(p.Name)
	for _, v := range b.elements("args") {
		s, err := convert.Convert(v.Value, cty.String)
		if err != nil || s.IsNull() {
			b.wrongType(v.at, "args", "a list of texts", v.Value)
			continue
		}
		p.Args = append(p.Args, s.AsString())
	}
	l.cfg.Plugins[p.Name], l.pluginAt[p.Name] = p, b.label
}

// environment takes a map of texts.
func (b *block) environment() map[string]string {
	v, ok := b.take("env")
	if !ok {
		return nil
	}
	if !isMap(v) {
		b.wrongType(v.at, "env", `a map like { NAME = "value" }`, v.Value)
		return nil
	}
	out := map[string]string{}
	for name, e := range v.AsValueMap() {
		s, err := convert.Convert(e, cty.String)
		if err != nil || s.IsNull() {
			b.wrongType(v.at, fmt.Sprintf("env %s", name), "a text", e)
			continue
		}
		out[name] = s.AsString()
	}
	return out
}

func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// readNotifiers reads who hears of events.
func (l *loading) readNotifiers(kids map[string][]kid) {
	for _, k := range kids["notifier"] {
		c := l.openComponent(k, pluginv1.Kind_NOTIFIER, spec{attrs: []string{"events", "retry"}}, false)
		n := Notifier{
			Kind: c.name, Name: k.Labels[1], Kinds: c.eventKinds(),
			Retry: c.integer("retry", 100, 0, 100, "The number of attempts after the first is 0 to 100."),
		}
		n.Config, _ = c.decode()
		n.Folds, n.Batch = batchOf(c.schema, n.Config)
		l.cfg.Notifiers = append(l.cfg.Notifiers, n)
	}
}

// eventKinds takes the kinds of events that a notifier hears of.
func (b *block) eventKinds() []event.Kind {
	if !b.given("events") {
		return []event.Kind{event.Instance, event.Group, event.RealServer}
	}
	all := []string{
		string(event.Daemon), string(event.Instance), string(event.Group), string(event.Address), string(event.Route), string(event.RealServer), string(event.Service),
		string(event.Checker), string(event.Plugin), string(event.Notifier), string(event.Fencer), string(event.Interface),
		string(event.Node), string(event.Witness),
	}
	names, places := b.names("events")
	kinds := make([]event.Kind, 0, len(names))
	for i, n := range names {
		if !slices.Contains(all, n) {
			b.fault(places[i], "no events of the kind %q", n).because("The kinds are %s.%s", list(all), suggest(n, all))
			continue
		}
		kinds = append(kinds, event.Kind(n))
	}
	return kinds
}
