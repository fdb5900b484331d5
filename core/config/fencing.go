package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/node"
)

// fencing is one block `fencing`.
type fencing struct {
	guard.Fencing
	node string
	at   hcl.Range
}

func fencingSpec() spec {
	return spec{attrs: []string{"mode", "delay", "dry_run", "auto_rejoin"}, blocks: []hcl.BlockHeaderSchema{header("level")}}
}

// readFencing reads how the nodes are fenced. The fencers have been read.
func (l *loading) readFencing(kids map[string][]kid) {
	for _, k := range kids["fencing"] {
		b := l.open(k, fencingSpec(), true)
		f := fencing{node: k.Labels[0], at: b.label}
		f.Mode = guard.FencingMode(b.choice("mode", string(guard.FencingOff),
			string(guard.FencingOff), string(guard.FencingBestEffort), string(guard.FencingRequired)))
		f.Delay = b.duration("delay", 0, span{most: time.Minute, why: "The delay before a shot is 0s to 1m."})
		f.DryRun, f.AutoRejoin = b.flag("dry_run", false), b.flag("auto_rejoin", false)
		for _, level := range b.nested("level", spec{attrs: []string{"devices"}}) {
			f.Levels = append(f.Levels, level.devices())
		}
		b.checkFencing(f)
		l.fencing = append(l.fencing, f)
	}
	l.checkFencedNodes()
}

// devices are the fencers of a level, all of which must confirm.
func (b *block) devices() []string {
	names, places := b.names("devices")
	if len(names) == 0 {
		b.fault(b.where("devices"), "a level of fencing has no devices").because("Name the fencers that are to switch the node off, like devices = [\"lb2-ipmi\"]. All of a level must confirm.")
	}
	var known []string
	for _, f := range b.cfg.Fencers {
		known = append(known, f.Name)
	}
	var all time.Duration
	for i, n := range names {
		k := slices.IndexFunc(b.cfg.Fencers, func(f Fencer) bool { return f.Name == n })
		switch {
		case k < 0:
			b.fault(places[i], "no fencer %q", n).because("%s Declare it with a block fencer \"KIND\" %q.", thereAre("fencers", n, known), n)
		default:
			all += b.cfg.Fencers[k].Timeout
		}
	}
	if all > guard.FenceLimit {
		b.warn(b.where("devices"), "the fencers of a level may take %v together", all).because(
			"They are asked one after the other, and a try through all levels ends after %v. Shorten their timeout.", guard.FenceLimit)
	}
	return names
}

// checkFencing looks at what is wrong with one block by itself.
func (b *block) checkFencing(f fencing) {
	nodes := b.nodeNames()
	switch {
	case len(nodes) == 0:
		b.fault(f.at, "fencing of node %q, and there are no nodes", f.node).because("Declare the members of the pair, for example node \"lb1\" { address = \"10.0.0.1\" }.")
	case !slices.Contains(nodes, f.node):
		b.fault(f.at, "fencing of node %q, which is not declared", f.node).because("The nodes are %s.%s", list(nodes), suggest(f.node, nodes))
	case len(nodes) == 1:
		b.fault(f.at, "node %q would fence itself", f.node).because("It is the only node: nobody is there to fence it, and no node fences itself. Remove the block.")
	case f.Mode != guard.FencingOff && len(f.Levels) == 0:
		why := "A takeover would wait for what nobody can confirm."
		if f.Mode == guard.FencingBestEffort {
			why = fmt.Sprintf("A takeover would wait %v for nothing.", guard.FenceWait)
		}
		b.fault(b.where("mode"), "fencing of node %q is %s, and there is no fencer", f.node, f.Mode).because(
			"%s Add level { devices = [\"NAME\"] } with the name of a block fencer, or write mode = \"off\".", why)
	case f.Mode == guard.FencingOff && f.DryRun:
		b.warn(b.where("dry_run"), "a dry run of fencing that is off").because("It shows nothing. Write mode = \"best_effort\" or \"required\": with dry_run = true neither switches anything.")
	case f.Mode == guard.FencingBestEffort && f.Delay >= guard.FenceWait:
		b.warn(b.where("delay"), "node %q is fenced after the takeover only", f.node).because(
			"With mode = \"best_effort\" a takeover waits %v, and the shot %v. Shorten the delay, or write mode = \"required\".", guard.FenceWait, f.Delay)
	}
}

// checkFencedNodes reports a pair of which one node can fence the other, and not the other way round.
func (l *loading) checkFencedNodes() {
	armed := func(name string) bool {
		return slices.ContainsFunc(l.fencing, func(f fencing) bool { return f.node == name && f.Mode != guard.FencingOff })
	}
	for _, f := range l.fencing {
		for _, name := range l.nodeNames() {
			if armed(f.node) && !armed(name) && len(l.nodes) == 2 && slices.Contains(l.nodeNames(), f.node) {
				l.warn(f.at, "node %q can be fenced, and %q cannot", f.node, name).because(
					"The block says how the other node takes %s off. Add a block fencing %q with its fencers, or a takeover from %s waits for nothing.", f.node, name, name)
			}
		}
	}
}

// guards assembles what a takeover depends on.
func (l *loading) guards(g *node.Guard) {
	l.arbitration.arbitrate(g)
	of := func(name string) (f guard.Fencing) {
		if k := slices.IndexFunc(l.fencing, func(f fencing) bool { return f.node == name }); k >= 0 {
			f = l.fencing[k].Fencing
		}
		return f
	}
	for k := range g.Peers {
		g.Peers[k].Fencing = of(g.Peers[k].Name)
	}
	g.AutoRejoin = of(l.opt.Node).AutoRejoin
}
