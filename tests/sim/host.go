package sim

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// backlog is how many inputs wait for a process that is stopped; its sockets drop what is more.
const backlog = 1024

// host is one machine: its kernel, and the process, which may be dead while the kernel still holds addresses.
type host struct {
	w     *World
	n     int
	clock clock
	kernel
	edit, active edit // what the file says, and what the process has read

	node    *node.Node // nil while dead
	keeper  *keeper    // of the same process
	life    int        // counts the processes, so that what belongs to a dead one is dropped
	down    int        // reasons not to run; it boots when there is none
	pauses  int        // reasons to be stopped
	waiting []waiter   // for the process to go on

	wakeAt time.Duration // when the timer is due; 0 for not set
	late   time.Duration // the most that the process wakes up too late

	asleep     int           // reasons for the machine to be suspended
	fellAsleep time.Duration // when it was
	bootsLater bool          // when it wakes up
	told       time.Duration // how much of all suspensions the node knows

	crashIn int // actions until something happens to the process; 0 for never
	crashed func()

	unsent    []node.Unsent // to be told before anything else
	answering bool          // what is done is about one of them

	stopping bool            // it was asked to end
	shaken   time.Duration   // when something happened to it last
	jumped   time.Duration   // when its wall clock did
	unfit    []time.Duration // by instance: until when it may be out of the election
	shy      []time.Duration // by instance: until when it need not take over from a worse master

	off         bool // the machine has no power
	maintenance bool // the node takes no part
	memory      node.Memory
	fencer      []int           // by level, what the fencer of the machine does
	ears        []ear           // by node
	asking      []time.Duration // by instance, until when a question to the witness is under way
	granted     []bool          // by instance, whether what it holds it has by the witness's grant
	gaveBack    []int           // by instance, how often it has given a grant back
	record      []recorded      // heartbeats, one of each run
	recordedIn  int

	failing  []int // reasons of each checker to fail
	first    []bool
	marks    []node.Mark
	commands uint64
}

func newHost(w *World, n int) *host {
	h := &host{w: w, n: n, edit: w.scenario.unedited(), late: maxWakeLate}
	if n < len(w.scenario.Drift) {
		h.clock.ppm = w.scenario.Drift[n]
	}
	h.failing, h.first = make([]int, w.scenario.Checkers), make([]bool, w.scenario.Checkers)
	h.active, h.unfit, h.shy = h.edit, make([]time.Duration, len(w.scenario.Instances)), make([]time.Duration, len(w.scenario.Instances))
	h.kernel = newKernel(w, h)
	h.fencer, h.granted, h.gaveBack = make([]int, 3), make([]bool, len(w.scenario.Instances)), make([]int, len(w.scenario.Instances))
	return h
}

func (h *host) name() string { return nodeName(h.n) }

// read is the machine's time.Now.
func (h *host) read() time.Time {
	if h.asleep > 0 {
		return h.clock.read(h.fellAsleep)
	}
	return h.clock.read(h.w.now)
}

// running tells whether the process lives and is not stopped.
func (h *host) running() bool { return h.node != nil && h.pauses == 0 }

// rise takes one reason away not to run, and boots when it was the last.
func (h *host) rise() {
	if h.down--; h.down > 0 {
		return
	}
	if h.node != nil {
		h.kill() // it was asked to stop, and had its time
	}
	h.boot()
}

// boot starts a process: it learns of the links, of what a former run left in the kernel, and later of the first verdicts.
func (h *host) boot() {
	if h.bootsLater = h.asleep > 0; h.bootsLater {
		return
	}
	h.life++
	h.told = h.clock.slept
	h.w.tell("%s boots", h.name())
	h.node, h.keeper, h.waiting = node.New(h.w.scenario.config(h.n, h.edit, h.run())), newKeeper(h), nil
	h.ears, h.asking = make([]ear, len(h.w.hosts)), make([]time.Duration, len(h.w.scenario.Instances))
	clear(h.first)
	h.w.judge.booted(h)
	links := h.linkState()
	h.do(func() { h.step(links) })
	if h.node == nil {
		return
	}
	if h.memory.Maintenance.On() {
		h.maintained(true)
	}
	held, ages := h.left()
	start := node.Start{At: h.read(), Held: held, Ages: ages, Marks: h.marks, Memory: h.memory}
	h.fastLeft(&start)
	h.give(start)
	for c := range h.failing {
		h.soon(10*time.Millisecond+h.w.upTo(h.n, 490*time.Millisecond), func() {
			h.first[c] = true
			h.observe(c)
			h.w.judge.shake(h)
		})
	}
}

// run is the number of this run of the process, different from all others.
func (h *host) run() uint64 { return uint64(h.n+1)<<40 | uint64(h.life)<<24 }

// kill ends the process without a word.
func (h *host) kill() {
	if h.node == nil {
		return
	}
	h.w.tell("%s is killed", h.name())
	h.end()
}

func (h *host) end() {
	h.marks, h.memory = h.node.Marks(), h.node.Memory()
	h.node, h.keeper, h.waiting, h.wakeAt, h.crashIn, h.unsent, h.answering = nil, nil, nil, 0, 0, nil, false
	h.life++
	h.w.judge.ended(h)
}

// pause stops the process for a while (SIGSTOP); what comes meanwhile waits.
func (h *host) pause() {
	h.pauses++
	h.w.judge.paused(h)
}

func (h *host) resume() {
	if h.pauses--; h.pauses > 0 {
		return
	}
	h.w.judge.resumed(h)
	waiting := h.waiting
	h.waiting = nil
	if h.node != nil && h.node.Overdue(h.read()) { // then the sockets are read first
		slices.SortStableFunc(waiting, func(a, b waiter) int { return b.rank - a.rank })
	}
	for _, x := range waiting {
		x.f()
	}
}

// waiter is something that waits for a process to go on.
type waiter struct {
	f    func()
	rank int
}

// The ranks of what waits, the first ones first where it matters.
const (
	another  = iota
	packet   // in a socket
	underWay // the rest of what was begun
)

// soon lets the process do something after d, unless it dies before.
func (h *host) soon(d time.Duration, f func()) {
	life := h.life
	h.w.after(d, func() {
		if h.life == life {
			h.do(f)
		}
	})
}

// do lets the process do something now, or when it goes on; hear, read a packet.
func (h *host) do(f func()) { h.perhaps(f, another) }

func (h *host) hear(f func()) { h.perhaps(f, packet) }

func (h *host) perhaps(f func(), rank int) {
	switch {
	case h.node == nil:
	case h.pauses == 0:
		f()
	case len(h.waiting) < backlog:
		life := h.life
		h.waiting = append(h.waiting, waiter{func() {
			if h.life == life {
				h.perhaps(f, rank)
			}
		}, rank})
	}
}

func (h *host) give(in node.Input) { h.do(func() { h.step(in) }) }

// step is what the engine does around a step of the node.
func (h *host) step(in node.Input) {
	life := h.life
	if h.woken(); h.life == life && h.pauses == 0 {
		h.obey(h.node.Step(h.read(), in))
	}
}

// arm sets the one timer, unless it is due before anyway.
func (h *host) arm() {
	due := h.node.Deadline()
	if due.IsZero() {
		return
	}
	d := max(h.clock.wait(due.Sub(h.read()))+1, 0) // one nanosecond for the rounding of the drift
	h.wakeBy(h.w.now + d + h.w.some(h.n, ofWake, h.late))
}

// wakeBy has the timer fire at an instant, unless it does so before.
func (h *host) wakeBy(at time.Duration) {
	if h.wakeAt != 0 && h.wakeAt <= at {
		return
	}
	h.wakeAt = at
	life := h.life
	h.w.at(at, func() {
		if h.life == life && h.wakeAt == at && h.asleep == 0 {
			h.do(func() {
				if h.wakeAt == at {
					h.wakeAt = 0
					h.step(node.Timeout{})
				}
			})
		}
	})
}

// observe reports what a checker finds at present.
func (h *host) observe(c int) {
	o := health.Observation{Outcome: health.Pass, Weight: -1}
	if h.failing[c] > 0 {
		o.Outcome, o.Reason = health.Fail, "broken"
	}
	h.give(node.Observed{Check: checkID(c), Observation: o})
}

// linkState is what the link monitor tells of the interfaces.
func (h *host) linkState() node.Links {
	all := node.Links{"lo": {Index: 1, Up: true}}
	for s := range h.links {
		if l := &h.links[s]; l.missing == 0 {
			var own []netip.Prefix
			for _, a := range addresses(h.n, s) {
				own = append(own, netip.PrefixFrom(a, map[bool]int{false: 24, true: 64}[a.Is6()]))
			}
			all[segmentName(s)] = node.Link{Index: l.index, Up: l.broken == 0, Addresses: own}
		}
	}
	return all
}

// instanceOf is the number of the instance that an event names; -1 for none.
func instanceOf(name string) int {
	n, ok := strings.CutPrefix(name, "i")
	if !ok || len(n) != 1 {
		return -1
	}
	return int(n[0] - '0')
}

// stateOf is the state that an event names.
func stateOf(name string) vrrp.State {
	for _, s := range []vrrp.State{vrrp.Backup, vrrp.Master, vrrp.Fault, vrrp.Hold} {
		if s.String() == name {
			return s
		}
	}
	return vrrp.Init
}

// left are the VIPs that a former run has left in the kernel, and how long ago each was renewed.
func (h *host) left() (held []desired.AddressKey, ages map[desired.AddressKey]time.Duration) {
	ages = map[desired.AddressKey]time.Duration{}
	for v := range h.held {
		if h.held[v].on {
			held, ages[h.w.key(v)] = append(held, h.w.key(v)), h.w.now-h.held[v].again
		}
	}
	return held, ages
}
