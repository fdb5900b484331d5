package pluginhost

import (
	"cmp"
	"slices"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Status is one plugin in one of the roles in which it is used.
type Status struct {
	// Name of the plugin, Kind of the role: "checker", "notifier".
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
	// Version as the plugin says; empty before it was ever asked.
	Version string
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
	s := Status{Name: p.decl.Name, State: p.state, Restarts: p.restarts, Dropped: p.dropped, Version: p.described.GetVersion()}
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
		s.Kind = kindName(k)
		all = append(all, s)
	}
	return all
}
