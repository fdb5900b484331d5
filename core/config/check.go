package config

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// timing is when a check runs and how many results decide. In `defaults` zero means not given.
type timing struct {
	interval, timeout, retry time.Duration
	rise, fall               int
	warmup                   time.Duration
}

// or fills what is not given from another.
func (t timing) or(o timing) timing {
	return timing{
		interval: cmp.Or(t.interval, o.interval), timeout: cmp.Or(t.timeout, o.timeout), retry: t.retry,
		rise: cmp.Or(t.rise, o.rise), fall: cmp.Or(t.fall, o.fall),
	}
}

// The timing where nobody says otherwise.
func checkerTiming() timing {
	return timing{interval: 2 * time.Second, timeout: time.Second, rise: 1, fall: 1}
}

func serverTiming() timing {
	return timing{interval: 10 * time.Second, timeout: 5 * time.Second, rise: 1, fall: 1}
}

// timing takes the timing of a check; what it does not give is inherited.
func (b *block) timing(inherited timing) timing {
	run := span{least: 10 * time.Millisecond, most: 24 * time.Hour, why: "It is 10ms to 24h."}
	const count = "The number of results in a row that decide is 1 to 1000."
	t := timing{
		interval: b.duration("interval", inherited.interval, run),
		timeout:  b.duration("timeout", inherited.timeout, run),
		rise:     b.integer("rise", inherited.rise, 1, 1000, count),
		fall:     b.integer("fall", inherited.fall, 1, 1000, count),
		retry:    b.duration("retry_interval", 0, run),
	}
	if t.interval > 0 && t.timeout > t.interval {
		b.warn(b.where("timeout"), "timeout is longer than interval").because(
			"A run that takes %v delays the next one, which is due after %v. Make timeout at most interval.", t.timeout, t.interval)
	}
	return t
}

// health is what turns results into a verdict.
func (t timing) health(initial health.Status) health.Config {
	return health.Config{Rise: t.rise, Fall: t.fall, Initial: initial, FreshFor: health.FreshFor(max(t.interval, t.retry), t.timeout)}
}

// initial takes the verdict before the first result.
func (b *block) initial(otherwise health.Status) health.Status {
	return health.Status(b.choice("initial", string(otherwise), string(health.Up), string(health.Down)))
}

// checker is one block `checker`.
type checker struct {
	node  node.Checker
	check Check
	at    hcl.Range
	used  bool
}

// readCheckers reads the checks of the node itself.
func (l *loading) readCheckers(kids map[string][]kid) {
	l.checkers = map[string]*checker{}
	for _, k := range kids["checker"] {
		c := l.openComponent(k, pluginv1.Kind_CHECKER, checkerSpec(), true)
		name := k.Labels[1]
		t := c.timing(l.defaults.check.or(checkerTiming()))
		id := "checker/" + name
		x := &checker{at: c.label, node: node.Checker{
			Name: name, Check: id, Plugin: c.name, Health: t.health(c.initial(health.Unknown)),
		}}
		x.check = Check{ID: id, Kind: c.name, Name: "checker " + name, Interval: t.interval, Timeout: t.timeout, Warmup: min(t.interval, maxWarmup)}
		x.check.connect(c.connection(), netip.AddrPort{}, c.block)
		x.check.Config, _ = c.decode()
		if _, ok := l.checkers[name]; ok {
			continue // reported as declared twice
		}
		l.checkers[name] = x
		l.cfg.Node.Checkers = append(l.cfg.Node.Checkers, x.node)
		l.cfg.Checks = append(l.cfg.Checks, x.check)
	}
}

// serverCheck is one block `check`, before it is tied to its real servers.
type serverCheck struct {
	kind   string
	config json.RawMessage
	timing timing
	health health.Config
	how    connection
	block  *block // for what turns out when it is tied
	// weighted tells that it only adds weight while it is up.
	weighted bool
	weight   int
}

// maxWarmup is within what time the first run of a check comes unless its block says otherwise.
const maxWarmup = time.Second

// onUnknown is what a check that cannot be made is taken for.
var onUnknown = map[string]health.Status{"keep": health.Unknown, "down": health.Down, "up": health.Up}

// serverChecks reads the blocks `check` within a virtual server or a real server.
func (b *block) serverChecks() []serverCheck {
	var out []serverCheck
	for _, k := range b.kids {
		if k.Type != "check" {
			continue
		}
		c := b.openComponent(kid{k, b.src}, pluginv1.Kind_CHECKER, checkSpec(), b.perNode)
		t := c.timing(b.defaults.check.or(serverTiming()))
		t.warmup = c.duration("warmup", min(t.interval, maxWarmup), span{0, t.interval, 0, "The first run comes within it: 0s to the interval, " + t.interval.String() + "."})
		x := serverCheck{kind: c.name, timing: t, health: t.health(c.initial(health.Down)), how: c.connection(), block: c.block}
		x.health.OnUnknown = onUnknown[c.choice("on_unknown", "keep", "keep", "down", "up")]
		_, x.weighted = c.take("weight")
		x.weight = c.integer("weight", 0, -65535, 65535, "The weight that is added while the check passes is -65535 to 65535.")
		x.config, _ = c.decode()
		out = append(out, x)
	}
	return out
}
