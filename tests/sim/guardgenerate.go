package sim

import (
	"math/rand/v2"
	"time"

	"github.com/vipward/vipward/core/guard"
)

// guardOf is what the nodes of some seeds ask before a takeover. It has a stream of its own, so that the worlds of the others stay as
// they are; large ones are left out, since heartbeats cost time.
func guardOf(seed uint64, t Topology) *GuardSpec {
	g := generator{rand.New(rand.NewPCG(seed, 11))} // reproducible on purpose
	if t.Nodes > 3 || !g.chance(45) {
		return nil
	}
	spec := &GuardSpec{
		Probe: g.chance(80), References: one(g, 0, 1, 2, 2), Paths: one(g, 0, 1, 2, 2),
		Held: one(g, guard.HoldOn, guard.HoldOn, guard.HoldFence, guard.HoldTakeover), AutoRejoin: g.chance(50),
	}
	if spec.Paths > 0 {
		spec.Mode = one(g, guard.FencingOff, guard.FencingOff, guard.FencingBestEffort, guard.FencingRequired)
	}
	if spec.Mode != guard.FencingOff && spec.Mode != "" {
		spec.Delay, spec.Levels = span(one(g, 0, 0, 2*time.Second)), one(g, 1, 1, 2)
	}
	if g.chance(30) && spec.Paths > 0 { // who preempts asks the master by heartbeats to give its grant back
		spec.OnLoss, spec.TTL = one(g, guard.WitnessFailsafe, guard.WitnessRelease), span(one(g, 3*time.Second, 5*time.Second))
	}
	return spec
}

// fastLeases are those of the instances of some seeds, most of them with fast adverts. They have a stream of their own as well.
func fastLeases(seed uint64, all []Spec) {
	g := generator{rand.New(rand.NewPCG(seed, 13))} // reproducible on purpose
	for i := range all {
		fast := time.Duration(all[i].Interval) < time.Second
		all[i].Fast = g.chance(10) || fast && g.chance(60)
	}
}

// guardKinds are the faults of what is asked.
func guardKinds(spec *GuardSpec) (kinds []string) {
	if spec == nil {
		return nil
	}
	kinds = []string{Power, Isolate, Isolate}
	if spec.Probe {
		kinds = append(kinds, Filter, Filter, Stranger)
	}
	if spec.References > 0 {
		kinds = append(kinds, Reference, Reference)
	}
	if spec.Paths > 0 {
		kinds = append(kinds, Replay)
	}
	if spec.Paths > 1 {
		kinds = append(kinds, Crosslink)
	}
	if spec.Levels > 0 {
		kinds = append(kinds, Fencer, Fencer)
	}
	if spec.OnLoss != "" {
		kinds = append(kinds, Witness, Witness)
	}
	return kinds
}

func (g generator) guardFault(t Topology, f *Fault) {
	switch f.Kind {
	case Power:
		f.For = 0
	case Fencer:
		f.Segment, f.Size = g.IntN(2), 1+g.IntN(manners-1)
	case Isolate, Filter, Crosslink:
		f.Size = g.IntN(2)
	case Reference:
		f.Size = one(g, 0, 0, 1, 2)
	case Witness:
		f.Node, f.Size = one(g, -1, f.Node), g.IntN(2)
	}
}
