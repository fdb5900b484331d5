package sim

import (
	"slices"

	"github.com/vipward/vipward/core/node"
)

// obey does what a node has said, one action after the other.
func (h *host) obey(out node.Output) {
	h.w.judge.output(h, out)
	h.perform(out)
}

// perform is what the engine does around a step of the node, in its order. At the end of each action the process may be killed, or
// stopped, and then the rest is done when it goes on. Heartbeats and questions count as one action each, where there is another.
func (h *host) perform(out node.Output) {
	life := h.life
	for len(out.Adverts) > 0 {
		if a := out.Adverts[0]; h.choked[segmentOf(a.Interface)] > 0 {
			h.w.judge.tried(h, segmentOf(a.Interface), a)
			h.note(a.Interface)
		} else {
			h.w.send(h, a)
		}
		if out.Adverts = out.Adverts[1:]; h.acted(life, &out) {
			return
		}
	}
	if out.FastLeases != nil {
		h.keeper.lease(out.FastLeases)
		if out.FastLeases = nil; h.acted(life, &out) {
			return
		}
	}
	for _, b := range out.Beats {
		h.w.beat(h, b)
	}
	if sent := len(out.Beats); sent > 0 {
		if out.Beats = nil; out.Desired != nil && h.acted(life, &out) {
			return
		}
	}
	if out.Desired != nil {
		h.keeper.set(out.Desired)
		if out.Desired = nil; h.acted(life, &out) {
			return
		}
	}
	for len(out.Events) > 0 {
		e := out.Events[0]
		h.w.tell("%s %s", h.name(), e)
		if e.Code == "node.maintenance" {
			h.maintained(e.To == "maintenance")
		}
		if out.Events = out.Events[1:]; h.acted(life, &out) {
			return
		}
	}
	h.performAsks(life, out)
}

// performAsks is the rest: what others are asked to do, and the end.
func (h *host) performAsks(life int, out node.Output) {
	for _, a := range out.Asks {
		h.w.ask(h, a)
	}
	out.Asks = nil
	for len(out.WitnessAsks) > 0 {
		h.w.askWitness(h, out.WitnessAsks[0])
		if out.WitnessAsks = out.WitnessAsks[1:]; h.acted(life, &out) {
			return
		}
	}
	for len(out.Fences) > 0 {
		h.w.shoot(h, out.Fences[0])
		if out.Fences = out.Fences[1:]; h.acted(life, &out) {
			return
		}
	}
	if !out.Stopped {
		h.arm()
		h.tellUnsent()
		return
	}
	if h.keeper.flush(); h.life == life {
		h.w.tell("%s has stopped", h.name())
		h.w.judge.stopped(h)
		h.end()
	}
}

// note has the node know what could not be sent: once for each interface, and not what could not be sent in answer to that.
func (h *host) note(iface string) {
	if !h.answering && !slices.ContainsFunc(h.unsent, func(u node.Unsent) bool { return u.Interface == iface }) {
		h.unsent = append(h.unsent, node.Unsent{Interface: iface, Reason: "operation not permitted"})
	}
}

// tellUnsent tells it, before anything else happens to the process.
func (h *host) tellUnsent() {
	for life := h.life; h.life == life && len(h.unsent) > 0; {
		in := h.unsent[0]
		h.unsent, h.answering = h.unsent[1:], true
		h.step(in)
		h.answering = false
	}
}

// acted is the end of one action, and tells whether the process does not go on.
func (h *host) acted(life int, rest *node.Output) bool {
	h.act()
	if h.life == life && h.pauses > 0 {
		left := *rest
		h.waiting = append(h.waiting, waiter{func() {
			if h.life == life {
				h.perhaps(func() { h.perform(left) }, underWay)
			}
		}, underWay})
	}
	return h.life != life || h.pauses > 0
}

// act is the end of one action of the process, at which it may be killed, or stopped.
func (h *host) act() {
	if h.w.actions != nil {
		h.w.actions(h)
	}
	if h.crashIn > 0 {
		if h.crashIn--; h.crashIn == 0 {
			h.crashed()
		}
	}
}
