// Package event says what happened, in a form for people and for machines. It holds values only: who delivers them
// is core/outbox, who keeps them is core/engine.
package event

import "time"

// Severity tells how much an event deserves attention.
type Severity string

// The severities, from the least to the most urgent.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Kind is the kind of thing that an event is about.
type Kind string

// The kinds of subjects.
const (
	Daemon     Kind = "daemon"
	Instance   Kind = "instance"
	Group      Kind = "group"
	Address    Kind = "address"
	Route      Kind = "route"
	RealServer Kind = "real_server"
	Service    Kind = "service"
	Checker    Kind = "checker"
	Plugin     Kind = "plugin"
	Notifier   Kind = "notifier"
	Fencer     Kind = "fencer"
	Node       Kind = "node"
	Witness    Kind = "witness"
	Interface  Kind = "interface"
)

// Event is one thing that happened. The zero values of From, To, Reason and Attrs mean "does not apply".
type Event struct {
	// Seq counts the events of one node, from 1, also over restarts of the daemon with its state directory. Set by the engine.
	Seq uint64 `json:"seq"`
	// Time is when it happened, by the wall clock. Set by the engine.
	Time time.Time `json:"time"`
	// Node is the name of the node that reports. Set by the engine.
	Node string `json:"node"`
	// Code names the kind of occurrence for machines, for example "instance.state" or "address.missing". Codes are stable.
	// Checks that have no results for too long are told as "checker.stale" and "real_server.stale", each by itself, and as
	// "checker.fresh" and "real_server.fresh" when they have some again. Where more than 8 checks of a plugin are without results,
	// there is one event for all of them, of kind plugin: "checks.stale", and "checks.fresh" when they are back, with their
	// number in Reason. Those that do not come back with the others are then told by themselves.
	Code string `json:"code"`
	// Severity is how urgent it is.
	Severity Severity `json:"severity"`
	// Kind and Subject name what it is about: "instance" and "web"; "real_server" and "10.77.0.11:80".
	Kind    Kind   `json:"kind"`
	Subject string `json:"subject"`
	// Service is the virtual server that a real server belongs to.
	Service string `json:"service,omitempty"`
	// From and To are the states of a transition, as the status shows them.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Priority is the effective VRRP priority at the transition of an instance, the weight at that of a real server.
	Priority int `json:"priority,omitempty"`
	// Reason says why, in the operator's words.
	Reason string `json:"reason,omitempty"`
	// Attrs are what the event says for machines besides, by names that are documented with its code.
	Attrs map[string]string `json:"attrs,omitempty"`
	// Notify names the notifiers that are to hear of it, besides those that subscribe to everything.
	Notify []string `json:"-"`
}

// String is the event as one line of a log.
func (e Event) String() string {
	s := string(e.Kind) + " " + e.Subject
	if e.Service != "" {
		s += " of " + e.Service
	}
	switch {
	case e.From != "" && e.To != "":
		s += ": " + e.From + " -> " + e.To
	case e.To != "":
		s += ": " + e.To
	default:
		s += ": " + e.Code
	}
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	return s
}
