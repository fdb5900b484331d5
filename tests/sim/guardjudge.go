package sim

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// informed tells whether nothing disturbs what the nodes ask, and nobody waits for a fencing.
func (w *World) informed() bool {
	if w.scenario.Guard == nil {
		return true
	}
	for _, s := range w.segments {
		if cutOff(s.dead[:]) {
			return false
		}
	}
	if slices.ContainsFunc(w.cross, cutOff) || cutOff(w.strangers) || cutOff(w.witness.cut) || w.now < w.witness.opens {
		return false
	}
	return !slices.ContainsFunc(w.hosts, func(h *host) bool {
		return h.maintenance || cutOff(h.fencer) || w.scenario.mode() != guard.FencingOff && !h.running()
	})
}

// speak tells whether two that hear each other on a segment can find out that both are master: by an advert in either direction, or by
// heartbeats.
func (w *World) speak(s int, a, b *host) bool {
	return w.adverts(s, a, b) && w.adverts(s, b, a) || w.beats(a, b) && w.beats(b, a)
}

// longSilence is a little less than a node needs to take a member for remote; it believes one that is back by its second heartbeat.
const longSilence = 9 * time.Second

// remote tells whether a node has heard no heartbeat for so long that its leases are long ones.
func (h *host) remote() bool {
	if spec := h.w.scenario.Guard; spec == nil || spec.Paths == 0 || h.ears == nil {
		return false
	}
	for o, e := range h.ears {
		if o == h.n {
			continue
		}
		back := h.w.hosts[o].ears // a new run proves itself by the echo of what it has heard
		answered := back != nil && back[h.n].beat > 0 && h.w.now-back[h.n].beat < 500*time.Millisecond && h.w.now-back[h.n].back > 500*time.Millisecond
		if e.beat == 0 || answered && h.w.now-e.beat < longSilence && h.w.now-e.back > 500*time.Millisecond {
			return false
		}
	}
	return true
}

// may tells whether the table lets a node take an instance over from silence, which I3 demands within a time. It is stricter than the
// invariant in RELIABILITY: rows 1, 2, 5 and 9 of the README's table hold a takeover back, for as long as what they say is true.
func (w *World) may(h *host, i int) bool {
	spec := w.scenario.Guard
	if spec == nil {
		return true
	}
	if spec.OnLoss == guard.WitnessRelease && (w.witness.cut[h.n] > 0 || w.now < w.witness.opens) {
		return false // nothing is taken without its grant
	}
	for _, o := range w.hosts {
		if o == h {
			continue
		}
		for _, m := range w.scenario.mates(i) {
			if w.judge.views[m][o.n].state == vrrp.Master && o.running() && w.beats(o, h) {
				return false // rows 2 and 3
			}
			if holder := w.holder(m); spec.OnLoss != "" && holder >= 0 && holder != h.n {
				return false // the witness refuses until that grant has ended
			}
			if w.strangers[m] > 0 && spec.Paths == 0 {
				return false // row 5: whoever answered while the master spoke may be the master's machine
			}
			if o.held[m*maxVIPs].on && w.hears(w.scenario.Instances[m].Segment, h, o) {
				return false // row 5
			}
		}
		if w.scenario.required() && !h.ears[o.n].off && !(o.running() && w.beats(o, h)) && !w.fences(h, o) {
			return false // row 9, or row 7 where nobody is known to be able to switch it off
		}
	}
	return true
}

// evidence judges a new master at the instant of its decision. By silence alone nobody takes a VIP that another node answers for, whose
// answer it can hear (I1, I2; row 5 of the table), and, where fencing is required, nobody takes over from a silent node that is neither
// confirmed to be off nor without the witness's grant (I16); where the grant binds, nobody takes anything without it (I17).
func (j *judge) evidence(h *host, i int) {
	spec := j.w.scenario.Guard
	if spec == nil || j.views[i][h.n].state == vrrp.Init {
		return // it adopts what it has held
	}
	if off := func(e ear) bool { return e.off }; spec.OnLoss == guard.WitnessRelease && j.w.holder(i) != h.n && !slices.ContainsFunc(h.ears, off) {
		j.w.fail("I17 no grant", "%s takes %s without the witness's grant", h.name(), instanceName(i))
	}
	for _, o := range j.w.hosts {
		if o == h || j.spoken(h, o, i) {
			continue
		}
		j.answered(h, o, i)
		ear := &h.ears[o.n]
		if j.w.scenario.required() && !ear.off && j.w.holder(i) != h.n && j.w.now-ear.beat > time.Second {
			j.w.fail("I16 takes over before the fencing", "%s takes %s, was last told anything by %s %s ago, and nobody has said that it is off",
				h.name(), instanceName(i), o.name(), j.w.now-ear.heard())
		}
	}
}

// fences tells whether a node can have a silent one confirmed to be off, which it has heard, by its first try.
func (w *World) fences(h, o *host) bool {
	e := &h.ears[o.n]
	levels := o.fencer[:w.scenario.Guard.Levels]
	works := slices.IndexFunc(levels, func(how int) bool { return how != refuses })
	return e.heard() > 0 && works >= 0 && levels[works] != hangs && len(e.orders) <= 2*works+1
}

// fenceTime is how long a takeover may wait for a fencing that succeeds: its delay, that of a node which owns less, and two tries of each level.
func (w *World) fenceTime() time.Duration {
	if !w.scenario.required() {
		return 0
	}
	const yields, try = 5 * time.Second, 2 * time.Second
	return time.Duration(w.scenario.Guard.Delay) + yields + time.Duration(2*w.scenario.Guard.Levels)*try
}

// unused tells whether a process that is not MASTER keeps the witness's grant although nothing disturbs it: then nobody else can have it (I3).
func (j *judge) unused(i int, h *host) bool {
	return j.w.holder(i) == h.n && h.running() && j.views[i][h.n].state != vrrp.Master && j.w.whole(i) && !j.w.disagree(i)
}

// tolerates tells whether the configuration has a node take over beside a dead one that still answers: by on_hold_expired, by best_effort
// where the fencing fails; and where that one was alone, and so leases for a minute, and nobody can know that it is its machine which
// answers.
func (w *World) tolerates(i, v int, dead *host, silence time.Duration) bool {
	spec, s := w.scenario.Guard, w.scenario.Instances[i]
	if spec == nil {
		return false
	}
	long := dead.held[v].until > w.judge.views[i][dead.n].spoke+w.fastest(dead, i)+time.Second
	known := spec.Probe && (s.Segment == 0 && spec.Paths > 0 || s.Unicast)
	takes := w.scenario.mode() == guard.FencingBestEffort || w.scenario.mode() == guard.FencingOff && spec.Held == guard.HoldTakeover
	return long && !known || takes && silence > w.fastest(dead, i)+2*time.Second
}

// spoken tells whether an advert of any router was heard so lately that a takeover may not be one by silence.
func (j *judge) spoken(h, o *host, i int) bool {
	return slices.ContainsFunc(j.w.hosts, func(x *host) bool {
		e := h.ears[x.n].advert
		return e > 0 && j.w.now-e < j.w.down(h, i)-20*time.Millisecond
	})
}

// answered fails where a node has taken over from one that answers.
func (j *judge) answered(h, o *host, i int) {
	spec, s := j.w.scenario.Guard, j.w.scenario.Instances[i]
	seg := j.w.segments[s.Segment]
	calm := j.w.now-seg.shaken > time.Second && !seg.noisy() && !j.chaotic(s.Segment) && seg.cut[o.n][h.n] == 0 && seg.cut[h.n][o.n] == 0
	known := s.Segment == 0 && spec.Paths > 0 || s.Unicast // by an address that the configuration names
	if !spec.Probe || !calm || !known || !o.answers(i*maxVIPs) || j.w.now-o.tookAt(i) < time.Second || j.w.scenario.mode() != guard.FencingOff {
		return
	}
	if spec.Held == guard.HoldTakeover || j.w.strangers[i] > 0 || j.w.now-h.shaken < 2*time.Second || o.running() && j.views[i][o.n].state != vrrp.Master {
		return
	}
	j.w.fail("I2 answering owner", "%s takes %s, and %s answers for it", h.name(), instanceName(i), o.name())
}

// tookAt is when a machine has begun to hold an instance.
func (h *host) tookAt(i int) time.Duration { return h.held[i*maxVIPs].since }

// ordered judges an order to fence (I16): never against oneself, only by who would be the owner and is not cut off, only against a node
// that was heard since the start and is silent now, one order at a time, none after a success, and two tries within ten minutes.
func (j *judge) ordered(by, target *host, o node.FenceOrder) {
	e := &by.ears[target.n]
	lately := 0
	for _, t := range e.orders {
		lately += b2i(j.w.now-t < 590*time.Second)
	}
	const tries, attempts = 2, 2
	claims, connected := false, false
	for i := range j.views {
		v := j.views[i][by.n]
		segment := j.w.scenario.Instances[i].Segment
		if mine := v.state != vrrp.Master || v.since > e.heard() || j.chaotic(segment); mine {
			claims = true
			connected = connected || j.w.reaches(by, segment) || j.w.now-j.w.segments[segment].shaken < 3*time.Second || j.w.now-j.rest.shaken < 3*time.Second
		}
	}
	fail := func(why string) {
		j.w.fail("I16 fencing", "%s orders to switch %s off: %s", by.name(), target.name(), why)
	}
	switch {
	case by == target:
		fail("that is itself")
	case j.w.scenario.mode() == guard.FencingOff:
		fail("the mode is off")
	case e.heard() == 0:
		fail("it was never heard")
	case e.open > 0:
		fail("an earlier order has not ended")
	case e.off:
		fail("it is off, and was not heard since")
	case lately >= tries*attempts*j.w.scenario.Guard.Levels:
		fail("there were enough tries in ten minutes")
	case e.beat > 0 && j.w.now-e.beat < 300*time.Millisecond && !j.chaotic(0): // one that comes late says nothing new
		fail("heartbeats of it come")
	case !claims:
		fail("it is master, and has taken nothing from it")
	case !connected:
		fail("it is the one that is cut off")
	}
}

// entitled is told that the witness has given an instance to a node that had it not. Who must let go before its grant ends, and has had
// one, holds nothing by then, dead or alive (I17). A machine that was suspended holds what it held until its process has run again: nobody can
// take that away earlier, and it is judged from its first step on.
func (j *judge) entitled(h *host, i int) {
	j.dirty(i)
	if j.w.scenario.Guard.OnLoss != guard.WitnessRelease {
		return
	}
	for _, o := range j.w.hosts {
		if o != h && o.held[i*maxVIPs].on && o.asleep == 0 && o.clock.slept-o.told < suspendLeast && o.granted[i] && !j.w.scenario.Instances[i].Unleased {
			j.w.fail("I17 grant", "the witness gives %s to %s, and %s still holds it, whose grant has ended", instanceName(i), h.name(), o.name())
		}
	}
}

// watchGuard is I17 for a master that reaches none of two references or more and hears no peer which it has heard before: it lets go.
// Where there are fewer references, or a peer says that it reaches them neither, the README has it stay.
func (j *judge) watchGuard(i int) {
	spec := j.w.scenario.Guard
	if spec == nil {
		return
	}
	for _, h := range j.w.hosts {
		j.switched(&j.grants[i][h.n], j.unused(i, h), func() time.Duration {
			return 2*time.Duration(spec.TTL) + j.settling()
		}, func(lasted time.Duration) {
			if !j.unused(i, h) {
				return // it has run out, of which nobody is told
			}
			j.w.fail("I3 grant", "%s is %s of %s, and keeps the grant of the witness for %s", h.name(), j.views[i][h.n].state, instanceName(i), lasted)
		})
		j.switched(&j.lone[i][h.n], j.cutOff(i, h), func() time.Duration {
			return 6*time.Second + 2*h.late // four questions, and a hand-over that may be under way
		}, func(lasted time.Duration) {
			j.w.fail("I17 cut off", "%s reaches no reference and hears nobody for %s, and holds %s", h.name(), lasted, instanceName(i))
		})
	}
}

func (j *judge) cutOff(i int, h *host) bool {
	spec, segment := j.w.scenario.Guard, j.w.scenario.Instances[i].Segment
	if spec.References < 2 || spec.Paths == 0 || !h.running() || h.stopping || !h.held[i*maxVIPs].on || !h.works(segment) || j.w.reaches(h, segment) {
		return false
	}
	met := false
	for _, o := range j.w.hosts {
		if o != h {
			met = met || h.ears[o.n].beat > 0
			if o.running() && (j.w.crossed(o, h) && spec.Paths > 1 || j.w.hears(0, h, o)) {
				return false
			}
		}
	}
	return met
}
