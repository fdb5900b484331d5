package node

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

// The times of a master.
const (
	// tenureEvery is how often a master looks around that has something to decide.
	tenureEvery = 100 * time.Millisecond
	// takenPause is how long the advert of the next master may come later than its heartbeat: with a virtual MAC address it follows its
	// announcement.
	takenPause = 100 * time.Millisecond
	// A foreign MAC address is told of once each conflictPause, and the VIPs are announced again because of one once each defencePause,
	// at most defenceMost times within defenceSpan: two machines that both defend an address would flood the link.
	conflictPause = time.Minute
	defencePause  = time.Second
	defenceMost   = 20
	defenceSpan   = 10 * time.Minute
	// settled is how long after a takeover the former master may still answer for the VIPs.
	settled = 500 * time.Millisecond
	// maxConflicts is how many foreign MAC addresses of one instance are remembered.
	maxConflicts = 16
	// longAfter is how long a member is not heard that is no longer near: see [Lease].
	longAfter = 10 * time.Second
)

// tenure lets a master look around, and stay or let go.
func (n *Node) tenure(now time.Time, i *instance) {
	n.handedOver(now, i)
	if !i.isMaster() || n.stopping || i.router.HandingOver() {
		n.endRival(now, i)
		return
	}
	n.resist(now, i)
	n.solitude(now, i)
	t := n.tenureOf(now, i)
	n.tellRival(now, i, t)
	stay, why := guard.Judge(t)
	switch stay {
	case guard.HandOver:
		n.letGo(now, i, vrrp.Withdraw{Reason: why})
	case guard.Release:
		n.letGo(now, i, vrrp.Release{Reason: why})
	case guard.Keep, guard.KeepAlone:
		if i.guard.alone != why && why != "" {
			n.emit(event.Event{Code: "instance.alone", Severity: event.Warning, Kind: event.Instance, Subject: i.cfg.Name, Reason: why + "; it stays MASTER"})
		}
	}
	i.guard.alone = why
}

// handedOver ends a hand-over by heartbeats where a member says that its ownership is a newer one, and its advert does not come: until the
// end of the hand-over both would hold the VIPs.
func (n *Node) handedOver(now time.Time, i *instance) {
	g := &i.guard
	k := -1
	if i.router.HandingOver() {
		k = slices.IndexFunc(n.members, func(m *member) bool {
			c := m.instances[i.cfg.Name]
			return m.alive(now, time.Time{}) && c.ofMaster() && c.Epoch > i.term
		})
	}
	switch {
	case k < 0:
		g.taken = time.Time{}
	case g.taken.IsZero():
		g.taken = now
	case now.Sub(g.taken) >= takenPause:
		g.taken = time.Time{}
		c := n.members[k].instances[i.cfg.Name]
		n.step(now, i, vrrp.Taken{Peer: c.Source, Priority: c.Priority})
	}
}

// letGo takes a sync group back as a whole.
func (n *Node) letGo(now time.Time, i *instance, in vrrp.Input) {
	for _, m := range i.mates() {
		n.step(now, m, in)
	}
}

// tenureOf is what is known about a master.
func (n *Node) tenureOf(now time.Time, i *instance) guard.Tenure {
	t := guard.Tenure{Preempt: i.cfg.VRRP.Preempt, Interval: i.cfg.VRRP.Interval}
	t.References, t.Configured = n.steady(i)
	t.Own = guard.Owner{Epoch: i.term, Priority: i.router.Effective(), Source: i.router.Config().Source, Name: n.cfg.Name}
	for _, m := range n.members {
		if !m.alive(now, time.Time{}) {
			if !m.met.IsZero() && t.Heard == guard.VoiceNone {
				t.Heard = guard.VoiceSilent
			}
			continue
		}
		c, spoken := m.instances[i.cfg.Name]
		better := c.Claims && !t.Master && (!t.Asked || c.Priority > t.Other.Priority)
		if t.Heard == guard.VoiceHeard && !c.ofMaster() && !better {
			continue
		}
		t.Heard, t.Name, t.Reaches = guard.VoiceHeard, m.cfg.Name, !m.isolated()
		state := vrrp.State(c.State)
		t.Eligible = spoken && m.flags&(heartbeat.Maintenance|heartbeat.Stopping) == 0 && (state == vrrp.Backup || state == vrrp.Hold)
		t.Asked, t.Outranked = spoken && c.Claims, c.Priority > i.router.Effective()
		t.Other = guard.Owner{Epoch: c.Epoch, Priority: c.Priority, Source: c.Source, Name: m.cfg.Name}
		if t.Master = c.ofMaster() && m.heard.After(i.router.Since()); t.Master { // what it said before this node took over is past
			t.Rival, t.Parted = i.rivalry(now), m.parted(now, i, c)
		}
	}
	if !t.Master && i.guard.rival.IsZero() {
		i.guard.rival = n.rival(now, i).Since
	}
	return t
}

// rival is another master whose adverts are heard, unless it has said since then that it is none: a loser tells once that there were two.
func (n *Node) rival(now time.Time, i *instance) vrrp.Rival {
	r := i.router.Rival(now)
	for _, m := range n.members {
		if c, spoken := m.instances[i.cfg.Name]; spoken && !c.ofMaster() && !c.at.Before(r.Last) && slices.Contains(m.addresses(), r.Addr) {
			return vrrp.Rival{}
		}
	}
	return r
}

// rivalry is for how long a member has said that it is MASTER as well.
func (i *instance) rivalry(now time.Time) time.Duration {
	if i.guard.rival.IsZero() {
		i.guard.rival = now
	}
	return now.Sub(i.guard.rival)
}

// tellRival tells of two masters when it lasts for longer than an election takes, and measures it.
func (n *Node) tellRival(now time.Time, i *instance, t guard.Tenure) {
	g := &i.guard
	r := n.rival(now, i)
	if !r.Addr.IsValid() && !t.Master {
		n.endRival(now, i)
		return
	}
	goesOn := r.Last.Sub(r.Since) >= i.cfg.VRRP.Interval
	if g.rivalTold || now.Sub(g.rival) < 3*i.cfg.VRRP.Interval || !goesOn && !t.Master {
		return
	}
	g.rivalTold = true
	why := t.Name + " says that it is MASTER as well"
	if goesOn {
		why = fmt.Sprintf("%v goes on to advertise with priority %d, against %d here: it does not hear this node; look for what drops IP protocol 112 on the way there",
			r.Addr, r.Priority, i.router.Effective())
	}
	n.emit(event.Event{
		Code: "instance.dual_master", Severity: event.Critical, Kind: event.Instance, Subject: i.cfg.Name, Reason: why, Notify: i.cfg.Notify,
	})
}

// endRival ends two masters: what is held is announced again, whoever has spoken of it meanwhile.
func (n *Node) endRival(now time.Time, i *instance) {
	g := &i.guard
	if g.rival.IsZero() {
		return
	}
	lasted := now.Sub(g.rival)
	g.dual += lasted
	told := g.rivalTold
	g.rival, g.rivalTold = time.Time{}, false
	if i.isMaster() && i.holds {
		i.epoch++
		n.dirty = true
	}
	if told {
		n.emit(event.Event{
			Code: "instance.dual_master_ended", Severity: event.Info, Kind: event.Instance, Subject: i.cfg.Name,
			Reason: fmt.Sprintf("there were two masters for %v", lasted.Round(time.Millisecond)), Notify: i.cfg.Notify,
			Attrs: map[string]string{"dual_master_ms": milliseconds(lasted)},
		})
	}
}

// resist lets a master whose ownership may be the newer one not yield by rank alone, where nobody preempts: while no member is heard
// that has been heard before, since it may be about to speak, and while one says that its ownership is the older one.
func (n *Node) resist(now time.Time, i *instance) {
	on := false
	if !i.cfg.VRRP.Preempt {
		for _, m := range n.members {
			c := m.instances[i.cfg.Name]
			switch {
			case m.met.IsZero():
			case !m.alive(now, time.Time{}):
				on = true
			case c.ofMaster() && c.Epoch > 0 && c.Epoch < i.term:
				on = true
			}
		}
	}
	if on != i.resists {
		i.resists = on
		n.step(now, i, vrrp.Resist{On: on})
	}
}

// solitude lets a master go on after a stall of this process where nobody is near that could have taken over: where all other members have
// stopped, or were not heard for long, for as long as its lease is; and for any time where there is no other member, and no other router
// was ever heard.
func (n *Node) solitude(now time.Time, i *instance) {
	alone := time.Duration(0)
	switch {
	case n.cfg.Lone && !i.router.Met() && len(i.cfg.VRRP.Peers) == 0:
		alone = math.MaxInt64
	case !n.cfg.Lone && len(n.members) > 0 && !slices.ContainsFunc(n.members, func(m *member) bool { return !m.away(now) }):
		alone = cmp.Or(i.lease(false), longLease)
	}
	if alone != i.alone {
		i.alone = alone
		n.step(now, i, vrrp.Alone{For: alone})
	}
}

// sighted takes an answer for a VIP. From a master that is followed it tells whose MAC address is in order; to a master it is a conflict.
func (n *Node) sighted(now time.Time, i *instance, k *known) {
	g := &i.guard
	switch {
	case i.router.Follows() && g.suspected.IsZero():
		who := n.identify(i, k)
		if who.Who == guard.WhoStranger && len(g.owners) < maxOwners {
			g.owners = append(g.owners, k.mac)
		}
	case !g.wanted.IsZero():
		n.touch(i)
	case i.keeps():
		n.touchHeirs(i)
	case i.isMaster() && i.holds && !i.router.HandingOver() && k.answers.Sub(i.router.Since()) > settled:
		n.conflict(now, i, k)
	}
}

// conflict tells who else has a VIP, and announces it again.
func (n *Node) conflict(now time.Time, i *instance, k *known) {
	g := &i.guard
	i.conflicts++
	if last, ok := g.conflict[k.mac]; !ok || now.Sub(last) >= conflictPause {
		if g.conflict == nil || len(g.conflict) >= maxConflicts {
			g.conflict = map[[6]byte]time.Time{}
		}
		g.conflict[k.mac] = now
		who := n.identify(i, k)
		n.emit(event.Event{
			Code: "address.conflict", Severity: event.Critical, Kind: event.Address, Subject: k.Address.String(), Notify: i.cfg.Notify,
			Reason: who.Text + ", and this node holds it; it is announced again",
			Attrs:  map[string]string{"mac": hardware(k.mac), "who": string(who.Who), "instance": i.cfg.Name, "interface": k.Interface},
		})
	}
	n.defend(now, i)
}

// defend announces the VIPs again.
func (n *Node) defend(now time.Time, i *instance) {
	g := &i.guard
	switch since := now.Sub(g.defended); {
	case since >= defenceSpan:
		g.defences = 0
	case since < defencePause, g.defences >= defenceMost:
		return
	}
	g.defended = now
	g.defences++
	i.epoch++
	n.dirty = true
}

// pace is when a master has to look around again, while there is another one.
func (n *Node) pace(now time.Time, i *instance) {
	g := &i.guard
	switch {
	case !i.isMaster(), g.taken.IsZero() && (n.stopping || !i.router.Rival(now).Addr.IsValid() && g.rival.IsZero()):
		g.around = time.Time{}
	case !now.Before(g.around):
		g.around = now.Add(tenureEvery)
	}
}

// Term is the epoch of an instance's ownership, in the form that outlives the daemon.
type Term struct {
	// Interface, VRID and IPv6 name the virtual router.
	Interface string
	VRID      uint8
	IPv6      bool
	// Epoch is that of its latest ownership here.
	Epoch uint64
}

// terms are the epochs of all instances that this node has ever been master of.
func (n *Node) terms() (out []Term) {
	for _, i := range n.instances {
		if i.term > 0 {
			out = append(out, Term{i.cfg.Interface, i.cfg.VRRP.VRID, i.cfg.VRRP.IPv6(), i.term})
		}
	}
	return out
}

// rememberTerms begins with the epochs of a former run.
func (n *Node) rememberTerms(terms []Term) {
	for _, i := range n.instances {
		k := slices.IndexFunc(terms, func(t Term) bool {
			return t.Interface == i.cfg.Interface && t.VRID == i.cfg.VRRP.VRID && t.IPv6 == i.cfg.VRRP.IPv6()
		})
		if k >= 0 {
			i.term = max(i.term, terms[k].Epoch)
		}
	}
}
