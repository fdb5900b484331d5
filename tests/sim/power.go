package sim

import (
	"time"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/node"
)

// What a fencer does, by [Fault.Size].
const (
	confirms = iota // switches the machine off within two seconds, and says so
	refuses         // says that it cannot
	hangs           // says nothing until the order's limit
	lies            // says that the machine is off, which it is not
	manners
)

// offFor is how long a machine that was switched off stays so at the least, and repairTime how long an operator takes to let it take
// part again.
const (
	offFor     = 20 * time.Second
	repairTime = 15 * time.Second
)

// fencing is what one process has ordered about another node.
type fencing struct {
	off    bool // a fencer says so, and the node was not heard since
	open   int  // orders without an end
	orders []time.Duration
}

// over is that the node is heard: it is not off.
func (f *fencing) over() { f.off = false }

// shoot has a fencer do what a process orders.
func (w *World) shoot(by *host, o node.FenceOrder) {
	target := w.named(o.Node)
	w.judge.ordered(by, target, o)
	ear := &by.ears[target.n]
	ear.open++
	ear.orders = append(ear.orders, w.now)
	how := confirms
	for _, name := range o.Fencers {
		how = max(how, target.fencer[int(name[1]-'0')])
	}
	w.tell("%s orders to switch %s off, order %d by %v", by.name(), target.name(), o.ID, o.Fencers)
	took := 500*time.Millisecond + w.some(by.n, ofBoot, 1500*time.Millisecond)
	if how == hangs {
		took = o.Limit
	}
	if how == confirms && !o.DryRun {
		w.after(took-100*time.Millisecond, target.switchOff)
	}
	r := guard.FenceResult{OK: (how == confirms || how == lies) && !o.DryRun, Rehearsed: o.DryRun && how == confirms, Evidence: "as it does"}
	by.soon(took, func() {
		ear.open--
		ear.off = ear.off || r.OK
		by.w.judge.allDirty()
		by.step(node.Fenced{Node: o.Node, ID: o.ID, FenceResult: r})
	})
}

// switchOff takes the power from a machine: its kernel forgets everything. Somebody switches it on later.
func (h *host) switchOff() {
	if h.off {
		return
	}
	h.w.tell("%s is switched off", h.name())
	h.w.judge.disturbed(nil)
	h.down++
	h.kill()
	h.off = true
	for v := range h.held {
		h.drop(v, "the machine is off")
	}
	h.w.judge.shake(h)
	h.w.after(offFor+h.w.upTo(h.n, 40*time.Second), func() {
		h.w.tell("%s is switched on", h.name())
		h.w.judge.disturbed(nil)
		h.off = false
		h.rise()
	})
}

// maintained follows whether a node takes part, and has an operator end a maintenance.
func (h *host) maintained(on bool) {
	h.maintenance = on
	h.w.judge.shake(h)
	if !on {
		return
	}
	h.soon(repairTime, func() {
		h.w.judge.disturbed(nil)
		h.step(node.Maintain{Reason: "in order again"})
	})
}
