// Package node is the brain of one node of a pair: it takes what happened, one input at a time, and says what to send, what
// the kernel should hold and what to tell people. It owns the virtual routers, the verdicts of checks and the services.
// It does no I/O, reads no clock and starts no goroutine: core/engine is its only caller.
package node

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
)

// The ways in which a command can fail, for callers that branch on them.
var (
	// ErrUnknown means that nothing has the name that the command gave.
	ErrUnknown = errors.New("unknown instance")
	// ErrNotFound means the same of a service or real server.
	ErrNotFound = errors.New("not found")
	// ErrRefused means that the command would do harm, or has nothing to do, in the present state.
	ErrRefused = errors.New("refused")
	// ErrTimeout means that the peer did not do its part in time; everything is as before.
	ErrTimeout = errors.New("timed out")
)

// StartGrace is how long an instance waits at start for the first verdict of the checkers that it tracks. After it, an
// unknown checker counts for nothing: a broken plugin on both nodes must not leave the pair without a master.
const StartGrace = 10 * time.Second

// Node is the state of one node. It is not safe for concurrent use.
type Node struct {
	cfg       Config
	instances []*instance
	groups    []*group
	checks    map[string]*check
	services  []*service
	vips      []netip.Addr // of all instances, held or not
	unjudged  []*service   // by this step
	links     Links
	linked    uint64 // counts the changes of the interfaces and of the configuration

	started   time.Time // zero before Start
	stopping  bool
	held      []desired.AddressKey // what a former run has left, until it is adopted or not
	ages      map[desired.AddressKey]time.Duration
	leased    []netip.Addr  // the VIPs of it whose fast lease runs
	staleness time.Duration // how long before the start the kernel was asked for them

	inlets     map[inlet]*[256]*instance // by VRID
	agenda     agenda                    // when each instance is to be looked at
	wanting    int                       // instances that would be master and may not yet
	touched    []*instance               // by this step
	everything bool                      // this step touches all of them

	moves       map[uint64]*move // commands under way, by number
	members     []*member
	known       map[desired.Watch]*known // addresses on the network that are asked about
	watched     []desired.Watch          // the same, in order
	machines    []*known                 // those of them that are members or real servers
	references  []*known
	beats       beats
	witnessAsks uint64
	at          time.Time // of the step

	folds  map[string]*fold // by plugin: the checks that were told to be stale together
	expiry time.Time        // when to look for checks that have become stale, at the earliest; zero for at once

	synced    desired.Sync // the daemon of IPVS that runs, and since when
	syncedAt  time.Time
	listening time.Time // since when it hears of the master's connections; zero while it does not

	table table
	dirty bool // the wish has changed
	fast  fastWish

	maintenance maintenance
	fenced      []string // see Memory
	out         Output
	adverts     []Advert // space of out.Adverts
}

// New makes a node that does nothing before [Start].
func New(cfg Config) *Node {
	n := &Node{checks: map[string]*check{}, links: Links{}, folds: map[string]*fold{}, moves: map[uint64]*move{}}
	n.adopt(time.Time{}, cfg)
	return n
}

// Step takes one input. The instant must not be before that of the step before.
func (n *Node) Step(now time.Time, in Input) Output {
	n.open(mayTouchAll(in))
	n.at = now
	n.act(now, in)
	return n.finish(now)
}

// act lets one input act, before time does.
func (n *Node) act(now time.Time, in Input) {
	switch in := in.(type) {
	case Backlog:
		for _, one := range in {
			n.act(now, one)
		}
	case Received:
		n.received(now, in)
	case Receptions:
		for _, r := range in {
			n.received(now, r)
		}
	case Links:
		n.reopen(now, in)
		n.links = in
		n.linked++
		n.adoptKnown()
	case Observed:
		n.observed(now, in)
	case Observations:
		for _, o := range in {
			n.observed(now, o)
		}
	case Applied:
		n.applied(now, in)
	case ServicesApplied:
		n.servicesApplied(now, in)
	case Start:
		n.start(now, in)
	case Stop:
		n.stop(now)
	case Failover:
		n.failover(now, in)
	case Maintain:
		n.maintain(now, in)
	case Drain:
		n.drain(now, in)
	case Told:
		n.emit(in.Event)
	case Beat:
		n.beat(now, in)
	case BeatRefused:
		n.unheard(now, in)
	case Seen:
		n.seen(now, in)
	case Unasked:
		n.unasked(in)
	case Unsent:
		n.unsaid(now, in)
	case Fenced:
		n.endFence(now, in)
	case Witnessed:
		n.witnessed(now, in)
	case Confirm:
		n.confirm(now, in)
	case Slept:
		n.slept(now, in.For)
	case Timeout:
	}
}

// open clears what the step before has left.
func (n *Node) open(everything bool) {
	n.out, n.everything = Output{Adverts: n.adverts[:0]}, everything
}

// mayTouchAll tells whether any instance may depend on an input. Of a result of a check that shows later: most say what the one
// before has said.
func mayTouchAll(in Input) bool {
	switch in := in.(type) {
	case Backlog:
		return slices.ContainsFunc(in, mayTouchAll)
	case Received, Receptions, Timeout, Told, Observed, Observations, Beat, BeatRefused, Seen, Unasked, Unsent, Fenced, Witnessed, Confirm:
		return false
	}
	return true
}

// Configure replaces the configuration. What is the same in both goes on undisturbed.
func (n *Node) Configure(now time.Time, cfg Config) Output {
	n.open(true)
	n.at = now
	n.adopt(now, cfg)
	n.dirty = true
	return n.finish(now)
}

// finish lets time and the new facts act on the instances that they concern, and closes the output.
func (n *Node) finish(now time.Time) Output {
	n.expire(now)
	n.judgeRest(now)
	n.tend(now)
	n.listen(now)
	n.choose(now)
	n.askReferences(now)
	for _, i := range n.touched {
		n.settle(now, i)
		n.look(now, i)
	}
	if n.leave() {
		for _, i := range n.instances {
			n.settle(now, i)
		}
	}
	n.settleGates(now)
	n.settleGroups(now)
	n.settleFences(now)
	if n.stopping && n.allStopped() {
		n.out.Stopped = true
		n.dirty = true
	}
	n.sendBeats(now) // the last one is sent in any case
	n.keepFast(now)
	n.schedule()
	if !slices.ContainsFunc(n.instances, (*instance).keeps) {
		n.held, n.ages, n.leased = nil, nil, nil // what no instance has adopted is removed with the first wish
	}
	if !n.started.IsZero() {
		n.wishFast(now)
		if n.dirty {
			n.dirty = false
			n.out.Desired = n.wish(now)
		}
	}
	n.adverts = n.out.Adverts[:0]
	return n.out
}

// Deadline is the instant at which [Timeout] is due; zero for none.
func (n *Node) Deadline() time.Time {
	var first time.Time
	if len(n.agenda) > 0 {
		first = n.agenda[0].due
	}
	if n.watching() {
		first = earlier(first, n.expiry)
	}
	first = earlier(first, earlier(n.beatDeadline(), n.referenceDeadline()))
	for _, m := range n.members {
		first = earlier(first, m.fence.Deadline())
	}
	for _, g := range n.groups {
		if !n.stopping {
			first = earlier(first, g.tellAt)
		}
	}
	for _, v := range n.services {
		first = earlier(first, v.due)
	}
	return earlier(first, earlier(n.fastDeadline(), n.fast.shut))
}

func (n *Node) start(now time.Time, in Start) {
	n.started = now
	n.dirty = true
	n.held, n.ages, n.leased = in.Held, in.Ages, in.Leased
	n.staleness = now.Sub(came(now, in.At))
	for _, i := range n.instances {
		if slices.ContainsFunc(n.held, i.owns) {
			n.shut(now, i) // unless it adopts them
		}
	}
	n.maintenance.Maintenance, n.fenced = in.Memory.Maintenance, in.Memory.Fenced
	n.rememberMarks(now, in.Marks)
	n.rememberTerms(in.Memory.Terms)
	n.resumeDrains(in.Drains)
	n.remember(now, in.Verdicts)
}

func (n *Node) stop(now time.Time) {
	if n.stopping {
		return
	}
	n.stopping = true
	n.abandon()
	n.endServices()
	for _, i := range n.instances {
		n.retire(now, i)
	}
}

func (n *Node) allStopped() bool {
	return !slices.ContainsFunc(n.instances, func(i *instance) bool { return !i.stopped() })
}

func (n *Node) emit(e event.Event) { n.out.Events = append(n.out.Events, e) }

// adopt takes a configuration over, keeping the state of everything that is in both.
func (n *Node) adopt(now time.Time, cfg Config) {
	n.cfg = cfg
	n.linked++
	checks := make(map[string]*check, len(n.checks))
	keep := func(id string, h health.Config) {
		if c := n.checks[id]; c != nil {
			c.Reconfigure(h)
			c.SetLimit(h.FreshFor)
			checks[id] = c
			return
		}
		checks[id] = &check{Check: health.New(h), Freshness: health.NewFreshness(h.FreshFor, now), since: now}
	}
	for _, c := range cfg.Checkers {
		keep(c.Check, c.Health)
	}
	for _, s := range cfg.Services {
		for _, r := range s.RealServers {
			for _, c := range r.Checks {
				keep(c.Check, c.Health)
			}
		}
	}
	n.checks, n.expiry, n.vips = checks, time.Time{}, nil
	for _, i := range cfg.Instances {
		for _, a := range i.Addresses {
			n.vips = append(n.vips, a.Prefix.Addr())
		}
	}
	n.adoptInstances(now)
	n.adoptGroups(now)
	n.adoptMembers()
	n.adoptKnown()
	n.adoptServices(now)
	n.indexChecks()
	n.keepFolds()
}

// wish is everything that the kernel should hold now.
func (n *Node) wish(now time.Time) *desired.State {
	s := &desired.State{VIPs: n.vips, Last: n.out.Stopped}
	for _, i := range n.instances {
		i.wish(now, n.cfg.Lone, s)
		n.wishKept(i, s)
	}
	if !n.out.Stopped {
		s.Watched = n.watched
		for _, i := range n.instances {
			s.Refused = append(s.Refused, i.refusal()...)
			if i.cfg.VMAC != "" {
				s.VMACs = append(s.VMACs, i.vmac())
			}
		}
		for _, v := range n.services {
			s.Services = append(s.Services, n.wishService(now, v)...)
			s.Markings = append(s.Markings, v.cfg.Markings...)
		}
		s.Timeouts, s.Sysctls, s.Sync = n.cfg.Timeouts, n.cfg.Sysctls, n.wishSync()
		for _, p := range n.cfg.Probes {
			p.wish(s)
		}
	}
	return s
}
