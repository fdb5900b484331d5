package node

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

const (
	// hotBeats is how many heartbeats begin with an instance whose state has changed, and hotMost how many such instances.
	hotBeats, hotMost = 3, 64
	// beatItems is how many instances are put together for one heartbeat; what does not fit comes with a later one.
	beatItems = 64
	// missedBeat is the pace of a master that misses a member which it has heard lately: where a cut link is whole again, and both
	// have become master meanwhile, they learn of it from the first heartbeat.
	missedBeat = 20 * time.Millisecond
	// beatPause is the least time between two heartbeats ahead of time.
	beatPause = 5 * time.Millisecond
	// attributesEvery is how often attributes of the configuration are told while the members' configurations differ.
	attributesEvery = time.Second
)

// beats is the sending of heartbeats.
type beats struct {
	seq    uint64
	next   time.Time // of the regular ones
	last   time.Time
	look   time.Time // when a path may be lost
	cursor int       // the instance that comes next by turns
	hot    []hot
	answer bool // somebody wants to hear us at once
	urgent bool // this node wants to hear the others at once

	attribute  int // that comes next
	attributed time.Time

	discarded uint64
	noted     time.Time
}

// hot is an instance that the members are to hear of first.
type hot struct {
	instance *instance
	left     int // heartbeats
}

// hasten has the members hear of an instance at once.
func (n *Node) hasten(i *instance) {
	if len(n.members) == 0 {
		return
	}
	n.beats.answer = true
	for k := range n.beats.hot {
		if n.beats.hot[k].instance == i {
			n.beats.hot[k].left = hotBeats
			return
		}
	}
	if len(n.beats.hot) < hotMost {
		n.beats.hot = append(n.beats.hot, hot{i, hotBeats})
	}
}

// ask has the members answer at once about an instance.
func (n *Node) askMembers(i *instance) {
	n.hasten(i)
	n.beats.urgent = true
}

// sendBeats says how this node is, when it is time to or something has just happened.
func (n *Node) sendBeats(now time.Time) {
	b := &n.beats
	if len(n.members) == 0 || n.started.IsZero() {
		return
	}
	if !b.look.IsZero() && !now.Before(b.look) {
		n.tellPaths(now)
	}
	due := b.next.IsZero() || !now.Before(b.next)
	if hurry := (b.answer || b.urgent) && now.Sub(b.last) >= beatPause; !due && !hurry && !n.out.Stopped {
		return
	}
	if due {
		b.next = now.Add(n.beatPace(now))
	}
	items := n.beatItems()
	for _, m := range n.members {
		for _, p := range m.paths {
			n.sendBeat(now, m, p, items)
		}
	}
	b.last, b.answer, b.urgent = now, false, false
}

// beatPace is the time to the next regular heartbeat.
func (n *Node) beatPace(now time.Time) time.Duration {
	missing := func(m *member) bool {
		silence := now.Sub(m.heard)
		return !m.met.IsZero() && silence > 3*BeatEvery/2 && silence < longAfter && m.flags&heartbeat.Stopping == 0
	}
	if slices.ContainsFunc(n.members, missing) && slices.ContainsFunc(n.instances, (*instance).isMaster) {
		return missedBeat
	}
	return BeatEvery
}

// beatItems are the instances of this heartbeat: first those that have changed, then the others by turns.
func (n *Node) beatItems() []heartbeat.Instance {
	b := &n.beats
	var items []heartbeat.Instance
	for k := range b.hot {
		items = append(items, n.item(b.hot[k].instance))
		b.hot[k].left--
	}
	hots := len(items)
	for range n.instances {
		if len(items) >= beatItems {
			break
		}
		b.cursor = (b.cursor + 1) % len(n.instances)
		i := n.instances[b.cursor]
		if !slices.ContainsFunc(b.hot[:hots], func(h hot) bool { return h.instance == i }) {
			items = append(items, n.item(i))
		}
	}
	b.hot = slices.DeleteFunc(b.hot, func(h hot) bool { return h.left <= 0 })
	return items
}

// item is what is said of one instance.
func (n *Node) item(i *instance) heartbeat.Instance {
	return heartbeat.Instance{
		Name: i.cfg.Name, VRID: i.cfg.VRRP.VRID, IPv6: i.cfg.VRRP.IPv6(), State: uint8(i.router.State()), Holds: i.holds,
		Priority: i.router.Effective(), Epoch: i.term, HearsMaster: i.router.Follows() || i.isMaster() && i.mute.IsZero(),
		Claims: i.guard.claims, Source: i.router.Config().Source,
	}
}

// sendBeat sends one heartbeat. Turns go on where not everything has room; a member whose configuration differs hears the attributes too.
func (n *Node) sendBeat(now time.Time, m *member, p *path, items []heartbeat.Instance) {
	b := &n.beats
	b.seq++
	if b.seq == 1 {
		b.seq += n.cfg.Guard.Boot >> 24 // an echo of it cannot be foreseen
	}
	msg := heartbeat.Message{
		Node: n.cfg.Name, Boot: n.cfg.Guard.Boot, Seq: b.seq, Version: n.cfg.Guard.Version, ConfigHash: n.cfg.Guard.ConfigHash,
		Flags: n.flags(now, m), Instances: items, Attributes: n.toldAttributes(now, m, p),
	}
	if p.seq > 0 {
		msg.Echo, msg.EchoDelay = p.seq, uint32(min(now.Sub(p.heard).Microseconds(), 1<<32-1))
	}
	part := msg.Split()[0]
	if short := len(items) - len(part.Instances); short > 0 && len(n.instances) > beatItems {
		b.cursor = (b.cursor + len(n.instances) - min(short, len(n.instances))) % len(n.instances)
	}
	p.sent[b.seq%sentBeats] = sentBeat{b.seq, now}
	n.out.Beats = append(n.out.Beats, BeatTo{Peer: m.cfg.Name, Path: p.cfg.Name, Payload: part.Append(nil, n.cfg.Guard.Key)})
}

// toldAttributes are some attributes of the configuration, for a member that has another one.
func (n *Node) toldAttributes(now time.Time, m *member, p *path) []heartbeat.Attribute {
	b, all := &n.beats, n.cfg.Guard.Attributes
	if m.hash == "" || m.hash == n.cfg.Guard.ConfigHash || len(all) == 0 || p != m.paths[0] {
		return nil
	}
	const some = 10
	if b.attribute == 0 && now.Sub(b.attributed) < attributesEvery {
		return nil
	}
	b.attributed = now
	from := min(b.attribute, len(all))
	to := min(from+some, len(all))
	if b.attribute = to; to == len(all) {
		b.attribute = 0
	}
	return all[from:to]
}

// flags are those of the node as a whole.
func (n *Node) flags(now time.Time, m *member) heartbeat.Flags {
	f := n.tellFenced(m.cfg.Name)
	if n.isolated() {
		f |= heartbeat.Isolated
	}
	if n.outOfService() != "" {
		f |= heartbeat.Maintenance
	}
	if n.stopping {
		f |= heartbeat.Stopping
	}
	if m.alive(now, time.Time{}) {
		f |= heartbeat.HearsYou
	}
	if n.beats.urgent {
		f |= heartbeat.Urgent
	}
	return f
}

// beatDeadline is when heartbeats need the node; zero for never.
func (n *Node) beatDeadline() time.Time {
	b := &n.beats
	if len(n.members) == 0 || n.started.IsZero() {
		return time.Time{}
	}
	due := earlier(b.next, b.look)
	if b.answer || b.urgent {
		due = earlier(due, b.last.Add(beatPause))
	}
	return due
}

// ofMaster tells whether what a member has said is that it is MASTER.
func (c claim) ofMaster() bool { return vrrp.State(c.State) == vrrp.Master }
