package node

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

// The times of heartbeats.
const (
	// BeatEvery is the pace of heartbeats on each path.
	BeatEvery = 100 * time.Millisecond
	// aliveFor is how old the last heartbeat of a member may be that counts as alive for a decision: three beats, with the lateness of
	// a busy machine.
	aliveFor = 350 * time.Millisecond
	// lostAfter is the silence after which a path counts as lost, and a member that is silent on all of them.
	lostAfter = time.Second
	// lateBeat is how old an echo may be that makes a new run of a member believed: what somebody has recorded has none.
	lateBeat = 5 * time.Second
	// sentBeats are remembered by each path, for the round-trip time.
	sentBeats = 64
)

// member is another member of the pair, with what it has said.
type member struct {
	cfg   Peer
	fence *guard.Fence
	paths []*path

	boot, seq uint64    // of its last message
	heard     time.Time // when that came
	met       time.Time // when the first one came of this run of ours; zero for never
	back      time.Time // when it was heard again after a silence
	told      bool      // that it is alive
	old       []uint64  // boots of former runs

	flags         heartbeat.Flags
	version, hash string
	instances     map[string]claim // by name
	attributes    map[string]string
	drift         string // that was told of
	refused       bool   // that nobody listens there was told of
}

// claim is what a member has said of one instance.
type claim struct {
	heartbeat.Instance
	at time.Time
}

// path is one way to a member.
type path struct {
	cfg   heartbeat.Path
	heard time.Time // the last message that came by it
	seq   uint64    // of that
	rtt   time.Duration
	up    bool // as it was told
	sent  [sentBeats]sentBeat
}

type sentBeat struct {
	seq uint64
	at  time.Time
}

// adoptMembers takes the other members of the configuration over, keeping what is known of those that stay.
func (n *Node) adoptMembers() {
	old := n.members
	n.members = make([]*member, 0, len(n.cfg.Guard.Peers))
	for _, c := range n.cfg.Guard.Peers {
		k := slices.IndexFunc(old, func(m *member) bool { return m.cfg.Name == c.Name })
		m := &member{instances: map[string]claim{}, attributes: map[string]string{}, fence: guard.NewFence(n.cfg.Name, c.Name, c.Fencing)}
		if k >= 0 {
			m = old[k]
			m.fence.Configure(c.Fencing)
		}
		paths := make([]*path, 0, len(c.Paths))
		for _, pc := range c.Paths {
			p := &path{cfg: pc}
			if k := slices.IndexFunc(m.paths, func(p *path) bool { return p.cfg == pc }); k >= 0 {
				p = m.paths[k]
			}
			paths = append(paths, p)
		}
		m.cfg, m.paths = c, paths
		n.members = append(n.members, m)
	}
}

// alive tells whether the member was heard after an instant, and lately.
func (m *member) alive(now, after time.Time) bool {
	return !m.heard.IsZero() && m.heard.After(after) && now.Sub(m.heard) <= aliveFor
}

// near tells whether the member is heard, or may be one that never speaks: of another make.
func (m *member) near(now time.Time) bool { return m.met.IsZero() || now.Sub(m.heard) <= longAfter }

// away tells whether the member will take nothing over: it is not near, or has said that it stops.
func (m *member) away(now time.Time) bool { return !m.near(now) || m.flags&heartbeat.Stopping != 0 }

// beat takes one heartbeat.
func (n *Node) beat(now time.Time, in Beat) {
	msg, err := heartbeat.Decode(in.Payload, n.cfg.Guard.Key)
	if err != nil {
		n.discardBeat(now, in, err.Error())
		return
	}
	k := slices.IndexFunc(n.members, func(m *member) bool { return m.cfg.Name == msg.Node })
	if k < 0 {
		n.discardBeat(now, in, fmt.Sprintf("it is of node %q, which is no other member", msg.Node))
		return
	}
	m := n.members[k]
	p := m.pathOf(in)
	if p == nil {
		n.discardBeat(now, in, fmt.Sprintf("%s has no path %q", msg.Node, in.Path))
		return
	}
	fresh := m.echo(now, p, msg)
	if !m.believes(msg, fresh || len(n.cfg.Guard.Key) == 0) {
		// A new run proves itself by the echo of what we say; what is old says nothing, but that its path carries what is sent.
		switch {
		case msg.Boot != m.boot:
			p.seq = msg.Seq
			n.beats.answer = true
		case msg.Seq > p.seq && m.seq-msg.Seq < sentBeats:
			p.heard, p.seq = came(now, in.At), msg.Seq
			n.tellPaths(now)
		}
		return
	}
	n.believe(now, came(now, in.At), m, p, msg)
}

// came is when an input came, which says when it was; zero for now.
func came(now, at time.Time) time.Time {
	if at.IsZero() || at.After(now) {
		return now
	}
	return at
}

// discardBeat tells once a minute of heartbeats that are not taken: two members that discard what the other says are none.
func (n *Node) discardBeat(now time.Time, in Beat, why string) {
	n.beats.discarded++
	if !n.beats.noted.IsZero() && now.Sub(n.beats.noted) < time.Minute {
		return
	}
	n.beats.noted = now
	n.emit(event.Event{
		Code: "peer.heartbeat_discarded", Severity: event.Warning, Kind: event.Node, Subject: in.Source.String(),
		Reason: "a heartbeat is discarded: " + why,
	})
}

// unheard tells, once, of a member whose machine says that nobody listens to heartbeats, though a master's adverts come. Without those
// its daemon is down, and that is told by the silence.
func (n *Node) unheard(now time.Time, in BeatRefused) {
	k := slices.IndexFunc(n.members, func(m *member) bool { return m.cfg.Name == in.Peer })
	if k < 0 || !slices.ContainsFunc(n.instances, func(i *instance) bool { return i.router.Follows() }) {
		return
	}
	if m := n.members[k]; !m.refused && !m.alive(now, time.Time{}) {
		m.refused = true
		n.emit(event.Event{
			Code: "peer.heartbeat_refused", Severity: event.Warning, Kind: event.Node, Subject: m.cfg.Name,
			Reason: fmt.Sprintf("its machine answers by path %s that nobody listens on UDP port %d, and a master's adverts come: "+
				"write the same heartbeat_port on all nodes, or start vipward there", in.Path, in.Port),
		})
	}
}

func (m *member) pathOf(in Beat) *path {
	for _, p := range m.paths {
		if p.cfg.Name == in.Path {
			return p
		}
	}
	for _, p := range m.paths { // a name is unique in its node only
		if p.cfg.Address == in.Source.Unmap().WithZone("") {
			return p
		}
	}
	return nil
}

// echo takes the round-trip time, and tells whether the message answers one of ours.
func (m *member) echo(now time.Time, p *path, msg heartbeat.Message) bool {
	if msg.Echo == 0 {
		return false
	}
	for _, p := range m.paths {
		if s := p.sent[msg.Echo%sentBeats]; s.seq == msg.Echo && now.Sub(s.at) < lateBeat {
			if rtt := now.Sub(s.at) - time.Duration(msg.EchoDelay)*time.Microsecond; rtt >= 0 {
				p.rtt = rtt
			}
			return true
		}
	}
	return false
}

// believes tells whether a message is newer than the last one. A new run has to prove that it is none of the past.
func (m *member) believes(msg heartbeat.Message, proven bool) bool {
	switch {
	case msg.Boot == m.boot:
		return msg.Seq > m.seq
	case slices.Contains(m.old, msg.Boot):
		return false
	}
	return proven
}

// believe takes what a member has said at an instant, which this process may be late to read.
func (n *Node) believe(now, at time.Time, m *member, p *path, msg heartbeat.Message) {
	if m.boot != msg.Boot {
		if m.boot != 0 {
			m.old = append(m.old, m.boot)
			m.old = m.old[max(len(m.old)-16, 0):]
		}
		clear(m.instances)
		clear(m.attributes)
	}
	back := !m.alive(now, time.Time{})
	m.boot, m.seq, m.heard = msg.Boot, msg.Seq, at
	p.heard, p.seq = at, msg.Seq
	if m.met.IsZero() {
		m.met = now
	}
	changed := m.flags&^heartbeat.Urgent != msg.Flags&^heartbeat.Urgent
	m.flags, m.version, m.refused = msg.Flags, msg.Version, false
	if back {
		n.meet(now, m)
	}
	for _, i := range msg.Instances {
		last := m.instances[i.Name]
		m.instances[i.Name] = claim{i, at}
		if own := n.find(i.Name); own != nil && (last.Instance != i || own.mayAct()) {
			n.touch(own)
		}
	}
	if changed {
		n.touchActive()
	}
	m.fence.Seen(now)
	n.hearFenced(now, msg)
	n.compareConfig(m, msg)
	n.beats.answer = n.beats.answer || msg.Flags&heartbeat.Urgent != 0
	n.tellPaths(now)
}

// meet has a member hear at once what this node is master of: both may have become it while neither heard the other. From now on there is
// somebody to make room for: a lease that is long because nobody was near ends with the short one.
func (n *Node) meet(now time.Time, m *member) {
	m.back = now
	for _, i := range n.instances {
		if i.remote {
			i.remote, i.wished, n.dirty = false, time.Time{}, true
		}
		if i.isMaster() {
			n.hasten(i)
			n.solitude(now, i)
		}
	}
}

// parted tells whether a member that says that it is MASTER of an instance, as this node is, has become it unheard.
func (m *member) parted(now time.Time, i *instance, c claim) bool {
	return now.Sub(m.back) < lostAfter && !c.at.Before(m.back) && i.router.Since().Before(m.back)
}

// tellPaths tells of paths and members that are lost, or are back, and notes when to look again.
func (n *Node) tellPaths(now time.Time) {
	n.beats.look = time.Time{}
	for _, m := range n.members {
		up := 0
		for _, p := range m.paths {
			is := !p.heard.IsZero() && now.Sub(p.heard) < lostAfter
			if is {
				up++
				n.beats.look = earlier(n.beats.look, p.heard.Add(lostAfter))
			}
			if is != p.up {
				p.up = is
				if len(m.paths) > 1 {
					n.tellPath(m, p)
				}
			}
		}
		if alive := up > 0; alive != m.told {
			m.told = alive
			n.tellMember(now, m)
		}
	}
}

func (n *Node) tellPath(m *member, p *path) {
	e := event.Event{Code: "peer.path_back", Severity: event.Info, Kind: event.Node, Subject: m.cfg.Name, Reason: "heartbeats come by path " + p.cfg.Name}
	if !p.up {
		e.Code, e.Severity = "peer.path_lost", event.Warning
		e.Reason = fmt.Sprintf("no heartbeat by path %s (%v) for %v", p.cfg.Name, p.cfg.Address, lostAfter)
	}
	n.emit(e)
}

func (n *Node) tellMember(now time.Time, m *member) {
	n.touchActive()
	if m.told {
		n.heal()
		n.emit(event.Event{Code: "peer.back", Severity: event.Info, Kind: event.Node, Subject: m.cfg.Name, Reason: "heartbeats come"})
		return
	}
	e := event.Event{
		Code: "peer.lost", Severity: event.Warning, Kind: event.Node, Subject: m.cfg.Name,
		Reason: fmt.Sprintf("no heartbeat for %v on any path", now.Sub(m.heard).Round(time.Millisecond)),
	}
	if m.flags&heartbeat.Stopping != 0 {
		e.Severity, e.Reason = event.Info, "it has stopped"
	}
	n.emit(e)
}

// heal has what is held announced again after a member was away: whatever it has told the network in the meantime is corrected.
func (n *Node) heal() {
	for _, i := range n.instances {
		if i.holds && i.isMaster() {
			i.epoch++
			n.dirty = true
		}
	}
}

// ownings is the sum of the priorities of what a member has said to be MASTER of.
func (m *member) ownings() (sum int) {
	for _, c := range m.instances {
		if vrrp.State(c.State) == vrrp.Master {
			sum += int(c.Priority)
		}
	}
	return sum
}

// names joins the names of members for people.
func names(members []*member) string {
	all := map[string]bool{}
	for _, m := range members {
		all[m.cfg.Name] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(all)), " and ")
}

// addresses are those that a member is known by, on whatever path.
func (m *member) addresses() (all []netip.Addr) {
	for _, p := range m.paths {
		all = append(all, p.cfg.Address)
	}
	return all
}
