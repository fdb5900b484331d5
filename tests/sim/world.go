// Package sim runs whole nodes on a simulated network, in virtual time. A [Scenario] says everything: the machines, their
// configuration, and which faults happen when; the same one gives the same run. It models what nodes cannot decide: packets that
// are late or lost, a kernel that keeps leased addresses and refuses others, neighbours that believe the last announcement,
// clocks that run apart, processes that are killed between any two actions, stopped and started again. It is not a model of IPVS
// or of plugins.
package sim

import (
	"fmt"
	"net/netip"
	"time"
)

// The lateness of the kernel in ending a lease, of a process in waking up, and of the one that applies wishes in doing so: at
// most these, where no fault says otherwise.
const (
	maxLeaseLate = 300 * time.Millisecond
	maxWakeLate  = 3 * time.Millisecond
	maxApplyLate = 2 * time.Millisecond
)

// World is the network, the clock and the machines.
type World struct {
	scenario  Scenario
	now       time.Duration
	queue     queue
	seq       uint64
	events    uint64 // that have happened
	hosts     []*host
	segments  []*segment
	cross     [][]int // what keeps heartbeats from the crosslink, by sender and receiver
	witness   witness
	strangers []int // by instance
	vips      []vip
	byKey     map[any]int // of a vip
	byAddr    map[netip.Addr]int
	judge     *judge
	failure   *Failure
	noise     noise
	trace     []string
	lines     int // that the trace keeps at least
	sum       uint64
	each      func()                        // looks on after each event, where somebody measures
	byHeld    func(h *host, v int, on bool) // the same of each VIP that is taken or lost
	packets   bool                          // are told of in the trace as well
	actions   func(h *host)                 // looks at each action of a process, where somebody counts them
}

// vip is one address that the world may see, whether or not it is configured at present.
type vip struct {
	instance, segment int
}

// Failure is an invariant that did not hold.
type Failure struct {
	// Invariant is its name in RELIABILITY, as in "I1 two owners".
	Invariant string
	// At is when, from the beginning.
	At time.Duration
	// Detail says what was seen.
	Detail string
}

func (f *Failure) Error() string {
	return fmt.Sprintf("%s: after %s: %s", f.Invariant, f.At, f.Detail)
}

// newWorld makes the world of a scenario; its machines boot within the first seconds.
func newWorld(s Scenario) *World {
	w := &World{scenario: s, lines: 150, noise: newNoise(s.Seed, s.Nodes), byKey: map[any]int{}, byAddr: map[netip.Addr]int{}}
	for i, spec := range s.Instances {
		for k := range maxVIPs {
			w.byKey[s.vip(i, k)], w.byAddr[s.vip(i, k).Prefix.Addr()] = len(w.vips), len(w.vips)
			w.vips = append(w.vips, vip{i, spec.Segment})
		}
	}
	for range s.Segments {
		w.segments = append(w.segments, newSegment(s.Nodes, len(w.vips)))
	}
	w.witness, w.strangers = newWitness(s), make([]int, len(s.Instances))
	for n := range s.Nodes {
		w.cross = append(w.cross, make([]int, s.Nodes))
		w.hosts = append(w.hosts, newHost(w, n))
	}
	w.judge = newJudge(w)
	for _, h := range w.hosts {
		h.down = 1
		w.after(w.upTo(h.n, 2*time.Second), h.rise)
	}
	for _, f := range s.Faults {
		w.at(time.Duration(f.At), func() { w.inject(f) })
	}
	return w
}

// Play runs a scenario to its end, or to the first invariant that does not hold.
func Play(s Scenario) *World {
	w := newWorld(s)
	w.run(time.Duration(s.Length))
	return w
}

// run lets time pass until end. After each event the judge looks at the world.
func (w *World) run(end time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= end && w.failure == nil {
		it := w.queue.pop()
		w.now = it.at
		w.events++
		w.sum = (w.sum ^ uint64(w.now)) * 1099511628211
		it.f()
		w.judge.look()
		if w.each != nil {
			w.each()
		}
	}
	if w.failure == nil {
		w.now = end
	}
}

func (w *World) at(t time.Duration, f func()) {
	w.seq++
	w.queue.push(item{max(t, w.now), w.seq, f})
}

func (w *World) after(d time.Duration, f func()) { w.at(w.now+d, f) }

func (w *World) fail(invariant, format string, args ...any) {
	if w.failure == nil {
		w.failure = &Failure{invariant, w.now, fmt.Sprintf(format, args...)}
		w.tell("%s: %s", invariant, w.failure.Detail)
	}
}

// tell adds a line to the trace, and to the sum that tells two runs apart.
func (w *World) tell(format string, args ...any) {
	line := fmt.Sprintf("%11.6f ", w.now.Seconds()) + fmt.Sprintf(format, args...)
	for _, b := range []byte(line) {
		w.sum = (w.sum ^ uint64(b)) * 1099511628211
	}
	if w.trace = append(w.trace, line); len(w.trace) > 2*w.lines {
		w.trace = append(w.trace[:0], w.trace[w.lines:]...)
	}
}

// noise is what happens by chance: each machine has streams of its own, so that a fault which is left out does not change what
// happens to the others by chance.
type noise struct {
	seed  uint64
	count [][chances]uint64
}

// The streams of a machine.
const (
	ofBoot = iota
	ofWake
	ofApply
	ofLease
	ofDelay
	ofLoss
	ofDuplicate
	chances
)

func newNoise(seed uint64, nodes int) noise { return noise{seed, make([][chances]uint64, nodes)} }

// next is splitmix64 of the seed, the stream and the place in it.
func (n *noise) next(host, stream int) uint64 {
	n.count[host][stream]++
	z := n.seed + uint64(host*chances+stream)*0xd1342543de82ef95 + n.count[host][stream]*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (w *World) upTo(host int, most time.Duration) time.Duration { return w.some(host, ofBoot, most) }

// some is a duration up to most.
func (w *World) some(host, stream int, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(w.noise.next(host, stream) % uint64(most))
}

// percent is true so many times out of a hundred.
func (w *World) percent(host, stream, p int) bool {
	return p > 0 && w.noise.next(host, stream)%100 < uint64(p)
}
