package sim

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// condition is something that must not last. The zero value is off.
type condition struct {
	on    bool
	since time.Duration
	until time.Duration // when it has lasted too long
	turn  uint64        // of being switched on, so that an old check does nothing
}

// switched turns it on or off. While it is on, its time begins anew with each fault: what has just been hit may take its time.
func (j *judge) switched(c *condition, on bool, limit func() time.Duration, fail func(lasted time.Duration)) {
	if !on {
		c.on = false
		return
	}
	if c.on && c.since >= j.rest.shaken {
		return
	}
	c.turn++
	c.on, c.since = true, j.w.now
	c.until = j.w.now + limit()
	turn := c.turn
	j.w.at(c.until, func() {
		if c.on && c.turn == turn {
			fail(j.w.now - c.since)
		}
	})
}

// watch looks at everything about one instance that must not last.
func (j *judge) watch(i int) {
	segment := j.w.scenario.Instances[i].Segment
	for _, v := range j.w.vipsOf(i) {
		owners := j.w.owners(v)
		j.switched(&j.two[v], j.conflict(i, owners), func() time.Duration { return j.overlap(i) }, func(lasted time.Duration) {
			j.w.fail("I1 two owners", "%s and %s answer for %s since %s, and hear each other", owners[0].name(), owners[1].name(), j.w.key(v).Prefix, lasted)
		})
		for c := range clients {
			j.switched(&j.caches[v][c], j.astray(i, v, c, owners), func() time.Duration { return j.putRight(i) }, func(lasted time.Duration) {
				j.w.fail("I8 neighbour cache", "client %d takes %s for the owner of %s since %s; it is %s",
					c+1, nameOf(j.w.segments[segment].caches[c][v].owner), j.w.key(v).Prefix, lasted, owners[0].name())
			})
		}
		for _, h := range j.w.hosts {
			j.watchHeld(i, v, h)
		}
	}
	j.watchGuard(i)
	for _, h := range j.w.hosts {
		j.switched(&j.none[i][h.n], j.orphan(i, h), func() time.Duration { return j.takeover(i, h) }, func(lasted time.Duration) {
			j.w.fail("I3 no owner", "nobody has held %s for %s; %s could", instanceName(i), lasted, h.name())
		})
	}
}

// watchHeld is I7 for one VIP of one host.
func (j *judge) watchHeld(i, v int, h *host) {
	held, state := h.held[v].on, j.views[i][h.n].state
	wanted := state == vrrp.Master && v%maxVIPs < h.active.specs[i].VIPs && !h.active.removed[i]
	j.switched(&j.idle[v][h.n], held && h.running() && !wanted, func() time.Duration {
		d := 150*time.Millisecond + 2*maxApplyLate + h.late // a hand-over holds them for 50 ms more
		if state == vrrp.Init {
			for _, m := range j.w.scenario.mates(i) {
				d = max(d, d+j.w.interval(m)) // who starts asks who has them before it adopts what a former run has left
			}
		}
		return d
	}, func(lasted time.Duration) {
		j.w.fail("I7 not master", "%s is %s of %s and has held %s for %s", h.name(), state, instanceName(i), j.w.key(v).Prefix, lasted)
	})
	lease, late := j.w.lease(h, i), maxLeaseLate+leaseSlack+20*time.Millisecond
	if fast := j.w.fastLease(h, i); fast > 0 && h.bars[v].listed && j.w.alike(i) && !j.views[i][h.n].resigned { // a hand-over renews it without adverts
		lease, late = fast, maxFastLate+20*time.Millisecond
	}
	j.switched(&j.dead[v][h.n], held && !h.running() && lease > 0 && !h.barred(v) && h.asleep == 0, func() time.Duration {
		return max(j.views[i][h.n].spoke+lease-j.w.now, 0) + late
	}, func(lasted time.Duration) {
		j.w.fail("I7 crash", "the process of %s has not run for %s, and its machine still holds %s", h.name(), lasted, j.w.key(v).Prefix)
	})
}

func nameOf(n int) string {
	if n < 0 {
		return "nobody"
	}
	return nodeName(n)
}

// conflict tells whether two processes that hear each other answer for one VIP.
func (j *judge) conflict(i int, owners []*host) bool {
	segment := j.w.scenario.Instances[i].Segment
	if j.w.scenario.Instances[i].Signed && j.w.lost() {
		return false
	}
	for k, a := range owners {
		for _, b := range owners[k+1:] {
			if a.running() && b.running() && j.w.hears(segment, a, b) && j.w.hears(segment, b, a) && j.w.speak(segment, a, b) {
				return !j.chaotic(segment)
			}
		}
	}
	return false
}

// chaotic tells whether so much is lost or late on a segment that nothing can be said about time.
func (j *judge) chaotic(segment int) bool {
	seg := j.w.segments[segment]
	return len(seg.bursts)+len(seg.delay) > 0 || j.w.now-seg.chaos < 10*time.Second && seg.chaos > 0
}

// overlap is how long two may answer for a VIP: the rest after a hand-over; after a fault until one has heard the other.
func (j *judge) overlap(i int) time.Duration {
	segment := j.w.scenario.Instances[i].Segment
	d := 70*time.Millisecond + 2*time.Duration(j.w.scenario.Delay) + 2*maxApplyLate
	if j.w.now-j.rest.shaken < j.settling() {
		d += j.w.interval(i)
	}
	for _, h := range j.w.hosts {
		d = max(d, d+h.late)
	}
	if j.w.scenario.Guard != nil && j.w.now-j.rest.shaken < j.settling() {
		d += max(j.w.interval(i), 500*time.Millisecond) // where rank does not decide, a heartbeat must tell whose claim is the newer one
	}
	if loss := worst(j.w.segments[segment].loss); loss > 0 {
		d += time.Duration(rows(loss)) * j.w.interval(i)
	}
	return d
}

// rows is how many packets in a row are not all lost, but once in a billion times.
func rows(percent int) (n int) {
	for p := 1.0; p > 1e-9; p *= float64(percent) / 100 {
		n++
	}
	return n
}

// orphan tells whether nobody answers for an instance whom a host hears that could take over.
func (j *judge) orphan(i int, h *host) bool {
	if !h.healthy(i) || j.w.disagree(i) || !j.w.may(h, i) {
		return false
	}
	for _, m := range j.w.scenario.mates(i) {
		if len(j.w.scenario.mates(i)) > 1 && j.w.parted(j.w.scenario.Instances[m].Segment) {
			return false
		}
	}
	segment := j.w.scenario.Instances[i].Segment
	for _, o := range j.w.owners(i * maxVIPs) {
		if o == h || j.w.hears(segment, h, o) {
			return false
		}
	}
	return true
}

// takeover is how long that may last.
func (j *judge) takeover(i int, h *host) time.Duration {
	d := j.w.down(h, i) + 100*time.Millisecond + 2*time.Duration(j.w.scenario.Delay) + 2*h.late
	if h.late > 10*maxWakeLate {
		d += j.w.interval(i) // a timer that fires late has the node look once more
	}
	if len(j.w.scenario.mates(i)) > 1 && slices.ContainsFunc(j.rest.faults, func(f Fault) bool { return f.Kind == Failover || f.Kind == Stop }) {
		d += 500*time.Millisecond + j.w.interval(i) // a group is not taken back before the hand-overs of all its members have ended
	}
	if g := j.w.scenario.Guard; g != nil {
		d += 500*time.Millisecond + 2*time.Duration(g.TTL) + j.w.fenceTime() // it asks again every 250 ms while it is refused, and the grant of a dead owner runs on
	}
	if j.chaotic(j.w.scenario.Instances[i].Segment) {
		d += 4 * time.Second // an advert may still be on its way
	}
	return d
}

// astray tells whether a client believes another than the one owner of a VIP, who has not told it since, and could know better: it took
// over after the network was whole, or the other let go after that. A client that asks anew when it gets no answer helps itself.
func (j *judge) astray(i, v, c int, owners []*host) bool {
	segment := j.w.vips[v].segment
	seg := j.w.segments[segment]
	if len(owners) != 1 || !owners[0].running() || seg.noisy() || j.chaotic(segment) || seg.cut[owners[0].n][len(j.w.hosts)+c] > 0 {
		return false
	}
	if slices.ContainsFunc(j.rest.faults, func(f Fault) bool { return f.Kind == Failover || f.Kind == Stop }) {
		return false // who hands over while it is cut off does not tell that it was master meanwhile
	}
	o, e := owners[0], seg.caches[c][v]
	if j.w.scenario.Instances[i].Unleased && e.owner >= 0 && j.w.hosts[e.owner].shaken > j.views[i][o.n].since {
		return false // one that was stopped in the middle of a takeover put it late, without a word to other nodes; no lease forbids that
	}
	if e.owner == o.n || e.teller == o.n && e.told >= e.since {
		return false
	}
	if since := j.views[i][o.n].since; since >= seg.shaken && e.since <= since {
		return true
	}
	if e.owner < 0 || !j.w.hosts[e.owner].running() || j.views[i][e.owner].left < seg.shaken {
		return false
	}
	other := j.w.hosts[e.owner]
	return j.w.hears(segment, o, other) && (j.w.adverts(segment, o, other) || j.w.beats(other, o)) // else nobody tells it that there were two
}

// putRight is how long that may last: two announcements are a second apart, and the one that is owed comes with an advert.
func (j *judge) putRight(i int) time.Duration {
	d := 1300*time.Millisecond + 2*j.w.interval(i)
	if loss := worst(j.w.segments[j.w.scenario.Instances[i].Segment].loss); loss > 0 {
		d += time.Duration(rows(loss)) * j.w.interval(i)
	}
	return d
}
