package sim

import (
	"reflect"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// rest is what the judge knows of the time since the last fault: when it has been long enough, everything must have come to rest.
type rest struct {
	shaken  time.Duration // the last fault, or its end
	settled bool
	faults  []Fault // since it was settled
	ends    int     // how many of them are over
	gains   []int   // by instance: how often a host took its first VIP since then
	turn    uint64
	owner   []int // by instance, who had it when it was settled; -1 for nobody
}

// disturbed is told of the beginning of a fault, and with nil of everything else that somebody does to the world.
func (j *judge) disturbed(f *Fault) {
	if f != nil {
		j.rest.faults = append(j.rest.faults, *f)
	}
	j.rest.ends++
	j.unrest()
}

// unrest begins the time anew after which everything must have come to rest.
func (j *judge) unrest() {
	r := &j.rest
	r.shaken, r.settled = j.w.now, false
	r.turn++
	j.allDirty()
	turn := r.turn
	j.w.after(j.settling(), func() {
		if r.turn == turn {
			j.settle()
		}
	})
}

// settling is how long everything takes to come to rest.
func (j *judge) settling() (d time.Duration) {
	for i, s := range j.w.scenario.Instances {
		d = max(d, 8*j.w.interval(i)+time.Duration(s.Delay))
	}
	d += node.StartGrace + 2*time.Second
	for _, h := range j.w.hosts {
		for _, t := range h.unfit {
			d = max(d, t-j.w.now+5*time.Second)
		}
	}
	return d
}

// moved is told that a host has taken a VIP.
func (r *rest) moved(h *host, v int) {
	if v%maxVIPs > 0 {
		return
	}
	i := h.w.vips[v].instance
	r.gains[i]++
	if r.settled && h.w.whole(i) && !h.w.tries(i) && !h.w.disagree(i) && !h.w.busy(i) {
		h.w.fail("I5 flapping", "%s takes %s, and nothing has happened for %s", h.name(), instanceName(i), h.w.now-r.shaken)
	}
}

// settle checks that each instance has the one owner that it should have.
func (j *judge) settle() {
	owner := make([]int, len(j.views))
	for i := range j.views {
		owner[i] = j.settleInstance(i)
	}
	for i := range j.views {
		j.settleMoves(i, owner[i])
	}
	j.rest.owner, j.rest.settled, j.rest.faults, j.rest.ends = owner, true, nil, 0
	clear(j.rest.gains)
}

func (j *judge) settleInstance(i int) (owner int) {
	w := j.w
	if !w.whole(i) || w.disagree(i) || w.busy(i) {
		return -1
	}
	best, healthy := w.best(i)
	owners := w.owners(i * maxVIPs)
	switch {
	case len(healthy) == 0:
		for _, o := range owners {
			if o.running() {
				w.fail("I7 not healthy", "%s holds %s, and could not", o.name(), instanceName(i))
			}
		}
		return -1
	case len(owners) == 0 && !w.may(best[0], i):
		return -1 // the table holds it back
	case len(owners) == 0:
		w.fail("I3 no owner", "nobody holds %s, and %s could", instanceName(i), best[0].name())
	case len(owners) > 1:
		if owners[0].running() && owners[1].running() {
			w.fail("I1 two owners", "%s and %s hold %s", owners[0].name(), owners[1].name(), instanceName(i))
		}
		return -1
	case !contains(healthy, owners[0]):
		if owners[0].running() {
			w.fail("I4 winner", "%s holds %s, and could not", owners[0].name(), instanceName(i))
		}
		return -1
	}
	if w.failure != nil {
		return -1
	}
	o := owners[0]
	j.complete(i, o)
	free := slices.ContainsFunc(healthy, func(h *host) bool { return h.yielded(i) || !h.preempts(i) || w.now < h.shy[i] })
	if !free && !contains(best, o) {
		w.fail("I4 winner", "%s, priority %d, holds %s, and %s has priority %d", o.name(), o.priority(i), instanceName(i), best[0].name(), best[0].priority(i))
	}
	return o.n
}

// complete checks that the owner has all VIPs and is alone to have the state.
func (j *judge) complete(i int, o *host) {
	for k := range o.active.specs[i].VIPs {
		if v := i*maxVIPs + k; !o.held[v].on {
			j.w.fail("I3 no owner", "%s holds %s without %s", o.name(), instanceName(i), j.w.key(v).Prefix)
		}
	}
	for _, h := range j.w.hosts {
		if s := j.views[i][h.n].state; h.running() && (s == vrrp.Master) != (h == o) {
			j.w.fail("I1 state", "%s is %s of %s, and %s holds it", h.name(), s, instanceName(i), o.name())
		}
	}
}

// settleMoves is I5 for what has happened since the last time, and where an operator's command has led.
func (j *judge) settleMoves(i, now int) {
	r := &j.rest
	if r.owner == nil || now < 0 || r.owner[i] < 0 || j.w.failure != nil {
		return
	}
	before := j.w.hosts[r.owner[i]]
	quiet := !slices.ContainsFunc(r.faults, func(f Fault) bool {
		return contains([]string{Loss, Burst, Slow, Mute, Deaf, Cut, Partition, Flap, Wall, Late, Isolate, Filter, Crosslink, Reference, Stranger, Witness, Fencer}, f.Kind)
	})
	most := r.ends + 1
	for _, f := range r.faults {
		if f.Kind == Reconfigure && f.Size == removeInstance {
			most += len(j.w.hosts) // they leave and come one after the other, in any order
		}
	}
	if quiet && r.gains[i] > most {
		j.w.fail("I5 flapping", "%s has moved %d times after %d faults and recoveries: %v", instanceName(i), r.gains[i], most-1, r.faults)
	}
	if len(r.faults) != 1 {
		return
	}
	f := r.faults[0]
	if f.Kind == Failover && r.ends > 1 {
		return // a machine came back meanwhile
	}
	_, healthy := j.w.best(i)
	switch {
	case f.Kind == Failover && contains(j.w.scenario.mates(i), f.Instance) && (f.Node < 0 || f.Node == before.n) && len(healthy) > 1 && now == before.n && j.w.even(i):
		j.w.fail("I4 failover", "%s still holds %s, which it was asked to hand over", before.name(), instanceName(i))
	case quiet && f.Kind != Failover && f.Node >= 0 && f.Node != before.n && f.Kind != Reconfigure && now != before.n && !j.w.hosts[now].preempts(i):
		j.w.fail("I4 preempt", "%s has lost %s to %s, and nothing has happened to it", before.name(), instanceName(i), nodeName(now))
	}
}

// reload lets a host's process read a configuration. One that is the same has no effect (I9); one that is not has none on the
// instances that are the same.
func (j *judge) reload(h *host, cfg node.Config) node.Output {
	same := reflect.DeepEqual(h.active, h.edit)
	due, wish := h.node.Deadline(), h.keeper.wish
	before := make([]view, len(j.views))
	for i := range j.views {
		before[i] = j.views[i][h.n]
	}
	early := h.read().Before(due)
	out := h.node.Configure(h.read(), cfg)
	if !early {
		h.active = h.edit
		return out
	}
	if same {
		if !h.node.Deadline().After(h.read()) { // it only wants to look
			more := h.node.Step(h.read(), node.Timeout{})
			out.Adverts, out.Events = append(out.Adverts, more.Adverts...), append(out.Events, more.Events...)
		}
		moved := slices.ContainsFunc(out.Events, func(e event.Event) bool { return e.Code == "instance.state" })
		if len(out.Adverts) > 0 || moved || later(h, due) || out.Desired != nil && wish != nil && !j.sameWish(out.Desired, wish) {
			j.w.fail("I9 reload", "%s reads the same file again: %d adverts, state changed %v, next deadline %s instead of %s, wish %v instead of %v",
				h.name(), len(out.Adverts), moved, h.node.Deadline(), due, out.Desired, wish)
		}
		return out
	}
	for _, e := range out.Events {
		if i := instanceOf(e.Subject); e.Code == "instance.state" && i >= 0 && !j.touched(h, i) {
			j.w.fail("I9 reload", "%s has changed %s, of which the file says the same as before: %s", h.name(), instanceName(i), e)
		}
	}
	h.active = h.edit
	j.shake(h)
	return out
}

// later tells whether the next deadline is not the one of before. Far ones are only looks at whether something is overdue.
func later(h *host, due time.Time) bool {
	return due.Sub(h.read()) < time.Minute && !h.node.Deadline().Equal(due)
}

// touched tells whether a reload changes an instance or one of its group.
func (j *judge) touched(h *host, i int) bool {
	return slices.ContainsFunc(j.w.scenario.mates(i), func(m int) bool {
		return !reflect.DeepEqual(h.active.specs[m], h.edit.specs[m]) || h.active.removed[m] != h.edit.removed[m]
	})
}

// sameWish compares what a keeper would apply. The confirmation of a lease may be a newer one, and so may the grant that bounds it.
func (j *judge) sameWish(a, b *desired.State) bool {
	bounded := j.w.scenario.witnessed()
	return slices.EqualFunc(a.Addresses, b.Addresses, func(x, y desired.Address) bool {
		if x.Renewed = y.Renewed; bounded {
			x.Lease = y.Lease
		}
		return x == y
	}) && slices.Equal(a.Announcements, b.Announcements)
}

// spoofed gives a node what a stranger has sent, which must change nothing (I15).
func (j *judge) spoofed(h *host, f Fault, in node.Received) {
	due := h.node.Deadline()
	early := due.IsZero() || h.read().Before(due)
	state, spoke := j.views[f.Instance][h.n].state, j.views[f.Instance][h.n].spoke
	obeys := f.Size == strangerResigns && !h.follows(f.Instance)
	out := h.node.Step(h.read(), in)
	changed := slices.ContainsFunc(out.Events, func(e event.Event) bool { return e.Code == "instance.state" })
	if early && !obeys && (changed || later(h, due) || len(out.Adverts) > 0) {
		j.w.fail("I15 stranger", "a packet of a stranger (kind %d) had %s, %s of %s since its last advert %s ago, change: state %v, adverts %d, deadline %s instead of %s",
			f.Size, h.name(), state, instanceName(f.Instance), j.w.now-spoke, changed, len(out.Adverts), h.node.Deadline(), due)
	}
	h.obey(out)
}

// follows tells whether a backup knows who is master. A resignation of a stranger has a master speak at once, and a backup that
// knows nobody take over sooner.
func (h *host) follows(i int) bool {
	for _, s := range h.node.Snapshot(h.read()).Instances {
		if instanceOf(s.Config.Name) == i {
			return s.State == vrrp.Backup && s.Master.Address.IsValid()
		}
	}
	return false
}
