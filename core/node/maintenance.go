package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/heartbeat"
)

// Maintenance is that an operator, or the return after a fencing, keeps this node from being master, in the form that outlives the
// daemon. The zero value is none.
type Maintenance struct {
	// Since is when it began; zero for no maintenance. Reason says why.
	Since  time.Time
	Reason string
}

// On tells whether there is maintenance.
func (m Maintenance) On() bool { return !m.Since.IsZero() }

// Memory is what the node knows that has to outlive the daemon, and is neither a verdict nor a number of an advert.
type Memory struct {
	Maintenance Maintenance
	// Fenced are the nodes that this one has fenced and that have not confirmed yet that they know it.
	Fenced []string
	// Terms are the epochs of the ownerships of this node.
	Terms []Term
}

// Memory is the present one.
func (n *Node) Memory() Memory {
	return Memory{n.maintenance.Maintenance, slices.Clone(n.fenced), n.terms()}
}

// maintenance is the node's own, with the way into it.
type maintenance struct {
	Maintenance
	leaving bool   // masters are being handed over
	failed  string // why one of them was not
	force   bool   // let go all the same
	command uint64 // to be answered; 0 for none
	// resumed is the run of a peer whose word that it has fenced this node an operator has overruled; 0 for none.
	resumed uint64
}

// maintain is an operator's command.
func (n *Node) maintain(now time.Time, in Maintain) {
	m := &n.maintenance
	switch {
	case n.stopping:
		n.answer(in.ID, fmt.Errorf("%w: the daemon is stopping", ErrRefused), "")
	case m.leaving:
		n.answer(in.ID, fmt.Errorf("%w: a command about maintenance is under way", ErrRefused), "")
	case !in.On && !m.On():
		n.answer(in.ID, nil, n.cfg.Name+" is not in maintenance")
	case !in.On:
		m.Maintenance = Maintenance{}
		for _, i := range n.instances { // none of them has anything else to wait for
			n.touch(i)
		}
		n.emit(n.maintenanceEvent("maintenance", "active", in.Reason))
		n.answer(in.ID, nil, n.cfg.Name+" takes part again")
	case m.On():
		n.answer(in.ID, nil, fmt.Sprintf("%s is in maintenance already: %s", n.cfg.Name, m.Reason))
	default:
		n.enterMaintenance(now, in.Reason, in.Force, in.ID)
	}
}

// enterMaintenance begins with handing over what this node is master of.
func (n *Node) enterMaintenance(now time.Time, reason string, force bool, command uint64) {
	n.maintenance = maintenance{
		Maintenance: Maintenance{Since: now, Reason: reason}, leaving: true, force: force, command: command,
		resumed: n.maintenance.resumed,
	}
	for _, i := range n.instances {
		if i.isMaster() && !i.router.HandingOver() {
			n.handover(now, i, false)
		}
	}
}

// leave goes on once every hand-over has ended, and tells whether that changes what the instances may be.
func (n *Node) leave() bool {
	m := &n.maintenance
	if !m.leaving || n.stopping || slices.ContainsFunc(n.instances, func(i *instance) bool { return i.router.HandingOver() }) {
		return false
	}
	m.leaving = false
	if m.failed != "" && !m.force {
		m.Maintenance = Maintenance{}
		n.emit(event.Event{Code: "node.maintenance_refused", Severity: event.Warning, Kind: event.Node, Subject: n.cfg.Name, Reason: m.failed})
		n.answer(m.command, fmt.Errorf("%w: %s; this node is not in maintenance", ErrTimeout, m.failed), "")
		return true
	}
	n.emit(n.maintenanceEvent("active", "maintenance", m.Reason))
	n.answer(m.command, nil, fmt.Sprintf("%s is in maintenance, also after a restart, until vipward maintenance off", n.cfg.Name))
	return true
}

// leaveFailed notes that the peer did not take an instance over.
func (m *maintenance) leaveFailed(i *instance, reason string) {
	if m.leaving && m.failed == "" {
		m.failed = fmt.Sprintf("%s stays MASTER here: %s", i.cfg.Name, reason)
	}
}

// abandon answers a command that the end of the daemon cuts short.
func (n *Node) abandon() {
	if n.maintenance.leaving {
		n.answer(n.maintenance.command, fmt.Errorf("%w: the daemon is stopping", ErrRefused), "")
	}
}

// outOfService is why no instance takes part; empty for none. While masters are being handed over they keep their addresses.
func (n *Node) outOfService() string {
	if m := n.maintenance; m.On() && !m.leaving {
		return "maintenance: " + m.Reason
	}
	return ""
}

func (n *Node) maintenanceEvent(from, to, reason string) event.Event {
	e := event.Event{Code: "node.maintenance", Severity: event.Warning, Kind: event.Node, Subject: n.cfg.Name, From: from, To: to, Reason: reason}
	if to == "active" {
		e.Severity = event.Info
	}
	return e
}

// answer gives the result of a command; none where nobody has given one.
func (n *Node) answer(id uint64, err error, text string) {
	if id == 0 {
		return
	}
	n.out.Answers = append(n.out.Answers, Answer{ID: id, Err: err, Text: text})
}

// hasFenced notes that a peer was fenced: it is to be told so when it is back, unless it may take part at once.
func (n *Node) hasFenced(p Peer) {
	if !p.Fencing.AutoRejoin && !slices.Contains(n.fenced, p.Name) {
		n.fenced = append(n.fenced, p.Name)
	}
}

// tellFenced is what a heartbeat to a peer says of this.
func (n *Node) tellFenced(peer string) heartbeat.Flags {
	if slices.Contains(n.fenced, peer) {
		return heartbeat.FencedYou
	}
	return 0
}

// hearFenced takes what a peer's heartbeat says: that it has fenced this node, which then is in maintenance; or that it is itself, so
// that it knows.
func (n *Node) hearFenced(now time.Time, m heartbeat.Message) {
	if m.Flags&heartbeat.Maintenance != 0 {
		n.fenced = slices.DeleteFunc(n.fenced, func(name string) bool { return name == m.Node })
	}
	if m.Flags&heartbeat.FencedYou == 0 || n.cfg.Guard.AutoRejoin || n.maintenance.On() || n.maintenance.resumed == m.Boot || n.started.IsZero() {
		return
	}
	n.maintenance.resumed = m.Boot // what ends this maintenance has been heard of it
	n.enterMaintenance(now, m.Node+" had this node fenced; when it is in order again: vipward maintenance off", false, 0)
}
