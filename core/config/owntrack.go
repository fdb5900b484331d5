package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// ownTrackSpec is what a track with a check of its own takes besides what the plugin declares.
func ownTrackSpec(kind node.TrackKind) spec {
	s := checkerSpec().with(spec{attrs: []string{"weight", "reverse"}})
	if kind != node.TrackProcess { // whose name is that of the process
		s.attrs = append(s.attrs, "name")
	}
	return s
}

// ownTrack reads the track of a script, process or file: it is the checker of a plugin and its track in one. What two tracks
// check alike is checked once.
func (b *block) ownTrack(k kid, kind node.TrackKind, plugin string) node.Track {
	as := *k.Block
	as.Labels = []string{plugin}
	c := b.openComponent(kid{&as, k.src}, pluginv1.Kind_CHECKER, ownTrackSpec(kind), b.perNode)
	c.block.name = fmt.Sprintf("track %q", kind)
	t := node.Track{Kind: kind, Reverse: c.flag("reverse", false)}
	t.Weight, t.Weighted = c.weight()
	when := c.timing(b.defaults.check.or(checkerTiming()))
	judge := when.health(c.initial(health.Unknown))
	x := Check{Kind: plugin, Interval: when.interval, Timeout: when.timeout, Warmup: min(when.interval, maxWarmup)}
	x.connect(c.connection(), netip.AddrPort{}, c.block)
	text, ok := c.decode()
	if !ok {
		return t
	}
	var name string
	name, x.Config = c.ownConfig(t, text)
	t.Name, t.Check = b.addOwn(kind, name, x, judge)
	return t
}

// ownConfig is what the plugin gets, and the name that people know the track by. A script is judged as keepalived judges it: any
// status but 0 is down; and a file with a weight holds a number, not a state.
func (c *component) ownConfig(t node.Track, text json.RawMessage) (name string, config json.RawMessage) {
	var all map[string]any
	if json.Unmarshal(text, &all) != nil || all == nil {
		return "", text // it was made from such a map
	}
	otherwise := func(attribute, value string) {
		if !c.given(attribute) {
			all[attribute] = value
		}
	}
	switch {
	case t.Kind == node.TrackScript:
		otherwise("format", "misc")
	case t.IsNumber():
		otherwise("as", "weight")
	}
	config, err := json.Marshal(all)
	if err != nil {
		return "", text
	}
	first, _ := all["command"].([]any)
	switch {
	case c.given("name"):
		return c.text("name", ""), config
	case t.Kind == node.TrackFile:
		name, _ = all["path"].(string)
		return name, config
	case len(first) > 0:
		return filepath.Base(fmt.Sprint(first[0])), config
	}
	return "", config
}

// addOwn adds the check of a track, unless there is one like it, and returns its name and identifier.
func (l *loading) addOwn(kind node.TrackKind, name string, x Check, judge health.Config) (unique, id string) {
	for n := 1; ; n++ {
		unique = name
		if n > 1 {
			unique = fmt.Sprintf("%s-%d", name, n)
		}
		id = fmt.Sprintf("track/%s/%s", kind, unique)
		k := slices.IndexFunc(l.cfg.Checks, func(c Check) bool { return c.ID == id })
		if k < 0 {
			break
		}
		if l.cfg.Checks[k].same(x) && slices.ContainsFunc(l.cfg.Node.Checkers, func(c node.Checker) bool { return c.Check == id && c.Health == judge }) {
			return unique, id
		}
	}
	x.ID, x.Name = id, fmt.Sprintf("track %s %s", kind, unique)
	l.cfg.Checks = append(l.cfg.Checks, x)
	l.cfg.Node.Checkers = append(l.cfg.Node.Checkers, node.Checker{
		Name: fmt.Sprintf("%s.%s", kind, unique), Check: id, Plugin: x.Kind, Health: judge,
	})
	if l.slowness == nil {
		l.slowness = map[string]time.Duration{}
	}
	l.slowness[id] = time.Duration(judge.Fall)*x.Interval + x.Timeout
	return unique, id
}

// same tells whether two checks of the node do the same.
func (c Check) same(o Check) bool {
	return c.Kind == o.Kind && bytes.Equal(c.Config, o.Config) && c.Interval == o.Interval && c.Timeout == o.Timeout &&
		c.Target == o.Target && c.Source == o.Source && c.Device == o.Device && c.Mark == o.Mark
}
