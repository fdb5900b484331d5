package pluginhost

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/health"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// wish is what is wanted of one plugin.
type wish struct {
	decl  config.Plugin
	runs  map[string]*run // by key
	kinds []pluginv1.Kind
}

// run is a check as the plugin makes it: once for all checks that ask the same of the same target in the same time.
type run struct {
	key   string
	check *config.Check // the first of those that it is made for

	ids   []string // of the checks that it is made for; none once it is not wanted any more. Under the lock flow of the process
	heard          // the latest observation that was handed on; under the lock flow of the process
}

// heard is an observation with when it came.
type heard struct {
	last health.Observation
	at   time.Time // zero for none yet
}

// young tells whether the observation is worth telling to a check that was not there when it was made.
func (r *run) young(now time.Time) bool {
	return !r.at.IsZero() && now.Sub(r.at) < r.check.Interval+r.check.Timeout
}

// keyOf is the same for checks of which one run is enough.
func keyOf(c config.Check) string {
	c.ID, c.Name, c.Warmup = "", "", 0
	text, _ := json.Marshal(c) // plain values
	sum := sha256.Sum256(text)
	return string(sum[:])
}

// Use is a component that is to be there when it is asked.
type Use struct {
	Kind pluginv1.Kind
	Name string
	// Config is the block, as the plugin gets it.
	Config json.RawMessage
}

// Uses are the fencers and witnesses of a configuration.
func Uses(c *config.Config) []Use {
	var uses []Use
	for _, f := range c.Fencers {
		uses = append(uses, Use{pluginv1.Kind_FENCER, f.Kind, f.Config})
	}
	for _, w := range c.Witnesses {
		uses = append(uses, Use{pluginv1.Kind_WITNESS, w.Kind, w.Config})
	}
	return uses
}

// wishesOf sorts what is wanted by the plugin that is to do it.
func wishesOf(
	plugins map[string]config.Plugin, checks []config.Check, notifiers []config.Notifier, uses ...Use,
) map[string]*wish {
	wishes := make(map[string]*wish)
	of := func(name string, kind pluginv1.Kind) *wish {
		w := wishes[name]
		if w == nil {
			w = &wish{decl: plugins[name], runs: make(map[string]*run)}
			w.decl.Name = name
			wishes[name] = w
		}
		if !slices.Contains(w.kinds, kind) {
			w.kinds = append(w.kinds, kind)
		}
		return w
	}
	checks = slices.SortedFunc(slices.Values(checks), func(a, b config.Check) int { return cmp.Compare(a.ID, b.ID) })
	for i := range checks {
		of(checks[i].Kind, pluginv1.Kind_CHECKER).add(&checks[i])
	}
	for _, n := range notifiers {
		of(n.Kind, pluginv1.Kind_NOTIFIER)
	}
	for _, u := range uses {
		of(u.Name, u.Kind)
	}
	return wishes
}

// add lets a check have a run of its own, or share one.
func (w *wish) add(c *config.Check) {
	key := keyOf(*c)
	if w.runs[key] == nil {
		w.runs[key] = &run{key: key, check: c}
	}
	w.runs[key].ids = append(w.runs[key].ids, c.ID)
}
