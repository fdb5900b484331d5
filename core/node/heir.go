package node

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/vrrp"
)

// heirloom is what becomes of the VIPs that a former run has left.
type heirloom uint8

const (
	heirNone  heirloom = iota // there are none, or another node may have them: they are removed
	heirAsks                  // they are left alone until the network has been asked
	heirTakes                 // they are adopted: the instance goes on as master
)

// heldFor is how old what the kernel was asked for at the start may be before a fast lease that ran then counts for nothing: this
// process was asleep.
const heldFor = fastMargin

// inherit tells what is to become of the VIPs that a former run has left, of a sync group as a whole. A lease that was renewed
// so lately that no peer can have taken over says that none has. Else, who has taken over answers for the VIPs by now.
func (n *Node) inherit(now time.Time, i *instance) heirloom {
	mates := i.mates()
	if i.heir.IsZero() {
		switch {
		case !now.Equal(n.started) || slices.ContainsFunc(mates, func(m *instance) bool { return !n.left(now, m) }):
			return heirNone
		case !slices.ContainsFunc(mates, n.outlasts):
			return heirTakes
		case slices.ContainsFunc(mates, func(m *instance) bool { return !n.canAsk(m) }):
			return heirNone
		}
		i.heir, n.dirty = now, true
	}
	switch {
	case slices.ContainsFunc(mates, func(m *instance) bool { return n.taken(now, m, i.heir) }):
		n.disinherit(i)
		return heirNone
	case !now.Before(i.heirEnd()):
		i.heir = time.Time{}
		return heirTakes
	}
	n.askAbout(now, i, false)
	return heirAsks
}

// heirEnd is until when the network is asked, each roundPause: an owner answers within answerTime, and one of several answers may be
// lost; and it makes an advert with each interval.
func (i *instance) heirEnd() time.Time {
	longest := 2 * roundPause
	for _, m := range i.mates() {
		longest = max(longest, m.cfg.VRRP.Interval)
	}
	return i.heir.Add(longest + answerTime)
}

// disinherit lets go of what a former run has left, of a sync group as a whole: what speaks against one member may be over when the next
// one is looked at.
func (n *Node) disinherit(i *instance) {
	for _, m := range i.mates() {
		if m.keeps() {
			m.heir, n.dirty = time.Time{}, true
		}
	}
}

// left tells whether a former run has left the VIPs of an instance, with a lease. An address without one says nothing.
func (n *Node) left(now time.Time, i *instance) bool {
	n.learnSource(now, i)
	leased := n.cfg.Lone || i.lease(n.cfg.Lone) > 0
	return i.source && leased && slices.ContainsFunc(n.held, i.owns)
}

// outlasts tells whether a lease of a former run may run although a peer has taken over: it was last renewed, with an advert, too long ago.
// How long it still runs does not tell that: it may be one that was long because no peer was near.
func (n *Node) outlasts(i *instance) bool {
	switch {
	case n.cfg.Lone, n.staleness <= heldFor && slices.ContainsFunc(i.cfg.Addresses, func(a VirtualAddress) bool { return slices.Contains(n.leased, a.Prefix.Addr()) }):
		return false
	}
	silence := time.Duration(0)
	for _, a := range i.cfg.Addresses {
		age, told := n.ages[a.key()]
		if !told && slices.Contains(n.held, a.key()) {
			age = i.lease(false)
		}
		silence = max(silence, age)
	}
	return silence+n.staleness+leaseMargin > vrrp.MasterDown(i.cfg.VRRP.Version, i.fastestPeer(), i.cfg.VRRP.Interval)
}

// canAsk tells whether the network can be asked for a VIP of the instance.
func (n *Node) canAsk(i *instance) bool {
	return slices.ContainsFunc(i.cfg.Addresses, func(a VirtualAddress) bool {
		k := n.known[i.watchOf(a)]
		return k != nil && k.mute == ""
	})
}

// taken tells whether another node has the VIPs, or says so, or nobody can be asked.
func (n *Node) taken(now time.Time, i *instance, since time.Time) bool {
	if !n.canAsk(i) {
		return true
	}
	for _, a := range i.cfg.Addresses {
		if k := n.known[i.watchOf(a)]; k != nil && !k.answers.IsZero() && !k.answers.Before(since) {
			return true
		}
	}
	for _, m := range n.members {
		if c, spoken := m.instances[i.cfg.Name]; spoken && m.alive(now, time.Time{}) && c.ofMaster() {
			return true
		}
	}
	_, priority, last := i.router.Master()
	return !i.isMaster() && !last.IsZero() && priority > 0 // the member of a sync group that comes first is MASTER by now
}

// keeps tells whether the VIPs that a former run has left are still left alone.
func (i *instance) keeps() bool { return !i.heir.IsZero() }

// wishKept has what is left alone stay as it is.
func (n *Node) wishKept(i *instance, s *desired.State) {
	for _, k := range n.held {
		if i.keeps() && i.owns(k) {
			s.Kept = append(s.Kept, k)
		}
	}
}

// touchHeirs has those looked at that wait for what the network says of a VIP.
func (n *Node) touchHeirs(i *instance) {
	for _, m := range i.mates() {
		if m.keeps() {
			n.touch(m)
		}
	}
}
