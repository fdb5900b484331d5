package node

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/vrrp"
)

// The times of questions to the network.
const (
	// referenceEvery is how often a reference is asked while it answers, and referenceRetry while it does not; it counts as silent
	// after lostAsks questions.
	referenceEvery = time.Second
	referenceRetry = 300 * time.Millisecond
	lostAsks       = 3
	// askPause is the least time between two questions for one address.
	askPause = 5 * time.Millisecond
	// maxServers is how many real servers are asked about, to tell them from strangers.
	maxServers = 256
)

// known is an address on the network that this node asks about.
type known struct {
	desired.Watch
	who  guard.Who // WhoPeer, WhoServer; WhoUnprobed for a VIP or a reference
	name string    // for people
	vip  *instance // that it is a VIP of; nil for none

	asked   time.Time
	open    time.Time // the first question since the last answer; zero for none
	answers time.Time // the last one
	mac     [6]byte   // of that
	mute    string    // why it cannot be asked; empty where it can

	reference bool
	missed    int // questions of a reference without an answer
	due       time.Time
}

// adoptKnown finds the addresses of VIPs, references, members and real servers on the networks of this node.
func (n *Node) adoptKnown() {
	old := n.known
	n.known, n.watched, n.machines, n.references = map[desired.Watch]*known{}, nil, nil, nil
	add := func(k known) *known {
		if have := n.known[k.Watch]; have != nil {
			return have
		}
		x := &k
		if was := old[k.Watch]; was != nil {
			x.asked, x.open, x.answers, x.mac, x.mute, x.missed, x.due = was.asked, was.open, was.answers, was.mac, was.mute, was.missed, was.due
		}
		n.known[k.Watch], n.watched = x, append(n.watched, k.Watch)
		if x.who != guard.WhoUnprobed {
			n.machines = append(n.machines, x)
		}
		return x
	}
	g := n.cfg.Guard
	if g.ProbeVIP {
		for _, i := range n.instances {
			for _, a := range i.cfg.Addresses {
				add(known{Watch: i.watchOf(a), vip: i})
			}
		}
		for _, m := range n.members {
			for _, a := range m.addresses() {
				n.addNear(add, a, guard.WhoPeer, m.cfg.Name)
			}
		}
		for _, i := range n.instances {
			for _, a := range i.cfg.VRRP.Peers {
				n.addNear(add, a, guard.WhoPeer, "the peer "+a.String())
			}
		}
		n.addServers(add)
	}
	refer := func(w desired.Watch) {
		k := add(known{Watch: w})
		k.reference = true
		n.references = append(n.references, k)
	}
	for _, a := range g.References {
		if link := n.linkOf(a); link != "" {
			refer(desired.Watch{Interface: link, Address: a})
		}
	}
	if g.Gateway {
		for _, w := range n.gateways() {
			refer(w)
		}
	}
}

func (n *Node) addNear(add func(known) *known, a netip.Addr, who guard.Who, name string) {
	if link := n.linkOf(a); link != "" {
		add(known{Watch: desired.Watch{Interface: link, Address: a}, who: who, name: name})
	}
}

// addServers adds the real servers that have the VIPs as well, and must not answer for them.
func (n *Node) addServers(add func(known) *known) {
	count := 0
	for _, s := range n.cfg.Services {
		for _, r := range s.RealServers {
			if count >= maxServers {
				return
			}
			if r.Destination.Forward == desired.DR {
				count++
				n.addNear(add, r.Destination.Address.Addr(), guard.WhoServer, "real server "+r.Destination.Address.Addr().String())
			}
		}
	}
}

// linkOf is the interface whose network an address is on; empty for none.
func (n *Node) linkOf(a netip.Addr) string {
	best, bits := "", -1
	for name, l := range n.links {
		for _, p := range l.Addresses {
			if p.Contains(a) && p.Addr() != a && (p.Bits() > bits || p.Bits() == bits && name < best) {
				best, bits = name, p.Bits()
			}
		}
	}
	return best
}

// gateways are the default gateways. Where no references are named, only those on the network of a VIP count.
func (n *Node) gateways() (out []desired.Watch) {
	for name, l := range n.links {
		for _, a := range l.Gateways {
			w := desired.Watch{Interface: name, Address: a}
			if len(n.cfg.Guard.References) > 0 || slices.ContainsFunc(n.instances, func(i *instance) bool { return i.besides(n, w) }) {
				out = append(out, w)
			}
		}
	}
	slices.SortFunc(out, func(a, b desired.Watch) int { return a.Address.Compare(b.Address) })
	return out
}

// besides tells whether the instance has a VIP on the network of an address.
func (i *instance) besides(n *Node, w desired.Watch) bool {
	return slices.ContainsFunc(i.cfg.Addresses, func(a VirtualAddress) bool {
		if i.watchOf(a).Interface != w.Interface {
			return false
		}
		if a.Prefix.Contains(w.Address) && !a.Prefix.IsSingleIP() {
			return true
		}
		return slices.ContainsFunc(n.links[w.Interface].Addresses, func(p netip.Prefix) bool {
			return p.Contains(w.Address) && p.Contains(a.Prefix.Addr())
		})
	})
}

// inquire puts one question, unless it was put just now.
func (n *Node) inquire(now time.Time, k *known) {
	if now.Sub(k.asked) < askPause {
		return
	}
	k.asked = now
	if k.open.IsZero() {
		k.open = now
	}
	n.out.Asks = append(n.out.Asks, Ask{Interface: k.Interface, Address: k.Address})
}

// seen takes an answer, or a claim that nobody has asked for.
func (n *Node) seen(now time.Time, in Seen) {
	k := n.known[desired.Watch{Interface: in.Interface, Address: in.Address}]
	if k == nil {
		return
	}
	at := came(now, in.At)
	if !at.Before(k.open) { // else it was no answer to that
		k.open = time.Time{}
	}
	k.answers, k.mac, k.mute = latest(k.answers, at), in.MAC, ""
	if k.reference {
		k.missed = 0
		if k.due.After(now.Add(referenceEvery)) || k.due.Before(now) {
			k.due = now.Add(referenceEvery)
		}
		n.touchActive()
	}
	if i := k.vip; i != nil {
		n.sighted(now, i, k)
	}
}

// unasked notes that silence says nothing.
func (n *Node) unasked(in Unasked) {
	if k := n.known[desired.Watch{Interface: in.Interface, Address: in.Address}]; k != nil {
		k.mute, k.missed = in.Reason, 0
		n.touchActive()
		if k.vip != nil {
			n.touchHeirs(k.vip)
		}
	}
}

// askReferences asks the references by their pace, and tells of one that falls silent.
func (n *Node) askReferences(now time.Time) {
	if n.stopping || n.started.IsZero() {
		return
	}
	for _, k := range n.references {
		if now.Before(k.due) {
			continue
		}
		if !k.asked.IsZero() && !k.answers.After(k.asked) && k.mute == "" {
			if k.missed++; k.missed == lostAsks {
				n.touchActive()
			}
		}
		n.inquire(now, k)
		k.due = now.Add(referenceRetry)
	}
}

// referencesOf are those that count for an instance: those on its own networks, or all where there are none.
func (n *Node) referencesOf(i *instance) []*known {
	var near []*known
	for _, k := range n.references {
		if k.Interface == i.cfg.Interface || slices.ContainsFunc(i.cfg.Addresses, func(a VirtualAddress) bool { return i.watchOf(a).Interface == k.Interface }) {
			near = append(near, k)
		}
	}
	if len(near) > 0 || len(n.cfg.Guard.References) == 0 {
		return near
	}
	return n.references
}

// steady is what the references say without haste, as a master listens to them, and how many there are to ask.
func (n *Node) steady(i *instance) (guard.Voice, int) {
	voice, count := guard.VoiceNone, 0
	for _, k := range n.referencesOf(i) {
		switch {
		case k.mute != "":
			continue
		case k.missed < lostAsks && !k.answers.IsZero():
			voice = guard.VoiceHeard
		case voice == guard.VoiceHeard:
		case k.missed < lostAsks:
			voice = guard.VoiceAsked
		case voice == guard.VoiceNone:
			voice = guard.VoiceSilent
		}
		count++
	}
	return voice, count
}

// isolated tells whether none of the references answers, of those that can be asked.
func (n *Node) isolated() bool {
	silent := false
	for _, k := range n.references {
		switch {
		case k.mute != "":
		case k.missed < lostAsks:
			return false
		default:
			silent = true
		}
	}
	return silent
}

// cut is why the link of an instance carries nothing; empty while it is up.
func (n *Node) cut(i *instance) string {
	if l, ok := n.links[i.cfg.Interface]; ok && !l.Up {
		return "interface " + i.cfg.Interface + " is down"
	}
	return ""
}

// identify says whose MAC address it is that answers for a VIP.
func (n *Node) identify(i *instance, k *known) guard.Answerer {
	text := fmt.Sprintf("%s answers for %v on %s", hardware(k.mac), k.Address, k.Interface)
	if k.mac == vrrp.VirtualMAC(i.cfg.VRRP.VRID, i.cfg.VRRP.IPv6()) {
		return guard.Answerer{Who: guard.WhoPeer, Text: text + ": the virtual router's own, of another master"}
	}
	found := guard.Answerer{Who: guard.WhoStranger, Text: text + ", a machine that is not known"}
	for _, o := range n.machines {
		if o.mac != k.mac || o.answers.IsZero() {
			continue
		}
		switch o.who {
		case guard.WhoPeer:
			return guard.Answerer{Who: guard.WhoPeer, Text: text + ", a machine of " + o.name}
		case guard.WhoServer:
			found = guard.Answerer{Who: guard.WhoServer, Text: text + ", " + o.name + ", which should not (arp_ignore)"}
		case guard.WhoUnprobed, guard.WhoAsked, guard.WhoNobody, guard.WhoStranger:
		}
	}
	if found.Who == guard.WhoStranger && slices.Contains(i.guard.owners, k.mac) {
		return guard.Answerer{Who: guard.WhoPeer, Text: text + ", which has held it as MASTER"}
	}
	return found
}

// hardware is a MAC address as people write it.
func hardware(mac [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
}

// soonest is when the next reference is to be asked; zero for never.
func (n *Node) referenceDeadline() time.Time {
	var due time.Time
	if n.stopping || n.started.IsZero() {
		return due
	}
	for _, k := range n.references {
		due = earlier(due, k.due)
		if k.due.IsZero() {
			return n.started
		}
	}
	return due
}
