package sim

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/node"
)

// inject begins a fault, and plans its end.
func (w *World) inject(f Fault) {
	w.tell("fault %s", f)
	w.judge.disturbed(&f)
	end := w.begin(f)
	if end == nil {
		return
	}
	w.after(time.Duration(f.For), func() {
		w.tell("end of %s", f)
		w.judge.disturbed(nil)
		end()
	})
}

// begin lets a fault happen, and returns what ends it; nil where it has no duration.
func (w *World) begin(f Fault) (end func()) {
	switch f.Kind {
	case Kill, Crash, Stall, Pause, Suspend, Late, Stop, Failover, Reload, Reconfigure, FailChecker, Wall, Power, Fencer:
		return w.onHost(f)
	case Carrier, Deleted, Removed, Refused, Choke:
		return w.onKernel(f)
	case Crosslink, Stranger, Witness, Replay:
		return w.besides(f)
	}
	return w.onNetwork(f)
}

func (w *World) onHost(f Fault) (end func()) {
	h := w.target(f)
	if h == nil {
		return nil
	}
	switch f.Kind {
	case Kill:
		h.down++
		h.kill()
		return h.rise
	case Crash, Stall:
		w.hit(h, f)
	case Pause:
		h.pause()
		return h.resume
	case Suspend:
		return h.suspend()
	case Late:
		h.late = time.Duration(f.Size) * time.Millisecond
		w.judge.shake(h)
		return func() { h.late = maxWakeLate; w.judge.shake(h) }
	case Stop:
		h.down++
		h.do(func() { h.stopping = true; h.w.judge.shake(h); h.step(node.Stop{}) })
		return h.rise
	case Power:
		h.switchOff()
	case Fencer:
		return h.setFencer(f.Segment, f.Size)
	case Failover:
		h.commands++
		h.give(node.Failover{Instance: instanceName(f.Instance), ID: h.commands})
	case Reload:
		h.do(h.reload)
	case Reconfigure:
		return w.reconfigure(f)
	case FailChecker:
		h.fail(f.Size, 1)
		return func() { h.fail(f.Size, -1) }
	case Wall:
		h.setWall(f.Size)
		return func() { h.setWall(-f.Size) }
	}
	return nil
}

// hit has a process killed or stopped at the end of one of its next actions.
func (w *World) hit(h *host, f Fault) {
	if h.node == nil || h.crashIn > 0 {
		return
	}
	h.crashIn = max(f.Size, 1)
	h.crashed = func() {
		if f.Kind == Crash {
			h.kill()
		}
		w.judge.disturbed(&f)
		end := h.rise
		if f.Kind == Crash {
			h.down++
		} else {
			h.pause()
			end = h.resume
		}
		w.after(time.Duration(f.For), func() { w.judge.disturbed(nil); end() })
	}
}

// setWall lets the wall clock jump. What has no keys does not even notice.
func (h *host) setWall(seconds int) {
	h.clock.wall += time.Duration(seconds) * time.Second
	h.jumped = h.w.now
	h.w.judge.shake(h)
}

// target is the host of a fault: where none is named the one that holds the instance. It is nil where nobody does.
func (w *World) target(f Fault) *host {
	if f.Node >= 0 {
		return w.hosts[f.Node]
	}
	if owners := w.owners(f.Instance * maxVIPs); len(owners) > 0 {
		return owners[0]
	}
	return nil
}

// fail gives a checker one reason more, or less, to fail, and has it look a little later.
func (h *host) fail(c, more int) {
	h.failing[c] += more
	h.w.judge.shake(h)
	h.soon(time.Millisecond, func() {
		if h.first[c] {
			h.observe(c)
		}
	})
}

func (w *World) onKernel(f Fault) (end func()) {
	h := w.target(f)
	if h == nil {
		return nil
	}
	switch f.Kind {
	case Carrier:
		h.setCarrier(f.Segment, 1)
		return func() { h.setCarrier(f.Segment, -1) }
	case Deleted:
		h.setLink(f.Segment, 1)
		return func() { h.setLink(f.Segment, -1) }
	case Removed:
		for _, v := range w.vipsOf(f.Instance) {
			h.drop(v, "somebody has deleted it")
		}
		w.judge.shake(h)
		h.drift()
	case Choke:
		h.choked[f.Segment]++
		w.judge.shake(h)
		return func() { h.choked[f.Segment]--; h.unchoked = w.now; w.judge.linked(h, f.Segment) }
	case Refused:
		h.refuses[f.Instance]++
		w.judge.shake(h)
		return func() { h.refuses[f.Instance]--; w.judge.forgiven(h, f.Instance) }
	}
	return nil
}

func (w *World) onNetwork(f Fault) (end func()) {
	if f.Kind == Spoof {
		w.spoof(f)
		return nil
	}
	var ends []func()
	for s := range w.segments {
		if f.Segment < 0 || f.Segment == s {
			ends = append(ends, w.onSegment(f, s))
		}
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

func (w *World) onSegment(f Fault, s int) (end func()) {
	seg := w.segments[s]
	switch f.Kind {
	case Loss:
		return w.add(s, put(&seg.loss, f.Size))
	case Duplicate:
		return w.add(s, put(&seg.duplicates, f.Size))
	case Slow:
		return w.add(s, put(&seg.delay, time.Duration(f.Size)*time.Millisecond))
	case Burst:
		return w.add(s, put(&seg.bursts, burstLoss{time.Duration(f.Size) * time.Millisecond, time.Second}))
	case Mute:
		return w.cutting(s, func(from, to int) bool { return from == f.Node && to < len(w.hosts) })
	case Deaf:
		return w.cutting(s, func(_, to int) bool { return to == f.Node })
	case Cut:
		return w.cutting(s, func(from, to int) bool { return from == f.Node && to == f.Size })
	case Isolate:
		return w.cutting(s, func(from, to int) bool { return from == f.Node || f.Size == 0 && to == f.Node })
	case Filter:
		return w.filtering(s, f)
	case Reference:
		return w.deafened(s, f.Size)
	case Partition:
		return w.cutting(s, w.apart(f.Size))
	case Flap:
		return w.flapping(s, f)
	}
	panic("no such fault: " + f.Kind)
}

// put adds one value to a list, and the function takes it away.
func put[T comparable](list *[]T, x T) func() {
	*list = append(*list, x)
	return func() {
		k := slices.Index(*list, x)
		*list = slices.Delete(*list, k, k+1)
	}
}

// add notes when the noise on a segment changes.
func (w *World) add(s int, end func()) func() {
	note := func() {
		w.segments[s].shaken, w.segments[s].chaos = w.now, w.now
		w.judge.unrest()
	}
	note()
	return func() { end(); note() }
}

// cutting keeps packets away from those who should not hear them.
func (w *World) cutting(s int, cut func(from, to int) bool) (end func()) {
	change := func(more int) {
		for from := range len(w.hosts) + clients {
			for to := range len(w.hosts) + clients {
				if from != to && cut(from, to) {
					w.segments[s].cut[from][to] += more
				}
			}
		}
		w.segments[s].shaken = w.now
		w.judge.unrest()
	}
	change(1)
	return func() { change(-1) }
}

// apart tells the sides of a partition. The first client is with the nodes of the set, the second with the others.
func (w *World) apart(set int) func(from, to int) bool {
	side := func(n int) bool {
		if n >= len(w.hosts) {
			return n == len(w.hosts)
		}
		return set>>n&1 == 1
	}
	return func(from, to int) bool { return side(from) != side(to) }
}

// flapping is a partition that comes and goes twice a second until the end.
func (w *World) flapping(s int, f Fault) (end func()) {
	over := false
	var mend func()
	var turn func()
	turn = func() {
		w.segments[s].chaos = w.now
		switch {
		case mend != nil:
			mend()
			mend = nil
		case !over:
			mend = w.cutting(s, w.apart(f.Size))
		}
		if !over {
			w.after(500*time.Millisecond, turn)
		}
	}
	turn()
	return func() {
		over = true
		if mend != nil {
			mend()
			mend = nil
		}
	}
}
