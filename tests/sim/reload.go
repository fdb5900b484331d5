package sim

import (
	"slices"
	"time"
)

// The ways in which a reload changes an instance, by [Fault.Size].
const (
	turnPriorities = iota // the first node gets that of the last one, and so on
	addVIP
	togglePreempt
	halveInterval // version 3 only: version 2 cannot have two intervals on one link
	removeInstance
	changes
)

// reload has the process read its configuration.
func (h *host) reload() {
	h.obey(h.w.judge.reload(h, h.w.scenario.config(h.n, h.edit, h.run())))
}

// reconfigure changes the file that all nodes read, and back after a time.
func (w *World) reconfigure(f Fault) (end func()) {
	for _, h := range w.hosts {
		h.use(h.edit.changed(w.scenario.Topology, f))
	}
	return func() {
		for _, h := range w.hosts {
			h.use(h.edit.restored(w.scenario.Topology, f))
		}
	}
}

func (e edit) clone() edit { return edit{slices.Clone(e.specs), slices.Clone(e.removed)} }

func (e edit) changed(t Topology, f Fault) edit {
	e = e.clone()
	s := &e.specs[f.Instance]
	switch f.Size {
	case turnPriorities:
		for _, m := range t.mates(f.Instance) {
			p := slices.Clone(e.specs[m].Priority)
			slices.Reverse(p)
			e.specs[m].Priority = p
		}
	case addVIP:
		s.VIPs = min(s.VIPs+1, maxVIPs)
	case togglePreempt:
		for _, m := range t.mates(f.Instance) {
			e.specs[m].Preempt, e.specs[m].Delay = !e.specs[m].Preempt, 0
		}
	case halveInterval:
		const least = span(10 * time.Millisecond)
		if s.Version == 3 {
			s.Interval = max(s.Interval/2/least*least, least)
		}
	case removeInstance:
		e.removed[f.Instance] = t.group(f.Instance) < 0
	}
	return e
}

// restored takes back what the fault has changed.
func (e edit) restored(t Topology, f Fault) edit {
	e = e.clone()
	for _, m := range t.mates(f.Instance) {
		e.specs[m], e.removed[m] = t.Instances[m], false
	}
	return e
}

// use puts a configuration in force within half a second; a process that is dead finds it when it boots.
func (h *host) use(e edit) {
	h.edit = e
	h.soon(h.w.upTo(h.n, 500*time.Millisecond), h.reload)
}
