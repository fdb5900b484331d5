package sim

import (
	"slices"
	"time"
)

// What follows is worked out from the scenario and the faults in force alone, not from what the nodes say of themselves.

// tracks are those that count for an instance: its own and those of the members of its group, each once.
func (h *host) tracks(i int) (all []TrackSpec) {
	for _, m := range h.w.scenario.mates(i) {
		for _, t := range h.active.specs[m].Tracks {
			if !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

// up is what a track sees.
func (h *host) up(t TrackSpec) bool {
	if t.Kind == "interface" {
		return h.works(t.Number)
	}
	return h.failing[t.Number] == 0
}

// priority is the effective one.
func (h *host) priority(i int) int {
	p := int(h.active.specs[i].Priority[h.n])
	if p == 255 {
		return p
	}
	for _, t := range h.tracks(i) {
		if up := h.up(t); up && t.Weight > 0 || !up && t.Weight < 0 {
			p += t.Weight
		}
	}
	return min(max(p, 1), 254)
}

// healthy tells whether the node could hold the instance, whatever the others do.
func (h *host) healthy(i int) bool {
	if !h.running() || h.stopping || h.maintenance || h.w.now < h.unfit[i] {
		return false
	}
	for _, t := range h.tracks(i) {
		if t.Kind == "checker" && !h.first[t.Number] || t.Weight == 0 && !h.up(t) {
			return false
		}
	}
	for _, m := range h.w.scenario.mates(i) {
		if h.active.removed[m] || h.refused(m) || !h.works(h.active.specs[m].Segment) || h.choked[h.active.specs[m].Segment] > 0 || !h.w.reaches(h, h.active.specs[m].Segment) {
			return false
		}
	}
	return true
}

// refused tells whether the kernel refuses the VIPs of an instance. What it holds already stays.
func (h *host) refused(i int) bool { return h.refuses[i] > 0 && !h.held[i*maxVIPs].on }

// down is the longest time after which a node takes over from a silent master.
func (w *World) down(h *host, i int) (longest time.Duration) {
	for _, m := range w.scenario.mates(i) {
		s := h.active.specs[m]
		skew := w.interval(m)
		if s.Version == 2 {
			skew = time.Second
		}
		longest = max(longest, 3*w.interval(m)+skew*time.Duration(256-h.priority(m))/256)
	}
	return longest
}

// interval is the longest that a node has, or had before a reload, for an instance: the others learn it.
func (w *World) interval(i int) (longest time.Duration) {
	longest = time.Duration(w.scenario.Instances[i].Interval)
	for _, h := range w.hosts {
		longest = max(longest, time.Duration(h.active.specs[i].Interval))
	}
	return longest
}

// alike tells whether all nodes have the same configuration of an instance.
func (w *World) alike(i int) bool {
	for _, h := range w.hosts {
		if h.active.specs[i].Interval != w.hosts[0].active.specs[i].Interval || h.active.specs[i].VIPs != w.hosts[0].active.specs[i].VIPs {
			return false
		}
	}
	return true
}

// lease is the most that a VIP stays without an advert; 0 for ever.
func (w *World) lease(h *host, i int) time.Duration {
	s := h.active.specs[i]
	if s.Unleased {
		return 0
	}
	if h.remote() {
		return time.Minute
	}
	return max((w.fastest(h, i) - 400*time.Millisecond).Truncate(time.Second), time.Second)
}

// fastest is the least silence after which a peer of a host may take over.
func (w *World) fastest(h *host, i int) time.Duration {
	s, best := h.active.specs[i], 0
	for m := range w.hosts {
		if m != h.n {
			best = max(best, int(s.Priority[m]))
		}
	}
	if slices.ContainsFunc(h.tracks(i), func(t TrackSpec) bool { return t.Weight > 0 }) {
		best = 254
	}
	skew := time.Duration(s.Interval)
	if s.Version == 2 {
		skew = time.Second
	}
	return 3*time.Duration(s.Interval) + skew*time.Duration(256-best)/256
}

// fastLease is the most that a VIP is answered for without an advert, where nftables ends that; 0 where it does not.
func (w *World) fastLease(h *host, i int) time.Duration {
	s := h.active.specs[i]
	if !s.Fast || s.Unleased || h.remote() {
		return 0
	}
	return max(w.fastest(h, i)-maxFastLate-maxApplyLate, 0)
}

// parted tells whether the network between the machines of a segment is not whole.
func (w *World) parted(segment int) bool {
	for _, rows := range [][][]int{w.segments[segment].cut, w.segments[segment].filtered} {
		if slices.ContainsFunc(rows, cutOff) {
			return true
		}
	}
	return w.segments[segment].noisy() || slices.ContainsFunc(w.hosts, func(h *host) bool { return h.choked[segment] > 0 })
}

// cutOff tells whether something keeps anything away.
func cutOff(row []int) bool { return slices.ContainsFunc(row, func(n int) bool { return n > 0 }) }

// whole tells whether nothing disturbs the links of an instance and its group, nor those that are asked.
func (w *World) whole(i int) bool {
	return w.informed() && !slices.ContainsFunc(w.scenario.mates(i), func(m int) bool { return w.parted(w.scenario.Instances[m].Segment) })
}

// even tells whether the members of a sync group have the same timers: with others they resign, and give a hand-over up, one after the
// other, and no peer wants all of them at once.
func (w *World) even(i int) bool {
	s := w.scenario.Instances[i]
	return !slices.ContainsFunc(w.scenario.mates(i), func(m int) bool {
		o := w.scenario.Instances[m]
		return o.Interval != s.Interval || (o.Version == 2) != (s.Version == 2)
	})
}

// busy tells whether a node wakes up so late that it stands still for longer than its adverts allow.
func (w *World) busy(i int) bool {
	return slices.ContainsFunc(w.hosts, func(h *host) bool { return h.late > maxWakeLate && 2*h.late > w.interval(i) })
}

// tries tells whether a node will try again to hold what its kernel refuses: each time it becomes master for a moment.
func (w *World) tries(i int) bool {
	return slices.ContainsFunc(w.hosts, func(h *host) bool {
		return slices.ContainsFunc(w.scenario.mates(i), func(m int) bool { return h.refuses[m] > 0 || w.now < h.unfit[m] })
	})
}

// disagree tells whether wall clocks differ by so much that signed adverts are refused, or did so lately.
func (w *World) disagree(i int) bool {
	if !slices.ContainsFunc(w.scenario.mates(i), func(m int) bool { return w.scenario.Instances[m].Signed }) {
		return false
	}
	least, most := w.hosts[0].clock.wall, w.hosts[0].clock.wall
	for _, h := range w.hosts {
		least, most = min(least, h.clock.wall), max(most, h.clock.wall)
		if h.jumped > 0 && w.now-h.jumped < 2*w.interval(i) {
			return true
		}
	}
	return most-least > time.Second
}

// lost tells whether two wall clocks are or were wrong lately, so that nobody can tell what was signed when.
func (w *World) lost() bool {
	wrong := 0
	for _, h := range w.hosts {
		wrong += b2i(h.clock.wall != 0 || h.jumped > 0 && w.now-h.jumped < time.Minute)
	}
	return wrong > 1
}

// best are the nodes that may be master of an instance when everything has come to rest, and those that could at all.
func (w *World) best(i int) (best, healthy []*host) {
	most := 0
	for _, h := range w.hosts {
		if h.healthy(i) {
			healthy = append(healthy, h)
			most = max(most, h.priority(i))
		}
	}
	for _, h := range healthy {
		if h.priority(i) == most {
			best = append(best, h)
		}
	}
	return best, healthy
}

// preempts tells whether the better node takes over from one that works.
func (h *host) preempts(i int) bool {
	s := h.active.specs[i]
	return s.Preempt || s.Priority[h.n] == 255
}

// yielded tells whether an operator has moved one of the instances away from the node. Only the node knows.
func (h *host) yielded(i int) bool {
	if h.node == nil {
		return false
	}
	mates := h.w.scenario.mates(i)
	for _, s := range h.node.Snapshot(h.read()).Instances {
		if s.Yielded && contains(mates, instanceOf(s.Config.Name)) {
			return true
		}
	}
	return false
}
