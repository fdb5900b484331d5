package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/vrrp"
)

// group is one sync group: its members become master in one step, and leave it in one step.
type group struct {
	cfg     Group
	members []*instance

	state  vrrp.State
	since  time.Time
	reason string

	tellAt  time.Time // when to tell that a member waits for the others in vain; zero for never
	touched bool      // one of its members is, in this step
}

// adoptGroups takes the sync groups of the configuration over, and gives each instance what it has by its group. A group keeps
// its state under its name.
func (n *Node) adoptGroups(now time.Time) {
	old := n.groups
	n.groups = make([]*group, 0, len(n.cfg.Groups))
	for _, i := range n.instances {
		i.group, i.tracks = nil, i.cfg.Tracks
	}
	for _, c := range n.cfg.Groups {
		g := &group{since: now}
		if k := slices.IndexFunc(old, func(g *group) bool { return g.cfg.Name == c.Name }); k >= 0 {
			g = old[k]
		}
		g.cfg, g.members, g.tellAt = c, nil, time.Time{}
		for _, i := range n.instances {
			if slices.Contains(c.Instances, i.cfg.Name) {
				i.group, g.members = g, append(g.members, i)
				i.tracks = n.cfg.Shared(c)
			}
		}
		n.groups = append(n.groups, g)
	}
}

// Shared are the tracks of every member of a group: those of the group, and those of all members, each once. Members that
// counted different things could not agree about who is master.
func (c Config) Shared(g Group) []Track {
	all := slices.Clone(g.Tracks)
	for _, i := range c.Instances {
		if !slices.Contains(g.Instances, i.Name) {
			continue
		}
		for _, t := range i.Tracks {
			if !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

// mates are the members of the instance's group, or it alone.
func (i *instance) mates() []*instance {
	if i.group == nil {
		return []*instance{i}
	}
	return i.group.members
}

// settleGroups holds the members of each group together, after what has just happened to one of them.
func (n *Node) settleGroups(now time.Time) {
	if n.started.IsZero() {
		return
	}
	for _, g := range n.groups {
		if !g.touched && !n.everything && (g.tellAt.IsZero() || now.Before(g.tellAt)) {
			continue
		}
		if !n.stopping {
			n.withdraw(now, g)
			n.complain(now, g)
		}
		n.tellGroup(now, g)
	}
}

// withdraw takes the rest of the group back when one member has lost its election. One that is being handed over still waits for
// its peer.
func (n *Node) withdraw(now time.Time, g *group) {
	k := slices.IndexFunc(g.members, (*instance).lost)
	if k < 0 {
		return
	}
	loser := g.members[k]
	for _, i := range g.members {
		if i.isMaster() {
			n.step(now, i, vrrp.Withdraw{Reason: fmt.Sprintf("%s of sync group %s is %s: %s",
				loser.cfg.Name, g.cfg.Name, loser.router.State(), loser.router.Reason())})
		}
	}
}

// lost tells whether another router has the better claim to the instance.
func (i *instance) lost() bool {
	return i.router.Follows() || i.router.State() == vrrp.Hold && i.router.Wants() == ""
}

// blocker is the first member that keeps the others from becoming master, while there is one that wants to; else nil.
func (g *group) blocker() (wants, against *instance) {
	for _, i := range g.members {
		switch {
		case i.router.Wants() != "":
			wants = i
		case !i.isMaster() && against == nil:
			against = i
		}
	}
	if wants == nil {
		return nil, nil
	}
	return wants, against
}

// complain tells, once an hour, when a member waits for longer than an election takes: then the peer does not hold its instances together,
// or a link is cut in one direction, and nobody may be master of what waits.
func (n *Node) complain(now time.Time, g *group) {
	wants, against := g.blocker()
	switch {
	case against == nil:
		g.tellAt = time.Time{}
	case g.tellAt.IsZero():
		longest := time.Duration(0)
		for _, i := range g.members {
			longest = max(longest, i.router.MasterDown())
		}
		g.tellAt = now.Add(longest)
	case !now.Before(g.tellAt):
		g.tellAt = now.Add(time.Hour)
		n.emit(event.Event{
			Code: "group.waits", Severity: event.Warning, Kind: event.Group, Subject: g.cfg.Name,
			Reason: fmt.Sprintf("%s would be MASTER (%s), and %s is not: %s; look whether the peer has the same group, and whether both hear each other on %s and %s",
				wants.cfg.Name, wants.router.Wants(), against.cfg.Name, against.explain(), wants.cfg.Interface, against.cfg.Interface),
		})
	}
}

// explain says what the instance is and why.
func (i *instance) explain() string {
	why := i.router.Reason()
	if addr, priority, _ := i.router.Master(); i.router.Follows() && addr.IsValid() {
		why = fmt.Sprintf("%s is its master, with priority %d", addr, priority)
	}
	if i.waiting != "" {
		why = i.waiting
	}
	return i.router.State().String() + ", " + why
}

// standsBack is why the router is in BACKUP though it would be master alone: the status says HOLD then. It is empty where it is not so.
// No event tells of it, for most of it lasts for milliseconds.
func (i *instance) standsBack() string {
	why := i.router.Wants()
	if why == "" || i.router.State() == vrrp.Hold {
		return ""
	}
	if i.group == nil {
		return why + "; " + i.guard.verdict.Reason
	}
	_, against := i.group.blocker()
	if against == nil {
		return why + "; " + i.guard.verdict.Reason
	}
	return fmt.Sprintf("%s; waits for %s of sync group %s", why, against.cfg.Name, i.group.cfg.Name)
}

// stateOf is the state of the group, with the member that explains it: one with a reason of its own before those that it took along.
func (n *Node) stateOf(g *group) (state vrrp.State, why *instance) {
	for _, s := range []vrrp.State{vrrp.Fault, vrrp.Init, vrrp.Hold, vrrp.Backup, vrrp.Master} {
		for _, i := range g.members {
			if i.router.State() == s && (why == nil || state == s && (n.ownFault(i) != "" || i.lost())) {
				state, why = s, i
			}
		}
	}
	return state, why
}

// tellGroup tells of a new state of the group, once all members have it. Notify scripts get the priority 0, as from keepalived.
func (n *Node) tellGroup(now time.Time, g *group) {
	if len(g.members) == 0 {
		return
	}
	state, why := n.stateOf(g)
	if state == vrrp.Hold {
		state = vrrp.Backup
	}
	if state == g.state {
		return
	}
	e := event.Event{
		Code: "group.state", Severity: event.Info, Kind: event.Group, Subject: g.cfg.Name,
		From: g.state.String(), To: state.String(), Reason: why.router.Reason(), Notify: g.cfg.Notify,
	}
	switch state {
	case vrrp.Fault:
		e.Severity = event.Warning
	case vrrp.Init:
		e.To = "STOP"
	}
	g.state, g.since, g.reason = state, now, e.Reason
	n.emit(e)
}
