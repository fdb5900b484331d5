// Package sim runs whole nodes on a simulated network, in virtual time and from one seed: the same seed gives the same run.
// It models what the nodes cannot decide: packets that are late or lost, a kernel that keeps leased addresses, processes that
// are killed, stopped and started again. It is not a model of IPVS or of plugins.
package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// The network's delay, the lateness of the kernel in ending a lease, and of a process in waking up: at most these.
const (
	maxDelay     = 2 * time.Millisecond
	maxLeaseLate = 300 * time.Millisecond
	maxWakeLate  = 3 * time.Millisecond
)

// vip is the one address that the pair holds.
var vip = desired.AddressKey{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")}

// World is the network, the clock and the machines.
type World struct {
	now   time.Time
	rnd   *rand.Rand
	queue queue
	seq   uint64
	hosts []*Host
	loss  float64
	// epoch is when the world began; the trace counts from it.
	epoch time.Time
	trace []string
	sum   uint64
}

// Host is one machine. The process may be dead while the kernel still holds an address.
type Host struct {
	name    string
	addr    netip.Addr
	cfg     node.Config
	node    *node.Node // nil while dead
	life    int        // counts the processes, so that inputs for a dead one are dropped
	paused  bool
	waiting []node.Input
	wake    uint64 // identifies the timer that counts
	held    bool
	until   time.Time // end of the lease; zero for ever
	lease   uint64
	deaf    bool
	mute    bool
	moves   int // times that it became master
}

// New makes a world of two nodes with these priorities, and starts them.
func New(seed uint64, edit func(i int, c *node.Instance)) *World {
	w := &World{rnd: rand.New(rand.NewPCG(seed, 1)), epoch: time.Unix(1_000_000, 0)} // reproducible on purpose
	w.now = w.epoch
	for i, priority := range []uint8{150, 100} {
		h := &Host{name: fmt.Sprintf("lb%d", i+1), addr: netip.AddrFrom4([4]byte{10, 77, 0, byte(i + 1)})}
		h.cfg = node.Config{
			Name:     h.name,
			Checkers: []node.Checker{{Name: "local", Check: "checker/local", Health: health.Config{Rise: 1, Fall: 1}}},
			Instances: []node.Instance{{
				Name: "web", Interface: "eth0",
				VRRP: vrrp.Config{
					VRID: 51, Version: 3, Priority: priority, Interval: time.Second, Preempt: true, Addresses: []netip.Addr{vip.Prefix.Addr()},
				},
				Addresses:    []node.VirtualAddress{{Prefix: vip.Prefix, Interface: vip.Interface}},
				Tracks:       []node.Track{{Kind: node.TrackChecker, Name: "local", Weighted: true, Weight: -60}},
				Garp:         desired.Garp{Repeat: 5, Delay: 5 * time.Second},
				Lease:        node.Lease{Auto: true},
				PeerPriority: []uint8{100, 150}[i],
			}},
		}
		if edit != nil {
			edit(i, &h.cfg.Instances[0])
		}
		w.hosts = append(w.hosts, h)
		w.boot(h)
	}
	return w
}

// boot starts the process of a host: its links, what a former run left in the kernel, and the first verdict of its checker.
func (w *World) boot(h *Host) {
	h.life++
	h.paused, h.waiting = false, nil
	h.node = node.New(h.cfg)
	w.step(h, node.Links{"eth0": {Index: 2, Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(h.addr, 24)}}})
	start := node.Start{}
	if h.held && !h.until.IsZero() {
		start.Held = []desired.AddressKey{vip}
	}
	w.step(h, start)
	life := h.life
	w.at(w.jitter(500*time.Millisecond), func() {
		if h.life == life {
			w.input(h, observed(health.Pass))
		}
	})
}

func observed(o health.Outcome) node.Observed {
	return node.Observed{Check: "checker/local", Observation: health.Observation{Outcome: o, Weight: -1}}
}

// input gives one input to a host's process, or keeps it while the process is stopped.
func (w *World) input(h *Host, in node.Input) {
	switch {
	case h.node == nil:
	case h.paused:
		h.waiting = append(h.waiting, in)
	default:
		w.step(h, in)
	}
}

// step is what the engine does around a step of the node.
func (w *World) step(h *Host, in node.Input) { w.obey(h, h.node.Step(w.now, in)) }

func (w *World) obey(h *Host, out node.Output) {
	for _, a := range out.Adverts {
		w.send(h, a)
	}
	if out.Desired != nil {
		w.apply(h, out.Desired)
	}
	for _, e := range out.Events {
		w.note("%s %s", h.name, e)
		if e.To == "MASTER" {
			h.moves++
		}
	}
	if out.Stopped {
		h.node = nil
		return
	}
	w.arm(h)
}

// arm sets the host's one timer.
func (w *World) arm(h *Host) {
	h.wake++
	due, wake := h.node.Deadline(), h.wake
	if due.IsZero() {
		return
	}
	w.at(max(due.Sub(w.now), 0)+w.jitter(maxWakeLate), func() {
		if h.wake == wake {
			w.input(h, node.Timeout{})
		}
	})
}

func (w *World) send(from *Host, a node.Advert) {
	for _, to := range w.hosts {
		if to == from || from.mute || to.deaf || w.rnd.Float64() < w.loss {
			continue
		}
		in := node.Received{
			Interface: "eth0", Payload: a.Payload,
			Header: vrrp.Header{Source: a.Source, Destination: a.Destination, TTL: 255},
		}
		w.at(w.jitter(maxDelay), func() { w.input(to, in) })
	}
}

// apply is the kernel: it holds what is wished, as long as it is leased.
func (w *World) apply(h *Host, s *desired.State) {
	if len(s.Addresses) == 0 {
		if h.held {
			w.note("%s drops the VIP", h.name)
		}
		h.held = false
		return
	}
	a := s.Addresses[0]
	if !h.held {
		w.note("%s holds the VIP", h.name)
	}
	h.lease++
	h.held, h.until = true, time.Time{}
	if a.Lease == 0 {
		return
	}
	h.until = a.Renewed.Add(a.Lease)
	lease := h.lease
	w.at(max(h.until.Sub(w.now), 0)+w.jitter(maxLeaseLate), func() {
		if h.lease == lease && h.held {
			h.held = false
			w.note("%s loses the VIP: its lease ended", h.name)
		}
	})
}

// Kill ends a process without a word; Start begins a new one; Stop asks it to end.
func (w *World) kill(h *Host) {
	w.note("%s is killed", h.name)
	h.node, h.paused, h.waiting = nil, false, nil
	h.life++
	h.wake++
}

func (w *World) pause(h *Host, d time.Duration) {
	if h.node == nil || h.paused {
		return
	}
	w.note("%s is stopped for %s", h.name, d)
	h.paused = true
	life := h.life
	w.at(d, func() {
		if h.life != life || h.node == nil {
			return
		}
		w.note("%s goes on", h.name)
		h.paused = false
		for _, in := range h.waiting {
			if h.node == nil {
				break
			}
			w.step(h, in)
		}
		h.waiting = nil
	})
}

// yielded tells whether an operator has moved the VIP away from a host.
func (h *Host) yielded() bool {
	return h.node != nil && h.node.Snapshot(time.Time{}).Instances[0].Yielded
}

// owners counts the machines that answer for the VIP, whether or not their process lives.
func (w *World) owners() int {
	n := 0
	for _, h := range w.hosts {
		if h.held {
			n++
		}
	}
	return n
}

func (w *World) note(format string, args ...any) {
	line := fmt.Sprintf("%10.3f ", w.now.Sub(w.epoch).Seconds()) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	fmt.Fprintf(h, "%d%s", w.sum, line)
	w.sum = h.Sum64()
	if w.trace = append(w.trace, line); len(w.trace) > 200 {
		w.trace = w.trace[100:]
	}
}

func (w *World) jitter(most time.Duration) time.Duration {
	return time.Duration(w.rnd.Int64N(int64(most)))
}

// at calls f after d of virtual time.
func (w *World) at(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.queue, item{w.now.Add(d), w.seq, f})
}

// run lets time pass until end; after each event, check looks at the world.
func (w *World) run(d time.Duration, check func() error) error {
	end := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) {
		it := heap.Pop(&w.queue).(item)
		w.now = it.at
		it.f()
		if err := check(); err != nil {
			return err
		}
	}
	w.now = end
	return check()
}

type item struct {
	at  time.Time
	seq uint64
	f   func()
}

// queue orders items by time, and those of one instant by their age.
type queue []item

func (q queue) Len() int { return len(q) }
func (q queue) Less(a, b int) bool {
	if !q[a].at.Equal(q[b].at) {
		return q[a].at.Before(q[b].at)
	}
	return q[a].seq < q[b].seq
}
func (q queue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }
func (q *queue) Push(x any)   { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	old := *q
	it := old[len(old)-1]
	*q = old[:len(old)-1]
	return it
}
