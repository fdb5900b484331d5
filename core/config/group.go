package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/node"
)

// group is one block `vrrp_sync_group`, with the places that the cross-checks need.
type group struct {
	node.Group
	block   *block
	members []*instance
	trackAt []hcl.Range
}

// readGroups reads which instances are master together.
func (l *loading) readGroups(kids map[string][]kid) {
	for _, k := range kids["vrrp_sync_group"] {
		b := l.open(k, groupSpec(), true)
		g := &group{block: b, Group: node.Group{Name: k.Labels[0], Notify: l.defaults.notify}}
		b.required("instances", `["web", "db"]`)
		names, places := b.names("instances")
		for n, name := range names {
			g.join(name, places[n])
		}
		g.Tracks, g.trackAt = b.tracks()
		if b.given("notify") {
			g.Notify = b.notify()
		}
		if len(names) < 2 && b.given("instances") {
			b.warn(b.where("instances"), "%s has fewer than two instances", b.name).because(
				"One alone needs no group. Name those that must be MASTER on the same node, or remove the block.")
		}
		l.groups = append(l.groups, g)
	}
}

// join makes an instance a member.
func (g *group) join(name string, at hcl.Range) {
	b := g.block
	k := slices.IndexFunc(b.instances, func(i *instance) bool { return i.Name == name })
	if k < 0 {
		known := make([]string, 0, len(b.instances))
		for _, i := range b.instances {
			known = append(known, i.Name)
		}
		b.fault(at, "no vrrp_instance %q", name).because("%s", thereAre("instances", name, known))
		return
	}
	i := b.instances[k]
	if i.group != nil {
		b.fault(at, "vrrp_instance %q is in two sync groups", name).because(
			"vrrp_sync_group %q at %s has it already. Join the two groups, or take it out of one.", i.group.Name, place(i.group.block.at))
		return
	}
	i.group = g
	g.members, g.Instances = append(g.members, i), append(g.Instances, name)
}

// checkGroup reports members that could never be master together, or that count different things.
func (l *loading) checkGroup(g *group) {
	if len(g.members) == 0 {
		return
	}
	first := g.members[0]
	at := g.block.where("instances")
	for _, i := range g.members[1:] {
		best, _ := first.ranking()
		other, _ := i.ranking()
		if best != other && best != "" && other != "" {
			l.fault(at, "vrrp_sync_group %q can have no master", g.Name).because(
				"%v prefers %s, and %v prefers %s; as they are master together or not at all, each would take it from the other for ever. Give the same node the highest priority in all of them.",
				first, best, i, other)
		}
		if i.VRRP.Preempt != first.VRRP.Preempt || i.VRRP.PreemptDelay != first.VRRP.PreemptDelay {
			l.warn(at, "the instances of vrrp_sync_group %q preempt differently", g.Name).because(
				"They move together, when the last of them would take over. Write the same preempt and preempt_delay in %v and %v.", first, i)
		}
		if !sameTracks(first.Tracks, i.Tracks) {
			l.warn(at, "the instances of vrrp_sync_group %q track different things", g.Name).because(
				"What one of them tracks counts for all, or their priorities would tear them apart. Write the blocks track of %v and %v into the group.", first, i)
		}
	}
}

func sameTracks(a, b []node.Track) bool {
	subset := func(a, b []node.Track) bool {
		return !slices.ContainsFunc(a, func(t node.Track) bool { return !slices.Contains(b, t) })
	}
	return subset(a, b) && subset(b, a)
}
