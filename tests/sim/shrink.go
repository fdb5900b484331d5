package sim

import (
	"slices"
	"time"
)

// Shrink looks for a smaller scenario that breaks the same invariant: fewer faults, sooner, in a smaller world. It plays most
// worlds at most, and returns the smallest that it found, which ends a second after the failure.
func Shrink(s Scenario, f *Failure, most int) Scenario {
	k := &shrinker{best: s, invariant: f.Invariant, left: most}
	k.best.Length = span(f.At + time.Second)
	k.best.Faults = slices.DeleteFunc(slices.Clone(s.Faults), func(x Fault) bool { return time.Duration(x.At) > f.At })
	k.latest()
	for before := -1; before != len(k.best.Faults); {
		before = len(k.best.Faults)
		k.drop()
	}
	k.simplify()
	k.drop()
	return k.best
}

type shrinker struct {
	best      Scenario
	invariant string
	left      int
}

// try plays a candidate, with a few seeds, and keeps it where it breaks the invariant.
func (k *shrinker) try(s Scenario) bool {
	for n := range uint64(3) {
		if k.left--; k.left < 0 {
			return false
		}
		c := s
		c.Seed += n
		if w := Play(c); w.failure != nil && w.failure.Invariant == k.invariant {
			c.Length = span(w.failure.At + time.Second)
			k.best = c
			return true
		}
	}
	return false
}

// latest tries the last faults alone, soon after the start.
func (k *shrinker) latest() {
	all := slices.Clone(k.best.Faults)
	slices.SortFunc(all, func(a, b Fault) int { return int(a.At - b.At) })
	for n := 1; n < len(all); n *= 2 {
		s := k.best
		s.Faults = slices.Clone(all[len(all)-n:])
		shift := s.Faults[0].At - span(25*time.Second)
		if shift < 0 {
			return
		}
		for i := range s.Faults {
			s.Faults[i].At -= shift
		}
		s.Length = max(s.Length-shift, 0) + span(time.Minute)
		if k.try(s) {
			return
		}
	}
}

// drop leaves faults out, many at once and then ever fewer (delta debugging).
func (k *shrinker) drop() {
	for size := len(k.best.Faults); size > 0; size /= 2 {
		for at := 0; at < len(k.best.Faults); {
			s := k.best
			s.Faults = slices.Delete(slices.Clone(s.Faults), at, min(at+size, len(s.Faults)))
			if !k.try(s) {
				at += size
			}
		}
	}
}

// simplify makes what is left rounder, and the world smaller.
func (k *shrinker) simplify() {
	for i := range k.best.Faults {
		for _, unit := range []span{span(time.Second), span(100 * time.Millisecond)} {
			k.edit(func(s *Scenario) { s.Faults[i].At = round(s.Faults[i].At, unit) })
			k.edit(func(s *Scenario) { s.Faults[i].For = round(s.Faults[i].For, unit) })
		}
	}
	k.edit(func(s *Scenario) { s.Drift = nil })
	k.edit(func(s *Scenario) { s.Groups = nil })
	for len(k.best.Instances) > 1 {
		last := len(k.best.Instances) - 1
		if k.best.group(last) >= 0 || slices.ContainsFunc(k.best.Faults, func(f Fault) bool { return f.Instance == last }) ||
			!k.edit(func(s *Scenario) { s.Instances = s.Instances[:last] }) {
			break
		}
	}
	for i := range k.best.Instances {
		k.edit(func(s *Scenario) { s.Instances[i].Tracks = nil })
		k.edit(func(s *Scenario) { s.Instances[i].VIPs = 1 })
		k.edit(func(s *Scenario) { s.Instances[i].Unicast = false })
		k.edit(func(s *Scenario) { s.Instances[i].Signed = false })
		k.edit(func(s *Scenario) { s.Instances[i].Delay = 0 })
		k.edit(func(s *Scenario) { s.Instances[i].IPv6 = false })
		k.edit(func(s *Scenario) { s.Instances[i].StartMaster = false })
		k.edit(func(s *Scenario) { s.Instances[i].Version = 3 })
	}
	for k.best.Nodes > 2 && !slices.ContainsFunc(k.best.Faults, func(f Fault) bool { return f.Node == k.best.Nodes-1 }) {
		if !k.edit(func(s *Scenario) { s.Nodes-- }) {
			break
		}
	}
}

func round(d, unit span) span { return (d + unit/2) / unit * unit }

// edit tries one change, and tells whether the scenario still breaks.
func (k *shrinker) edit(change func(s *Scenario)) bool {
	s := k.best
	s.Faults, s.Instances, s.Groups = slices.Clone(s.Faults), slices.Clone(s.Instances), slices.Clone(s.Groups)
	change(&s)
	s.Length += span(10 * time.Second)
	return k.try(s)
}
