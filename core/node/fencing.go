package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/vrrp"
)

// settleFences tells the fencing of each member what the table wants of it, and passes its orders on.
func (n *Node) settleFences(now time.Time) {
	if n.started.IsZero() || n.stopping {
		return
	}
	for _, m := range n.members {
		w := n.fenceWish(now, m)
		if order, give := m.fence.Want(now, w); give {
			n.out.Fences = append(n.out.Fences, FenceOrder{Node: m.cfg.Name, FenceOrder: order})
		}
		if events := m.fence.Events(); len(events) > 0 {
			n.out.Events = append(n.out.Events, events...)
			n.touchActive()
		}
	}
}

// fenceWish is what the instances together want of the fencing of a member.
func (n *Node) fenceWish(now time.Time, m *member) (w guard.FenceWish) {
	if m.fence.Mode() == guard.FencingOff && len(m.cfg.Fencing.Levels) == 0 {
		return w
	}
	own := 0
	for _, i := range n.instances {
		g := &i.guard
		if i.isMaster() {
			own += int(i.router.Effective())
		}
		switch {
		case m.alive(now, time.Time{}):
		case !g.wanted.IsZero() && g.verdict.Fence != "":
			w.Reason, w.Claims = g.verdict.Fence, true
		case i.isMaster() && g.pursue != "":
			w.Reason = g.pursue
			w.Claims = w.Claims || now.Sub(i.router.Since()) < BeatEvery
		default:
			continue
		}
		voice, _ := n.steady(i)
		w.Connected = w.Connected || voice != guard.VoiceSilent && n.cut(i) == ""
	}
	other := m.ownings()
	w.Yields = own > 0 && other > 0 && own < other
	return w
}

// endFence takes the end of an order.
func (n *Node) endFence(now time.Time, in Fenced) {
	for _, m := range n.members {
		if m.cfg.Name != in.Node {
			continue
		}
		if in.OK {
			n.hasFenced(m.cfg)
		}
		if order, give := m.fence.Ended(now, in.ID, in.FenceResult); give {
			n.out.Fences = append(n.out.Fences, FenceOrder{Node: m.cfg.Name, FenceOrder: order})
		}
		n.touchActive()
	}
}

// confirm takes an operator's word that a member is off.
func (n *Node) confirm(now time.Time, in Confirm) {
	for _, m := range n.members {
		switch {
		case m.cfg.Name != in.Node:
			continue
		case m.alive(now, time.Time{}):
			n.answer(in.ID, fmt.Errorf("%w: heartbeats of %s come: it is not off", ErrRefused, in.Node), "")
			return
		case n.advertised(now):
			n.answer(in.ID, fmt.Errorf("%w: adverts of another master come, which may be %s's: it is not off", ErrRefused, in.Node), "")
			return
		}
		m.fence.Confirm(now, "an operator says that it is off")
		n.touchActive()
		n.answer(in.ID, nil, in.Node+" counts as off until it is heard again")
		return
	}
	n.answer(in.ID, fmt.Errorf("%w: no other node is called %q; there is %s", ErrRefused, in.Node, names(n.members)), "")
}

// advertised tells whether there is only one other member, and adverts of a master come that is not this node.
func (n *Node) advertised(now time.Time) bool {
	return len(n.members) == 1 && slices.ContainsFunc(n.instances, func(i *instance) bool {
		addr, priority, last := i.router.Master()
		return !i.isMaster() && addr.IsValid() && priority > 0 && now.Sub(last) <= 2*i.cfg.VRRP.Interval
	})
}

// hears lets the fencing of members know that one is heard by an advert. There is no other than the master, or a rival.
func (n *Node) hears(now time.Time, i *instance) {
	if len(n.members) != 1 || i.router.State() == vrrp.Init {
		return
	}
	if addr, priority, last := i.router.Master(); addr.IsValid() && !i.isMaster() && priority > 0 && last.Equal(now) {
		n.members[0].fence.Seen(now)
	}
}
