package node

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/vrrp"
)

// leaseMargin is what the kernel may be late in removing an address whose lease has ended: it looks with a slack of a quarter
// of a second (check_lifetime in net/ipv4/devinet.c), and the removal itself takes time on a loaded machine.
const leaseMargin = 400 * time.Millisecond

// longLease is that of VIPs while no other member is near: then a stall of the daemon must not take the service away.
const longLease = time.Minute

// lease is how long the kernel keeps the VIPs after the last renewal: shorter than the fastest peer needs to take over, so
// that a dead daemon's VIP is gone before its new owner comes. A lone node has nobody to make room for. The kernel counts
// whole seconds, so with adverts faster than 400 ms the least lease, 1 s, may outlast the take-over; a fast lease does not.
func (i *instance) lease(lone bool) time.Duration {
	switch {
	case !i.cfg.Lease.Auto:
		return i.cfg.Lease.whole()
	case lone:
		return 0
	case i.remote:
		return longLease
	}
	lease, _ := WholeLease(vrrp.MasterDown(i.cfg.VRRP.Version, i.fastestPeer(), i.cfg.VRRP.Interval))
	return lease
}

// WholeLease is the longest lease of an address that ends before a takeover after a silence of down; the kernel's least, 1 s, where
// that is too long.
func WholeLease(down time.Duration) (lease time.Duration, fits bool) {
	lease = max((down - leaseMargin).Truncate(time.Second), time.Second)
	return lease, lease+leaseMargin <= down
}

// whole is the lease of the addresses, of which the kernel counts the seconds.
func (l Lease) whole() time.Duration {
	if l.For > 0 && l.For < time.Second {
		return time.Second
	}
	return l.For
}

// fastestPeer is the priority of the peer that takes over first.
func (i *instance) fastestPeer() uint8 {
	if i.cfg.PeerPriority == 0 || i.mayRise() {
		return 254
	}
	return i.cfg.PeerPriority
}

// mayRise tells whether a track can lift the peer above its base priority.
func (i *instance) mayRise() bool {
	for _, t := range i.tracks {
		if t.Weighted && t.Weight > 0 || t.IsNumber() {
			return true
		}
	}
	return false
}

// renew confirms the lease with the adverts that were just made: a daemon that does not speak loses its VIPs.
func (n *Node) renew(now time.Time, i *instance, sent []vrrp.Advert) {
	if !i.holds || len(sent) == 0 {
		return
	}
	if sent[len(sent)-1].Priority == 0 {
		if i.router.HandingOver() { // the next advert may come later than the end of a lease that is told of as seldom as ever
			i.renewed, i.wished, n.dirty = now, time.Time{}, true
		}
		return
	}
	if i.unsent { // the advert before was not; whether this one is, is told before the next
		i.unsent, i.spoken = false, now
		return
	}
	i.confirmed, i.renewed = i.spoken, now
	if !i.mute.IsZero() {
		i.mute, i.renewed = time.Time{}, i.spoken
	}
	i.spoken = now
	n.fast.news = n.fast.news || i.fastLease(n.cfg.Lone) > 0
	if remote := n.remote(now); remote != i.remote {
		i.remote, i.wished, n.dirty = remote, time.Time{}, true
	}
	if lease := i.lease(n.cfg.Lone); lease > 0 && now.Sub(i.wished) >= renewal(lease) {
		n.dirty = true
	}
}

// renewal is how old the confirmation of a lease may get that the kernel knows of. A wish takes along what is half as old, so that
// instances by the hundred are renewed together.
func renewal(lease time.Duration) time.Duration { return min(lease/4, time.Second) }

// alongFor is how old a confirmation may be to be taken along where the lease is the kernel's least, 1 s: what is applied more
// than 100 ms late has lost a whole second, and would be no renewal at all.
const alongFor = 80 * time.Millisecond

// goesAlong tells whether a wish takes along what was confirmed since the last one.
func (i *instance) goesAlong(now time.Time, lease time.Duration) bool {
	return i.renewed.Sub(i.wished) >= renewal(lease)/2 && (lease != time.Second || now.Sub(i.renewed) <= alongFor)
}

// refusal are the VIPs to which packets are dropped. The owner accepts what is its own.
func (i *instance) refusal() (out []netip.Addr) {
	if !i.cfg.Refuse || i.owner() {
		return nil
	}
	for _, a := range i.cfg.Addresses {
		out = append(out, a.Prefix.Addr())
	}
	return out
}

// vmac is the interface of the virtual MAC address. It is there as long as the instance, and up while it holds the VIPs.
func (i *instance) vmac() desired.VMAC {
	return desired.VMAC{Name: i.cfg.VMAC, Parent: i.cfg.Interface, MAC: i.mac(), Up: i.holds || i.keeps()}
}

// wish adds what the kernel should hold for the instance.
func (i *instance) wish(now time.Time, lone bool, s *desired.State) {
	i.wishRoutes(s)
	if !i.holds {
		return
	}
	lease := i.lease(lone)
	g := &i.guard.grant
	along := lease
	if g.binds {
		along = i.lent
	}
	if i.wished.IsZero() || i.goesAlong(now, along) && g.covers(i.renewed) {
		i.wished = i.renewed
	}
	i.lent = g.cap(i.wished, i.rest(lease))
	lease = i.lent
	for _, a := range i.cfg.Addresses {
		s.Addresses = append(s.Addresses, desired.Address{
			AddressKey: a.key(), Label: a.Label, Scope: a.Scope, Lease: lease, Renewed: i.wished,
		})
		s.Announcements = append(s.Announcements, desired.Announcement{AddressKey: a.key(), Epoch: i.epoch, Garp: i.cfg.Garp})
	}
}

// remote tells whether all other members have been silent for so long that none of them is near. One that was never heard may be of
// another make, which sends no heartbeats.
func (n *Node) remote(now time.Time) bool {
	return len(n.members) > 0 && !slices.ContainsFunc(n.members, func(m *member) bool { return m.near(now) })
}

// peerLease is how long the kernel of a silent peer keeps the VIPs.
func (i *instance) peerLease() time.Duration {
	if !i.cfg.Lease.Auto {
		return i.cfg.Lease.whole()
	}
	lease, _ := WholeLease(vrrp.MasterDown(i.cfg.VRRP.Version, i.router.Effective(), i.cfg.VRRP.Interval))
	return lease
}

// unsaid takes back what an advert has confirmed that could not be sent. A master that cannot speak for a down interval has a peer
// that takes over: it takes no part, and tries again later.
func (n *Node) unsaid(now time.Time, in Unsent) {
	for _, i := range n.instances {
		if i.cfg.Interface != in.Interface || !i.isMaster() {
			continue
		}
		if i.unsent = true; i.mute.IsZero() {
			i.mute = i.spoken
		}
		if i.renewed.After(i.confirmed) && !i.confirmed.IsZero() {
			i.renewed, n.dirty = i.confirmed, true
			if i.wished.After(i.renewed) {
				i.wished = i.renewed
			}
		}
		if now.Sub(i.mute) >= i.router.MasterDown() {
			i.dumb = fmt.Sprintf("no advert could be sent on %s for %v: %s", in.Interface, now.Sub(i.mute).Round(time.Millisecond), in.Reason)
			i.retry = min(max(2*i.retry, retryFirst), retryMost)
			i.retryAt = now.Add(i.retry)
			for _, m := range i.mates() {
				n.touch(m) // none of the group goes on without it
			}
		}
		n.touch(i)
	}
}
