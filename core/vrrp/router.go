package vrrp

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Router is the state machine of one virtual router. It is not safe for concurrent use.
type Router struct {
	cfg    Config
	sorted []netip.Addr // cfg.Addresses, to compare with a list in another order

	state     State
	since     time.Time
	reason    string
	effective uint8
	interval  time.Duration // Active_Adver_Interval: the master's, as far as learned
	rule      ChecksumRule  // of what is sent; never ChecksumAuto

	deadline time.Time // of the advert timer in MASTER, of the master down timer in BACKUP
	skewed   bool      // the timer contains one Skew_Time of the effective priority
	late     bool      // the timer was extended because it fired late

	starting, adopt bool // a Start waits for the source address

	preemptAt time.Time // the end of PreemptDelay; zero while it has not begun
	deferred  time.Time // no preemption before
	yielded   bool      // an operator moved mastership away: do not take it back
	yieldedTo uint8     // the highest priority of the master since then

	master   peer      // who is master, if another
	met      bool      // another router was heard
	sent     time.Time // the last advert that was no resignation
	answered time.Time // the last answer to a losing advert

	came time.Time // when the latest message came

	announced time.Time // the last burst of announcements
	owed      bool      // one more is due as soon as the limit allows

	gate gateState // of a gated router

	rival      peer      // a master of lower rank, as heard last
	rivalSince time.Time // when it was heard first
	resist     bool      // a master of higher rank may be the older one
	resisted   time.Time // since when it is resisted; zero for not

	alone time.Duration // how long this process may be stopped while nobody is there to take over

	unsure   peer     // a master whose clock or the own one is wrong, as heard last
	marks    marks    // the sequence numbers of signed adverts
	numbered Sequence // the last one of the own

	handover handover
	linger   linger

	counters Counters
	noted    map[string]time.Time // when a note was given, by kind

	out     Output
	adverts [2]Advert    // space of out.Adverts
	scratch []netip.Addr // space of the addresses of a received advert
}

// peer is another router, as heard last.
type peer struct {
	addr     netip.Addr
	priority uint8
	last     time.Time
}

// NewRouter makes a router in INIT. It does nothing before [Start].
func NewRouter(cfg Config) *Router {
	r := &Router{effective: cfg.Priority, noted: map[string]time.Time{}}
	r.counters.Discarded = map[Reason]uint64{}
	r.setConfig(cfg)
	r.interval = cfg.Interval
	return r
}

func (r *Router) setConfig(cfg Config) {
	if r.rule == ChecksumAuto || cfg.Checksum != r.cfg.Checksum {
		r.rule = cfg.Checksum
		if r.rule == ChecksumAuto {
			r.rule = ChecksumPseudo
		}
	}
	r.cfg = cfg
	r.sorted = slices.SortedFunc(slices.Values(cfg.Addresses), netip.Addr.Compare)
}

// Step takes one input. The instant must not be before that of the step before.
func (r *Router) Step(now time.Time, in Input) Output {
	r.begin(now)
	switch in := in.(type) {
	case Received:
		r.cameAt(now, in.At)
		r.receive(now, in.Header, in.Payload)
	case Timeout:
		r.timeout(now)
	case Start:
		if r.state == Init {
			r.starting, r.adopt = true, in.Adopt
			r.start(now)
		}
	case Stop:
		r.leave(now, Init, "shutdown")
	case Priority:
		r.setEffective(now, in.Effective)
	case Fail:
		r.leave(now, Fault, in.Reason)
	case Recover:
		r.recovered(now)
	case Handover:
		r.handOver(now, in.Stop)
	case Source:
		r.setSource(now, in.Addr)
	case Taken:
		if r.came = now; r.handover.active() {
			r.takenOver(now, in.Peer, Advert{Priority: in.Priority, Interval: r.cfg.Interval})
		}
	case Promote:
		r.promote(now)
	case Defer:
		r.deferred = in.Until
	case Restrain:
		r.restrain(now, in.Reason)
	case Call:
		r.call(now)
	case Withdraw:
		r.withdraw(now, in.Reason)
	case Release:
		r.release(now, in.Reason)
	case Resist:
		r.resist = in.On
	case Alone:
		r.alone = in.For
	case Slept:
		r.slept(now, in.For)
	}
	return r.out
}

// begin clears the output of the step before. A master that comes back from a stall steps down before it does anything else.
func (r *Router) begin(now time.Time) {
	r.out = Output{Adverts: r.adverts[:0]}
	r.checkStall(now)
}

// timeout acts on the deadlines that have come.
func (r *Router) timeout(now time.Time) {
	r.lingering(now)
	if r.deadline.IsZero() || now.Before(r.deadline) {
		return
	}
	switch {
	case r.state == Backup, r.state == Hold:
		r.masterDownTimer(now)
	case r.handover.active():
		r.handoverTimer(now)
	case r.state == Master:
		r.advertTimer(now)
	}
}

// start leaves INIT as soon as the source address is known (RFC 9568 section 6.4.1).
func (r *Router) start(now time.Time) {
	if !r.starting || !r.cfg.Source.IsValid() {
		return
	}
	r.starting = false
	r.interval = r.cfg.Interval
	switch {
	case r.adopt:
		r.becomeMaster(now, "the addresses of the former run are still held")
	case r.effective == 255 && r.cfg.Gated:
		r.becomeBackup(now, "started")
		r.want("owner of the addresses")
	case r.effective == 255:
		r.becomeMaster(now, "owner of the addresses")
	default:
		r.becomeBackup(now, "started")
		if r.cfg.StartMaster {
			// What keepalived waits in `state MASTER` below priority 255.
			r.deadline, r.skewed = now.Add(r.cfg.Interval+r.cfg.Interval/256), false
		}
	}
}

func (r *Router) recovered(now time.Time) {
	if r.state != Fault {
		return
	}
	r.interval = r.cfg.Interval
	if !r.cfg.Source.IsValid() {
		r.enter(now, Init, "recovered; waits for its address")
		r.starting, r.adopt = true, false
		return
	}
	r.becomeBackup(now, "recovered")
}

// leave gives mastership up and takes no part any more, in INIT or FAULT.
func (r *Router) leave(now time.Time, to State, reason string) {
	r.starting, r.yielded = false, false
	if r.handover.stop || r.linger.stop {
		to = Init // the end was asked for before
	}
	if r.state == to {
		r.reason = reason
		return
	}
	if r.state == Master {
		r.send(now, 0)
	}
	r.enter(now, to, reason)
}

// enter is the one door between states: it ends whatever belonged to the state before.
func (r *Router) enter(now time.Time, to State, reason string) {
	if r.handover.active() {
		r.endHandover(HandoverResult{Reason: reason})
	}
	if !r.out.Changed {
		r.out.Changed, r.out.From = true, r.state
	}
	r.out.To, r.out.Reason = to, reason
	r.state, r.since, r.reason = to, now, reason
	r.deadline, r.skewed, r.late = time.Time{}, false, false
	r.preemptAt, r.linger, r.owed = time.Time{}, linger{}, false
	r.gate, r.rival, r.resisted = gateState{}, peer{}, time.Time{}
}

// setEffective changes the priority. In BACKUP the running timer changes by the difference of the skews, as in keepalived.
func (r *Router) setEffective(now time.Time, priority uint8) {
	before := r.skew()
	r.effective = priority
	if r.skewed && now.Before(r.deadline) {
		r.deadline = r.deadline.Add(r.skew() - before)
		if r.deadline.Before(now) {
			r.deadline = now
		}
	}
}

func (r *Router) setSource(now time.Time, addr netip.Addr) {
	if !addr.IsValid() || addr == r.cfg.Source {
		return
	}
	r.cfg.Source = addr
	r.advertiseNow(now)
	r.start(now)
}

// send gives one advert out.
func (r *Router) send(now time.Time, priority uint8) {
	a := Advert{
		Version: r.cfg.Version, VRID: r.cfg.VRID, Priority: priority,
		Interval: r.cfg.Interval, Addresses: r.cfg.Addresses, Rule: r.rule,
	}
	if r.cfg.Version == 2 {
		a.AuthType, a.Auth = r.cfg.auth()
	}
	if a.Key = r.cfg.Auth.signs(); a.Key.ID != 0 {
		a.Sequence = r.nextSequence(now)
	}
	r.out.Adverts = append(r.out.Adverts, a)
	r.counters.Sent++
	if priority == 0 {
		r.counters.PriorityZeroSent++
		return
	}
	r.sent = now
}

func (r *Router) announce(now time.Time) {
	r.out.Announce, r.announced, r.owed = true, now, false
}

// note tells an operator something, unless the same kind was told within the last minute.
func (r *Router) note(now time.Time, code, kind, format string, args ...any) {
	if last, ok := r.noted[kind]; ok && now.Sub(last) < time.Minute {
		return
	}
	r.noted[kind] = now
	r.out.Notes = append(r.out.Notes, Note{Code: code, Text: fmt.Sprintf(format, args...)})
}

func (r *Router) skew() time.Duration { return SkewTime(r.cfg.Version, r.effective, r.interval) }

// Deadline is the instant at which [Timeout] is due; zero for none.
func (r *Router) Deadline() time.Time {
	if r.linger.tell {
		return r.since // at once
	}
	if !r.linger.until.IsZero() && (r.deadline.IsZero() || r.linger.until.Before(r.deadline)) {
		return r.linger.until
	}
	return r.deadline
}

// State is the present state.
func (r *Router) State() State { return r.state }

// Since is when the state was entered; zero before the first change.
func (r *Router) Since() time.Time { return r.since }

// Reason is why the state was entered, in the operator's words; empty before the first change.
func (r *Router) Reason() string { return r.reason }

// Effective is the present priority, with its tracks.
func (r *Router) Effective() uint8 { return r.effective }

// Config is what the router works from, with the source address as far as known. Its slices must not be changed.
func (r *Router) Config() Config { return r.cfg }

// Counters is a copy of the counters.
func (r *Router) Counters() Counters {
	c := r.counters
	c.Discarded = maps.Clone(c.Discarded)
	return c
}

// Holds tells whether this node should hold the addresses: in MASTER, and for a moment after another one has become it.
func (r *Router) Holds() bool { return r.state == Master || !r.linger.until.IsZero() }

// HandingOver tells whether a planned hand-over waits for a peer.
func (r *Router) HandingOver() bool { return r.handover.active() }

// Met tells whether another router was ever heard.
func (r *Router) Met() bool { return r.met }

// Yielded tells whether an operator moved mastership away from here, so that this router does not preempt: until it becomes
// master for another reason, leaves BACKUP for a fault or the end, or gets another priority or preemption by [Router.Reconfigure].
func (r *Router) Yielded() bool { return r.yielded }

// Interval is the advert interval of the master as far as known: the learned one, the own one in MASTER.
func (r *Router) Interval() time.Duration {
	if r.state == Master {
		return r.cfg.Interval
	}
	return r.interval
}

// MasterDown is the silence after which this router takes the master for dead.
func (r *Router) MasterDown() time.Duration {
	return MasterDown(r.cfg.Version, r.effective, r.interval)
}

// Master is who is master as far as known: this router in MASTER, else the one heard last. The address is invalid where none
// was heard, the priority 0 where it resigned.
func (r *Router) Master() (addr netip.Addr, priority uint8, last time.Time) {
	if r.state == Master {
		return r.cfg.Source, r.effective, r.sent
	}
	return r.master.addr, r.master.priority, r.master.last
}
