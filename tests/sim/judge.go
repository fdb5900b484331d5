package sim

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// judge looks on, and fails the world when one of the invariants of RELIABILITY does not hold. What must hold at once it checks
// where it happens; what must hold again within a time is a [condition].
type judge struct {
	w     *World
	views [][]view // by instance and host

	two    []condition   // I1, by VIP
	none   [][]condition // I3, by instance and host
	idle   [][]condition // I7, by VIP and host: a process holds what it should not
	dead   [][]condition // I2 and I7, by VIP and host: what a process that does not run has left
	caches [][]condition // I8, by VIP and client
	grants [][]condition // I3, by instance and host: a grant that nobody uses
	lone   [][]condition // I17, by instance and host: a master that is cut off
	stale  []bool        // instances to look at

	rest
}

// view is what one host has shown of one instance.
type view struct {
	state    vrrp.State
	since    time.Duration
	left     time.Duration // when it stopped to be master with the VIPs, while its process ran
	spoke    time.Duration // the last advert that it sent as master
	resigned bool          // the last advert was one, or had the lowest priority, which invites others
}

// resigns tells whether an advert invites others to take over. No router of a world has the priority 1 for other reasons.
func resigns(a node.Advert) bool { return a.Payload[2] <= 1 }

func newJudge(w *World) *judge {
	j := &judge{w: w, stale: make([]bool, len(w.scenario.Instances))}
	for range w.scenario.Instances {
		j.views = append(j.views, make([]view, len(w.hosts)))
		j.none = append(j.none, make([]condition, len(w.hosts)))
		j.grants = append(j.grants, make([]condition, len(w.hosts)))
		j.lone = append(j.lone, make([]condition, len(w.hosts)))
	}
	j.two = make([]condition, len(w.vips))
	for range w.vips {
		j.idle = append(j.idle, make([]condition, len(w.hosts)))
		j.dead = append(j.dead, make([]condition, len(w.hosts)))
		j.caches = append(j.caches, make([]condition, clients))
	}
	j.rest.gains = make([]int, len(w.scenario.Instances))
	return j
}

func (j *judge) dirty(i int) { j.stale[i] = true }

func (j *judge) allDirty() {
	for i := range j.stale {
		j.stale[i] = true
	}
}

// look is called after each event.
func (j *judge) look() {
	for i, stale := range j.stale {
		if stale {
			j.stale[i] = false
			j.watch(i)
		}
	}
}

// booted, ended, paused and resumed are told of the process of a host.
func (j *judge) booted(h *host) {
	h.active, h.stopping = h.edit, false
	j.shake(h)
}

func (j *judge) ended(h *host) {
	h.stopping = false
	for i := range j.views {
		j.views[i][h.n].state = vrrp.Init
	}
	j.shake(h)
}

func (j *judge) paused(h *host)  { j.shake(h) }
func (j *judge) resumed(h *host) { j.shake(h) }

// shake notes that a host is not what it was.
func (j *judge) shake(h *host) {
	h.shaken = j.w.now
	j.unrest()
}

// linked is told that an interface of a host has changed.
func (j *judge) linked(h *host, segment int) {
	for i, s := range j.w.scenario.Instances {
		if s.Segment == segment && h.links[segment].missing == 0 {
			h.unfit[i] = max(h.unfit[i], j.w.now+retryTime) // it may have been refused meanwhile
		}
	}
	j.shake(h)
}

// retryTime is the longest that a node waits before it tries an address again that the kernel has refused.
const retryTime = 61 * time.Second

// shyTime is how long a node takes nothing from a worse master whose addresses its kernel has refused, after some tries in a row.
const shyTime = 8 * time.Minute

// forgiven is told that the kernel does not refuse the addresses of an instance any more.
func (j *judge) forgiven(h *host, i int) {
	for _, m := range j.w.scenario.mates(i) {
		h.unfit[m], h.shy[m] = j.w.now+retryTime, j.w.now+shyTime
	}
	j.shake(h)
}

func (j *judge) gained(h *host, v int) {
	i := j.w.vips[v].instance
	j.dirty(i)
	j.rest.moved(h, v)
	j.beside(h, v)
}

// beside looks, when a host begins to answer for a VIP, who that does not run still does.
func (j *judge) beside(h *host, v int) {
	for _, o := range j.w.hosts {
		if o != h && o.held[v].on && !o.barred(v) && (!o.running() || o.choked[j.w.vips[v].segment] > 0) && o.asleep == 0 {
			j.overlaps(j.w.vips[v].instance, v, h, o)
		}
	}
}

// answersAgain is told that a fast lease lets a VIP through again that was over: only an advert renews it, and not that it is let go (I2).
func (j *judge) answersAgain(h *host, v int, ended time.Duration) {
	i := j.w.vips[v].instance
	j.dirty(i)
	j.beside(h, v)
	if s := j.views[i][h.n].state; s != vrrp.Master && j.views[i][h.n].spoke <= ended {
		j.w.fail("I2 let through again", "%s is %s of %s, its fast lease of %s has ended, and it answers again", h.name(), s, instanceName(i), j.w.key(v).Prefix)
	}
}

// expired is told that the kernel ends a lease: that of a process which runs, and has not been hindered, is renewed before (I3).
func (j *judge) expired(h *host, v int) {
	i := j.w.vips[v].instance
	calm := j.w.now-h.shaken > 10*time.Second && j.w.now-j.rest.shaken > 10*time.Second && j.w.now-j.views[i][h.n].since > 100*time.Millisecond
	if calm && h.running() && h.late <= maxWakeLate && j.views[i][h.n].state == vrrp.Master && j.w.informed() && !j.bounded() {
		j.w.fail("I3 lease", "the kernel of %s ends the lease of %s, which is MASTER and not disturbed", h.name(), j.w.key(v).Prefix)
	}
}

// bounded tells whether a grant of the witness bounds the leases: one second, which the kernel may end between two looks, is the least.
func (j *judge) bounded() bool {
	g := j.w.scenario.Guard
	return g != nil && g.OnLoss == guard.WitnessRelease
}

func (j *judge) lost(_ *host, v int) { j.dirty(j.w.vips[v].instance) }

// overlaps is I2: who takes over because the master is silent finds the addresses free, since their lease has ended.
func (j *judge) overlaps(i, v int, h, dead *host) {
	s := dead.active.specs[i]
	silence := j.w.now - j.views[i][dead.n].spoke
	if dead.running() { // it cannot speak, and has lost the VIPs by the time that it is MASTER for so long
		silence = min(silence, j.w.now-j.views[i][dead.n].since)
	}
	if s.Unleased || time.Duration(s.Interval) < 500*time.Millisecond && (j.w.fastLease(dead, i) == 0 || !dead.bars[v].listed) || !j.w.alike(i) || silence < j.w.down(h, i)-time.Millisecond {
		return // it preempts, and did not wait for silence
	}
	if !slices.Equal(s.Priority, h.active.specs[i].Priority) || j.w.tolerates(i, v, dead, silence) {
		return // a reload that the dead one has not seen makes the other one faster
	}
	j.w.fail("I2 dead owner", "%s takes %s, and %s, whose process has said nothing for %s, still holds it",
		h.name(), j.w.key(v).Prefix, dead.name(), silence)
}

// tried is told of each advert, whether or not it can be sent.
func (j *judge) tried(h *host, segment int, a node.Advert) {
	for i, s := range j.w.scenario.Instances {
		if s.Segment == segment && s.VRID == a.Payload[1] && s.IPv6 == a.Source.Is6() {
			j.views[i][h.n].resigned = resigns(a)
		}
	}
}

// sent is told of each advert, before it is on the wire.
func (j *judge) sent(h *host, segment int, a node.Advert) {
	j.tried(h, segment, a)
	for i, s := range j.w.scenario.Instances {
		if s.Segment == segment && s.VRID == a.Payload[1] && s.IPv6 == a.Source.Is6() {
			v := &j.views[i][h.n]
			if a.Payload[2] > 0 || v.state == vrrp.Master { // by a hand-over the lease is renewed, too
				v.spoke = j.w.now
			}
		}
	}
}

// announced is told of each frame.
func (j *judge) announced(h *host, v int) {
	if !h.held[v].on {
		j.w.fail("I8 announcement", "%s announces %s without holding it", h.name(), j.w.key(v).Prefix)
	}
	seg := j.w.segments[j.w.vips[v].segment]
	for c := range clients {
		if seg.cut[h.n][len(j.w.hosts)+c] == 0 {
			e := &seg.caches[c][v]
			e.teller, e.told = h.n, j.w.now
		}
	}
	j.dirty(j.w.vips[v].instance)
}

// output is told of what a node says, before it is done.
func (j *judge) output(h *host, out node.Output) {
	for _, e := range out.Events {
		if i := instanceOf(e.Subject); e.Code == "instance.state" && i >= 0 {
			j.transition(h, i, stateOf(e.To), out)
		}
	}
	if out.Desired != nil {
		j.wish(h, out)
	}
	j.fastWish(h, out.FastLeases)
	j.together(h, out)
}

// fastWish checks that a fast lease, and what the kernel is late, is over before the fastest peer takes over.
func (j *judge) fastWish(h *host, leases []desired.FastLease) {
	for _, l := range leases {
		i := j.w.vips[j.w.byAddr[l.Address]].instance
		if most := j.w.fastLease(h, i); most > 0 && l.For > most && j.w.alike(i) {
			j.w.fail("I2 lease", "%s has a fast lease of %s for %s; a peer may take over after less", h.name(), l.Address, l.For)
		}
	}
}

// transition notes a new state. The first advert of a master comes with it, not later (I8), and before the addresses.
func (j *judge) transition(h *host, i int, to vrrp.State, out node.Output) {
	v := &j.views[i][h.n]
	if to == vrrp.Master {
		j.preempted(h, i)
		j.evidence(h, i)
		s := j.w.scenario.Instances[i]
		if !slices.ContainsFunc(out.Adverts, func(a node.Advert) bool {
			return a.Payload[1] == s.VRID && a.Interface == segmentName(s.Segment) && a.Payload[2] > 0
		}) {
			j.w.fail("I8 advert first", "%s becomes MASTER of %s without an advert", h.name(), instanceName(i))
		}
	}
	if v.state == vrrp.Master && h.held[i*maxVIPs].on {
		v.left = j.w.now
	}
	v.state, v.since = to, j.w.now
	j.dirty(i)
	if mates := j.w.scenario.mates(i); len(mates) > 1 && to == vrrp.Backup {
		for _, m := range mates {
			j.none[m][h.n].on = false // the group begins to wait anew with its last member
		}
	}
}

// wish checks that what is announced is held as well, and that nothing is left after the end.
func (j *judge) wish(h *host, out node.Output) {
	held := map[int]bool{}
	for _, a := range out.Desired.Addresses {
		v := j.w.find(a.AddressKey)
		held[v] = true
		if i := j.w.vips[v].instance; a.Lease > 0 && j.w.lease(h, i) > 0 && a.Lease > j.w.lease(h, i) && j.w.alike(i) {
			j.w.fail("I2 lease", "%s leases %s for %s; a peer may take over after less", h.name(), a.Prefix, a.Lease)
		}
	}
	for _, a := range out.Desired.Announcements {
		if !held[j.w.find(a.AddressKey)] {
			j.w.fail("I8 announcement", "%s wishes to announce %s and not to hold it", h.name(), a.Prefix)
		}
	}
	if out.Stopped && len(held) > 0 {
		j.w.fail("I20 clean stop", "%s has stopped and wishes to hold %d addresses", h.name(), len(held))
	}
}

// stopped is told that a process has ended as it should.
func (j *judge) stopped(h *host) {
	for v := range h.held {
		if h.held[v].on {
			j.w.fail("I20 clean stop", "%s has stopped and left %s", h.name(), j.w.key(v).Prefix)
		}
	}
}

// together is I10: all members of a sync group are master, or none; a planned hand-over ends one after the other.
func (j *judge) together(h *host, out node.Output) {
	for _, g := range j.w.scenario.Groups {
		masters, handing := 0, false
		for _, i := range g {
			v := j.views[i][h.n]
			masters += b2i(v.state == vrrp.Master)
			resigned := v.resigned
			for _, a := range out.Adverts {
				if s := j.w.scenario.Instances[i]; a.Payload[1] == s.VRID && a.Interface == segmentName(s.Segment) {
					resigned = resigns(a)
				}
			}
			handing = handing || v.state == vrrp.Master && resigned
			// A hand-over of which one advert cannot be sent ends for one member and not for the other.
			handing = handing || slices.ContainsFunc(j.w.hosts, func(o *host) bool {
				return cutOff(o.choked) || o.unchoked > 0 && j.w.now-o.unchoked < j.settling()
			})
		}
		if masters > 0 && masters < len(g) && !handing {
			j.w.fail("I10 sync group", "%s is MASTER of %d of the %d instances of a sync group", h.name(), masters, len(g))
		}
	}
}

// preempted checks a new master beside one that works: it must be better, and may have to wait.
func (j *judge) preempted(h *host, i int) {
	s := h.active.specs[i]
	calm := func(t time.Duration) bool { return j.w.now-t > 5*time.Duration(s.Interval) }
	for _, o := range j.w.hosts {
		v := j.views[i][o.n]
		works := o != h && v.state == vrrp.Master && o.running() && !v.resigned && !o.stopping && calm(v.since) && calm(o.shaken)
		seg := j.w.segments[s.Segment]
		if !works || !calm(seg.shaken) || j.w.parted(s.Segment) || j.w.disagree(i) || !j.w.alike(i) || o.late > maxWakeLate {
			continue
		}
		mine, its := h.priority(i), o.priority(i)
		waited := j.w.now - j.views[i][h.n].since
		switch {
		case !h.preempts(i):
			j.w.fail("I4 preempt", "%s takes %s from %s, which works, and must not preempt", h.name(), instanceName(i), o.name())
		case mine <= its && calm(h.shaken):
			j.w.fail("I4 winner", "%s, priority %d, takes %s from %s, priority %d", h.name(), mine, instanceName(i), o.name(), its)
		case waited < h.clock.wait(time.Duration(s.Delay)) && s.Priority[h.n] != 255:
			j.w.fail("I4 preempt_delay", "%s takes %s after %s", h.name(), instanceName(i), waited)
		}
	}
}
