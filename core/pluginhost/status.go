package pluginhost

import (
	"cmp"
	"slices"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Status is one plugin in one of the roles in which it is used.
type Status struct {
	// Name of the plugin, Kind of the role: "checker", "notifier", "fencer".
	Name, Kind string
	// State as it is now, and the reason where it is restarting or tripped; else empty.
	State  State
	Reason string
	// PID of its process; 0 for none.
	PID int
	// Restarts since it was first wanted.
	Restarts int
	// Dropped counts results that belonged to no check.
	Dropped uint64
	// Refused counts figures of results that were no numbers, had no fit name, or were more than 16.
	Refused uint64
	// Version as the plugin says; empty before it was ever asked.
	Version string
	// Checks are what a checker says of its work; zero before it has, and for other kinds.
	Checks Checks
}

// Checks is what a plugin said last of the checks that it makes. Counts begin at 0 with each process.
type Checks struct {
	// Targets that it has.
	Targets int
	// Runs so far.
	Runs uint64
	// Late are the runs by how late they began, in the classes of [pluginv1.LateClasses]; nil where the plugin does not count.
	// LateSum is by how much all of them together were late.
	Late    []uint64
	LateSum time.Duration
	// Stuck runs ignore their deadline.
	Stuck int
	// Lost results were given up because the host did not read.
	Lost uint64
}

// checksOf reads a heartbeat.
func checksOf(h *pluginv1.Heartbeat) Checks {
	c := Checks{Targets: int(h.GetTargets()), Runs: h.GetRuns(), Stuck: int(h.GetStuck()), Lost: h.GetDropped()}
	if len(h.GetLate()) == len(pluginv1.LateClasses())+1 {
		c.Late, c.LateSum = h.GetLate(), h.GetLateSum().AsDuration()
	}
	return c
}

// Status lists the plugins that Apply asked for, by name and kind.
func (h *Host) Status() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Status
	for _, p := range h.applied {
		all = append(all, p.status()...)
	}
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func (p *process) status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Name: p.decl.Name, State: p.state, Restarts: p.restarts, Dropped: p.dropped, Refused: p.refused, Version: p.described.GetVersion()}
	if p.session != nil {
		s.PID = p.session.runner.pid()
	}
	if (p.state == Restarting || p.state == Tripped) && p.err != nil {
		s.Reason = p.err.Error()
	}
	var kinds []pluginv1.Kind
	if p.wish != nil {
		kinds = p.wish.kinds
	}
	var all []Status
	for _, k := range kinds {
		s.Kind, s.Checks = kindName(k), Checks{}
		if k == pluginv1.Kind_CHECKER && p.session != nil {
			s.Checks = p.checks
		}
		all = append(all, s)
	}
	return all
}
