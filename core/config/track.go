package config

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/node"
)

// tracks reads what the instance or the sync group of the block depends on, with the places.
func (b *block) tracks() (tracks []node.Track, places []hcl.Range) {
	for _, k := range b.kids {
		if k.Type != "track" {
			continue
		}
		if t, ok := b.track(kid{k, b.src}); ok {
			tracks, places = append(tracks, t), append(places, k.DefRange)
		}
	}
	return tracks, places
}

// track reads one track; false where a fault has been reported that leaves nothing of it.
func (b *block) track(k kid) (node.Track, bool) {
	switch kind := node.TrackKind(k.Labels[0]); kind {
	case node.TrackScript:
		return b.ownTrack(k, kind, "exec"), true
	case node.TrackFile, node.TrackProcess:
		return b.ownTrack(k, kind, k.Labels[0]), true
	case node.TrackChecker, node.TrackInterface, node.TrackService:
		return b.open(k, trackSpec(), b.perNode).namedTrack(kind), true
	default:
		kinds := []string{"checker", "interface", "script", "process", "file", "virtual_server"}
		b.fault(labelRange(k.Block), "cannot track a %q", k.Labels[0]).because("The kinds are %s.%s", list(kinds), suggest(k.Labels[0], kinds))
	}
	return node.Track{}, false
}

// namedTrack is the track of something that is there without it.
func (b *block) namedTrack(kind node.TrackKind) node.Track {
	b.required("name", `"…"`)
	t := node.Track{Kind: kind, Name: b.text("name", ""), Reverse: b.flag("reverse", false)}
	t.Weight, t.Weighted = b.weight()
	switch {
	case kind == node.TrackChecker:
		b.useChecker(t.Name)
	case kind == node.TrackService && b.given("name"):
		b.trackedServices = append(b.trackedServices, trackedService{t.Name, b.where("name")})
	}
	return t
}

// weight takes the weight of a track; false for none.
func (b *block) weight() (weight int, given bool) {
	if _, given = b.take("weight"); !given {
		return 0, false
	}
	weight = b.integer("weight", -253, -253, 253,
		"A weight is -253 to 253, without 0: a negative one lowers the priority while down, a positive one raises it while up.")
	if weight == 0 {
		b.fault(b.where("weight"), "a weight of 0 does nothing").because(
			"Leave weight out to let the instance go to FAULT and hand over, or write one that is more than the difference of the priorities, like -60.")
	}
	return weight, true
}

// useChecker looks a checker up.
func (b *block) useChecker(name string) {
	if !b.given("name") {
		return
	}
	if c, ok := b.checkers[name]; ok {
		c.used = true
		return
	}
	known := sorted(b.checkers)
	b.fault(b.where("name"), "no checker %q", name).because("%s Declare it with a block checker \"KIND\" %q.",
		thereAre("checkers", name, known), name)
}
