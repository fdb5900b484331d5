package node

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
)

// maxSingle is how many checks of one plugin may become stale together and still be told one by one. What more have in common
// is their plugin: a plugin that dies with thousands of targets is one piece of news.
const maxSingle = 8

// fold is the one piece of news for many checks of a plugin that have no results. It lasts until they have some again.
type fold struct {
	missing map[string]bool // the checks without a result
	size    int             // how many there were
	grace   time.Duration   // for all of them to come back once one has
	end     time.Time       // of that; zero while none has come back
}

// foldStale puts checks that have just become stale into folds, and returns those that are to be told by themselves. A check that
// falls while its plugin has a fold is part of the same trouble, and told of no more than when the others are back.
func (n *Node) foldStale(now time.Time, fallen []string) (single []string) {
	for _, plugin := range slices.Sorted(maps.Keys(n.folds)) {
		fallen = append(fallen, n.unfold(now, plugin)...)
	}
	open := map[string][]string{}
	for _, id := range fallen {
		plugin := n.checks[id].plugin
		if f := n.folds[plugin]; f != nil {
			f.add(id, n.checks[id])
			continue
		}
		open[plugin] = append(open[plugin], id)
	}
	for _, plugin := range slices.Sorted(maps.Keys(open)) {
		missing, total := n.missing(now, plugin, open[plugin])
		if len(missing) <= maxSingle {
			single = append(single, open[plugin]...)
			continue
		}
		f := &fold{missing: map[string]bool{}}
		longest := time.Duration(0)
		for _, id := range missing {
			f.add(id, n.checks[id])
			longest = max(longest, n.checks[id].Silence(now))
		}
		n.folds[plugin] = f
		n.tellFold(plugin, "checks.stale", event.Warning, fmt.Sprintf(
			"no result of %d of its %d checks, for up to %v; their verdicts stay", f.size, total, longest.Round(time.Second)))
	}
	slices.Sort(single)
	return single
}

func (f *fold) add(id string, c *check) {
	if !f.missing[id] {
		f.missing[id] = true
		f.size++
	}
	f.grace = max(f.grace, c.Limit())
}

// missing are the checks of a plugin that have just fallen, with those whose result should have come as well, and how many checks
// the plugin has. One that was told by itself stays so.
func (n *Node) missing(now time.Time, plugin string, fallen []string) (ids []string, total int) {
	ids = slices.Clone(fallen)
	for id, c := range n.checks {
		if c.plugin != plugin {
			continue
		}
		total++
		if !c.Expired() && c.Overdue(now) {
			ids = append(ids, id)
		}
	}
	return ids, total
}

// heardAgain takes a check that has a result out of the fold of its plugin, and tells whether it was in it.
func (n *Node) heardAgain(now time.Time, id string, c *check) bool {
	f := n.folds[c.plugin]
	if f == nil || !f.missing[id] {
		return false
	}
	delete(f.missing, id)
	if f.end.IsZero() {
		f.end = now.Add(f.grace)
	}
	if len(f.missing) == 0 {
		n.unfold(now, c.plugin)
	}
	return true
}

// unfold ends a fold when all its checks are back, or have had their time to come back. It returns those that are still stale.
func (n *Node) unfold(now time.Time, plugin string) (left []string) {
	f := n.folds[plugin]
	if len(f.missing) > 0 && (f.end.IsZero() || now.Before(f.end)) {
		return nil
	}
	delete(n.folds, plugin)
	left = slices.DeleteFunc(slices.Sorted(maps.Keys(f.missing)), func(id string) bool { return !n.checks[id].Expired() })
	text := fmt.Sprintf("%d of its checks have results again", f.size-len(left))
	if len(left) > 0 {
		text += fmt.Sprintf(", and %d have none", len(left))
	}
	n.tellFold(plugin, "checks.fresh", event.Info, text)
	return left
}

func (n *Node) tellFold(plugin, code string, severity event.Severity, reason string) {
	n.emit(event.Event{Code: code, Severity: severity, Kind: event.Plugin, Subject: plugin, Reason: reason})
}

// keepFolds drops from the folds what a reload has removed.
func (n *Node) keepFolds() {
	for plugin, f := range n.folds {
		maps.DeleteFunc(f.missing, func(id string, _ bool) bool { return n.checks[id] == nil || n.checks[id].plugin != plugin })
		if len(f.missing) == 0 {
			delete(n.folds, plugin)
		}
	}
}
