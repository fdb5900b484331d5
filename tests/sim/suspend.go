package sim

import (
	"time"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// pulse is the longest that the engine sleeps, and suspendLeast the shortest suspension that it tells the node of.
const (
	pulse        = 500 * time.Millisecond
	suspendLeast = 10 * time.Millisecond
)

// suspend puts the machine to sleep: nothing of it works, and its monotonic clock, by which the kernel ends leases and timers fire,
// stands still until it wakes.
func (h *host) suspend() (end func()) {
	if h.asleep++; h.asleep == 1 {
		h.w.tell("%s falls asleep", h.name())
		h.fellAsleep = h.w.now
	}
	h.pause()
	h.w.judge.allDirty()
	return h.wake
}

// wake has the machine go on where it was. The process finds out by CLOCK_BOOTTIME, when it does something next.
func (h *host) wake() {
	if h.asleep--; h.asleep == 0 {
		d := h.w.now - h.fellAsleep
		h.w.tell("%s wakes up", h.name())
		h.clock.slept += d
		h.kernel.slept(d)
		for i := range h.w.judge.views {
			h.w.judge.views[i][h.n].spoke += d // its leases have stood still as well
		}
		h.wakeAt = 0
	}
	h.w.judge.allDirty()
	if h.asleep == 0 && h.bootsLater {
		h.bootsLater = false
		h.boot()
	}
	if h.resume(); h.pauses == 0 && h.node != nil {
		h.wakeBy(h.w.now + h.w.some(h.n, ofWake, pulse))
		h.arm()
	}
}

// slept has what the kernel was to end later end later.
func (k *kernel) slept(d time.Duration) {
	for v := range k.held {
		if a := &k.held[v]; a.on && a.until > 0 {
			k.endLease(v, a.until+d)
		}
		if b := &k.bars[v]; b.open {
			k.endFast(v, b.until+d)
		}
	}
}

// woken tells the node of a suspension before anything else.
func (h *host) woken() {
	if d := h.clock.slept - h.told; d >= suspendLeast && h.node != nil {
		h.told = h.clock.slept
		h.obey(h.node.Step(h.read(), node.Slept{For: h.clock.wait(d)}))
		h.w.judge.woken(h, d)
	}
}

// woken checks that a master which has slept for longer than a takeover takes lets go before anything else (I2), where a peer was near.
func (j *judge) woken(h *host, d time.Duration) {
	for i := range j.views {
		v := j.views[i][h.n]
		if v.state == vrrp.Master && v.since < h.fellAsleep && !v.resigned && d > j.w.down(h, i) && !h.remoteLately() {
			j.w.fail("I2 slept", "%s was asleep for %s, and is still MASTER of %s", h.name(), d, instanceName(i))
		}
	}
}

// remoteLately tells whether a node may have had nobody near when it fell asleep.
func (h *host) remoteLately() bool {
	if spec := h.w.scenario.Guard; spec == nil || spec.Paths == 0 {
		return false
	}
	for _, e := range h.ears {
		if e.beat > 0 && h.fellAsleep-e.beat < 5*time.Second && h.fellAsleep-e.back > time.Second {
			return false
		}
	}
	return true
}
