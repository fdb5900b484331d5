package node

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/vrrp"
)

// instance is one virtual router with what hangs on it: its VIPs, their leases and announcements, its tracks.
type instance struct {
	cfg    Instance
	router *vrrp.Router
	group  *group  // nil for none
	tracks []Track // its own, and those that it has by its group

	started bool      // the router has been told to start
	whole   time.Time // until then: since when nothing is wrong; zero where something is
	waiting string    // for what the start waits
	until   time.Time // and until when at most; zero for ever
	heir    time.Time // since when it is asked who has the VIPs that a former run has left; zero for not
	source  bool      // the router knows its primary address
	linked  uint64    // the state of the interfaces that it was learned from

	said said        // last
	owed vrrp.Advert // the first one of a master with a virtual MAC address, where it owes one until its VIPs are here
	owes bool

	epoch   uint64        // of announcements
	renewed time.Time     // when the lease was last confirmed by an advert
	wished  time.Time     // the confirmation that the kernel was last told of
	lent    time.Duration // the lease from then on, as it was told
	holds   bool          // what the router said last
	shut    time.Time     // until when VIPs that were let go keep their fast lease

	refused  map[desired.AddressKey]string // by the kernel
	pathless map[string]string             // routes and rules that the kernel refuses, by text, with the reason
	retryAt  time.Time                     // when a refused address is tried again; zero for none
	retry    time.Duration
	shy      time.Time // it takes nothing from a master of lower priority before, for the kernel would refuse it again; zero for not so
	patience time.Duration

	deferred     time.Time // no preemption before, as the router was told
	toldDeferral bool

	command uint64 // the failover under way; 0 for none

	guard     guarding
	term      uint64             // the epoch of its latest ownership, here or elsewhere
	resists   bool               // what the router was told
	mute      time.Time          // since when no advert could be sent; zero for not
	spoken    time.Time          // the last advert that was made
	unsent    bool               // it could not be sent
	broken    string             // why it takes no part any more
	conflicts uint64             // answers of others for a VIP that is held
	refusals  [guard.Rows]uint64 // takeovers that were refused, by the row of the table
	confirmed time.Time          // the last advert that was not told to be unsent
	dumb      string             // why its adverts cannot be sent, until it is tried again
	remote    bool               // no other member is near
	alone     time.Duration      // as the router was told

	// The rest belongs to the agenda.
	due     time.Time
	place   int  // in it, or nowhere
	wanting bool // counted in Node.wanting
	order   int  // in the configuration
	touched bool
}

// router is the configuration of the virtual router: this node has the last word, see [Node.gate] and [Node.postpone].
func (c Instance) router() vrrp.Config {
	v := c.VRRP
	v.Gated, v.Announced = true, c.VMAC != "" && len(v.Peers) == 0
	return v
}

func newInstance(cfg Instance) *instance {
	cfg.VRRP = cfg.router()
	return &instance{
		cfg: cfg, router: vrrp.NewRouter(cfg.VRRP), tracks: cfg.Tracks, refused: map[desired.AddressKey]string{}, place: nowhere,
	}
}

func (i *instance) isMaster() bool { return i.router.State() == vrrp.Master }

// owner tells whether the addresses are this node's own (RFC 9568 section 6.1): it preempts whatever is configured.
func (i *instance) owner() bool { return i.cfg.VRRP.Priority == 255 }

func (i *instance) stopped() bool { return i.router.State() == vrrp.Init && !i.router.Holds() }

// inlet is where a packet comes in.
type inlet struct {
	iface string
	six   bool
}

// indexInlets notes which router each packet is for. One that is too short to tell is counted by the first router.
func (n *Node) indexInlets() {
	n.inlets = map[inlet]*[256]*instance{}
	for _, i := range n.instances {
		r := inlet{i.cfg.Interface, i.cfg.VRRP.IPv6()}
		if n.inlets[r] == nil {
			n.inlets[r] = &[256]*instance{0: i}
		}
		if at := &n.inlets[r][i.cfg.VRRP.VRID]; *at == nil {
			*at = i
		}
	}
}

// received hands a packet to the router that it is for. The VRID is the second byte of every version.
func (n *Node) received(now time.Time, in Received) {
	routers := n.inlets[inlet{in.Interface, in.Header.Source.Is6()}]
	if routers == nil {
		return
	}
	vrid := byte(0)
	if len(in.Payload) >= 2 {
		if vrid = in.Payload[1]; vrid == 0 {
			return
		}
	}
	if i := routers[vrid]; i != nil {
		n.step(now, i, vrrp.Received{Header: in.Header, Payload: in.Payload, At: in.At})
	}
}

// settle lets the facts act on one instance: its interface, tracks and refused addresses, and the clock.
func (n *Node) settle(now time.Time, i *instance) {
	n.learnSource(now, i)
	if n.started.IsZero() || n.stopping {
		n.tick(now, i)
		return
	}
	reason := n.fault(i)
	switch {
	case reason != "":
		i.whole, i.waiting, i.until = time.Time{}, "", time.Time{}
		n.disinherit(i)
		if i.router.State() != vrrp.Fault {
			n.step(now, i, vrrp.Fail{Reason: reason})
		}
	case i.whole.IsZero():
		i.whole = now
	}
	if p := n.priority(i); p != i.router.Effective() {
		n.step(now, i, vrrp.Priority{Effective: p})
	}
	if reason == "" {
		n.begin(now, i)
	}
	n.settleSync(now, i)
	n.tick(now, i)
}

// tick lets a deadline act that has come, whatever input brought the instant.
func (n *Node) tick(now time.Time, i *instance) {
	if d := i.router.Deadline(); !d.IsZero() && !now.Before(d) {
		n.step(now, i, vrrp.Timeout{})
	}
}

// begin lets the router take part as soon as nothing speaks against it: for the first time, or after FAULT.
func (n *Node) begin(now time.Time, i *instance) {
	fault := i.router.State() == vrrp.Fault
	if i.started && !fault {
		return
	}
	heir := heirNone
	if !fault {
		heir = n.inherit(now, i)
	}
	i.waiting, i.until = "", time.Time{}
	switch {
	case heir == heirAsks:
		i.waiting, i.until = "asks who has the VIPs that a former run has left", earlier(now.Add(roundPause), i.heirEnd())
	case heir == heirNone && !i.started:
		i.waiting, i.until = n.undecided(now, i)
	}
	if i.waiting != "" {
		return
	}
	i.started = true
	if fault {
		n.step(now, i, vrrp.Recover{})
		return
	}
	n.step(now, i, vrrp.Start{Adopt: heir == heirTakes})
}

func (i *instance) owns(k desired.AddressKey) bool {
	return slices.ContainsFunc(i.cfg.Addresses, func(a VirtualAddress) bool { return a.key() == k })
}

func (a VirtualAddress) key() desired.AddressKey {
	return desired.AddressKey{Interface: a.Interface, Prefix: a.Prefix}
}

// learnSource gives the router the primary address of its interface, where the configuration names none.
func (n *Node) learnSource(now time.Time, i *instance) {
	if i.source && i.linked == n.linked {
		return
	}
	i.linked = n.linked
	addr := i.cfg.VRRP.Source
	if !addr.IsValid() {
		addr = i.primary(n.links[i.cfg.Interface].Addresses)
	}
	if !addr.IsValid() || (i.source && addr == i.router.Config().Source) {
		return
	}
	i.source = true
	n.step(now, i, vrrp.Source{Addr: addr})
}

// primary is the address to send from: the first of the family, over IPv6 a link-local one (RFC 9568 section 5.1.2.1), unless
// the peers have others.
func (i *instance) primary(addrs []netip.Prefix) netip.Addr {
	six, peers := i.cfg.VRRP.IPv6(), i.cfg.VRRP.Peers
	local := len(peers) == 0 || peers[0].IsLinkLocalUnicast()
	for _, p := range addrs {
		if a := p.Addr(); a.Is6() == six && (!six || a.IsLinkLocalUnicast() == local) && !i.isVIP(a) {
			return a
		}
	}
	return netip.Addr{}
}

// isVIP tells whether the address is one of the instance's, by whomever it was put there.
func (i *instance) isVIP(a netip.Addr) bool {
	return !i.owner() && slices.ContainsFunc(i.cfg.Addresses, func(v VirtualAddress) bool { return v.Prefix.Addr() == a })
}

// step is the only place where a router is stepped: it turns what the router says into packets, wishes and events.
func (n *Node) step(now time.Time, i *instance, in vrrp.Input) {
	defer n.contain(now, i)
	n.take(now, i, i.router.Step(now, in))
}

// contain stops an instance whose step has panicked, and nothing else: it lets its addresses go and takes no part any more.
func (n *Node) contain(now time.Time, i *instance) {
	p := recover()
	if p == nil {
		return
	}
	before := vrrp.Init
	if i.holds {
		before = vrrp.Master
	}
	i.broken = fmt.Sprintf("a fault of vipward has stopped it (%v); reload to start it again, and please report it", p)
	i.router = vrrp.NewRouter(i.cfg.VRRP)
	out := i.router.Step(now, vrrp.Fail{Reason: i.broken})
	i.started, i.source, i.holds, i.alone, n.dirty = true, false, false, 0, true
	n.shut(now, i)
	n.disinherit(i)
	n.touch(i)
	out.From = before
	e := i.transition(out)
	e.Severity = event.Critical
	n.emit(e)
}

func (n *Node) take(now time.Time, i *instance, out vrrp.Output) {
	n.touch(i)
	for _, a := range out.Adverts {
		if !n.postpone(i, a) {
			n.transmit(i, a)
		}
	}
	if out.Announce {
		i.epoch++
		n.dirty = true
	}
	if holds := i.router.Holds(); holds != i.holds {
		i.holds, i.wished, n.dirty = holds, time.Time{}, true
		if holds {
			i.renewed = now
		} else {
			n.shut(now, i)
		}
	}
	i.owes = i.owes && i.holds
	n.renew(now, i, out.Adverts)
	if out.Changed {
		n.emit(i.transition(out))
		n.hasten(i)
	}
	for _, note := range out.Notes {
		n.emit(event.Event{
			Code: "instance." + note.Code, Severity: event.Warning, Kind: event.Instance, Subject: i.cfg.Name, Reason: note.Text,
		})
	}
	if h := out.Handover; h != nil {
		if !h.OK {
			n.maintenance.leaveFailed(i, h.Reason)
		}
		n.moved(i, h)
	}
}

// transition is the event of a change of state, in the words that notify scripts know: the end is called STOP.
func (i *instance) transition(out vrrp.Output) event.Event {
	e := event.Event{
		Code: "instance.state", Severity: event.Info, Kind: event.Instance, Subject: i.cfg.Name,
		From: out.From.String(), To: out.To.String(), Reason: out.Reason,
		Priority: int(i.router.Effective()), Notify: i.cfg.Notify,
	}
	switch out.To {
	case vrrp.Fault, vrrp.Hold:
		e.Severity = event.Warning
	case vrrp.Init:
		e.To = "STOP"
	}
	return e
}

// transmit addresses one advert to everybody who is to hear it.
func (n *Node) transmit(i *instance, a vrrp.Advert) {
	src := i.router.Config().Source
	to := i.cfg.VRRP.Peers
	var mac [6]byte
	if len(to) == 0 {
		to = vrrp.Group(src)
		mac = i.advertMAC()
	}
	for _, dst := range to {
		n.out.Adverts = append(n.out.Adverts, Advert{
			Interface: i.cfg.Interface, MAC: mac, Source: src, Destination: dst, Payload: i.encode(a, src, dst),
		})
	}
}

// said is an advert with what it became on the wire.
type said struct {
	vrrp.Advert
	src, dst netip.Addr
	payload  []byte
}

// encode is the message of an advert. Most are as the one before; those that are signed never.
func (i *instance) encode(a vrrp.Advert, src, dst netip.Addr) []byte {
	if s := &i.said; s.src == src && s.dst == dst && a.Same(s.Advert) {
		return s.payload
	}
	a.Addresses = slices.Clone(a.Addresses)
	i.said = said{a, src, dst, a.Append(nil, src, dst)}
	return i.said.payload
}

// postpone keeps the first advert of a new master with a virtual MAC address until the VIPs are here and announced. The switches have to
// learn nothing but the port, by the first frame; and as long as two hold the VIPs each answer of the former master to ARP moves the
// port back. So the former one lets go with the advert, when the announcement has moved it. What a former run has left is here already.
func (n *Node) postpone(i *instance, a vrrp.Advert) bool {
	if i.holds || !i.isMaster() || a.Priority == 0 || !i.router.Config().Announced || slices.ContainsFunc(n.held, i.owns) {
		return false
	}
	i.owed, i.owes = a, true
	return true
}

// advertise sends what was postponed.
func (n *Node) advertise(i *instance) {
	if i.owes {
		i.owes = false
		n.transmit(i, i.owed)
	}
}

// advertMAC is the hardware address that an advert to everybody is sent from: the virtual router's own, so that switches learn where it
// is (RFC 9568 section 7.2), unless the VIPs are elsewhere.
func (i *instance) advertMAC() (mac [6]byte) {
	if i.holds {
		mac = i.mac()
	}
	return mac
}

// mac is the virtual router's own hardware address; zero for none. How a unicast peer is reached is
// the kernel's to find out.
func (i *instance) mac() (mac [6]byte) {
	if i.cfg.VMAC != "" {
		mac = vrrp.VirtualMAC(i.cfg.VRRP.VRID, i.cfg.VRRP.IPv6())
	}
	return mac
}

// handover lets the peer take over before this node lets go.
func (n *Node) handover(now time.Time, i *instance, stop bool) {
	n.step(now, i, vrrp.Handover{Stop: stop})
}

// retire ends an instance: a master hands over, any other just ends.
func (n *Node) retire(now time.Time, i *instance) {
	i.started = true
	n.disinherit(i)
	n.endMove(i, "the daemon is stopping")
	n.handover(now, i, true)
}

// applied takes the kernel's answer: an address that it refuses takes its instance out of the election.
func (n *Node) applied(now time.Time, in Applied) {
	for _, i := range n.instances {
		for _, a := range i.cfg.Addresses {
			reason, failed := in.Failed[a.key()]
			if failed && i.holds && i.refused[a.key()] == "" {
				n.refuse(now, i, a.key(), reason)
			}
		}
		if len(i.refused) == 0 {
			n.advertise(i)
		}
		if len(in.Failed)+len(in.FailedRoutes) == 0 && i.holds && len(i.refused) == 0 {
			i.retry, i.patience, i.shy = 0, 0, time.Time{}
		}
	}
	n.routesApplied(now, in)
	for _, k := range in.Repaired {
		n.emit(event.Event{
			Code: "address.repaired", Severity: event.Warning, Kind: event.Address, Subject: k.Prefix.String(),
			Reason: "somebody else had removed it from " + k.Interface + "; it was put back",
		})
	}
}
