package config

import (
	"cmp"
	"time"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// checkLease reports a lease that leaves two owners when this node's daemon dies. A lone node has nobody to make room for, and
// below 1s, the kernel's least, a lease is a fast one.
func (l *loading) checkLease(i *instance) {
	if len(l.nodes) < 2 {
		return
	}
	at, lease := i.block.where("lease"), i.Lease
	down := vrrp.MasterDown(i.VRRP.Version, cmp.Or(i.PeerPriority, 254), i.VRRP.Interval)
	switch {
	case lease.Fast, lease.For > 0 && lease.For < time.Second:
		l.checkFastLease(i, down)
	case lease.Auto:
	case lease.For == 0:
		if i.VRRP.Interval < time.Second {
			l.warn(at, "lease = \"off\" with adverts every %v", i.VRRP.Interval).because(
				"The peer takes over at once when the daemon dies, and nothing takes the VIPs from this node: both answer. Remove lease = \"off\".")
		}
	case lease.For > max(down, time.Second):
		i.block.fault(at, "a lease of %v outlasts the takeover after %v", lease.For, down.Round(time.Millisecond)).because(
			"When the daemon dies, the VIPs stay on its node until the lease ends, and the peer wants them before that. Write lease = \"auto\", or a shorter one.")
	}
}

// fastLate is how late an advert and the renewal of a fast lease by it may be together without an outage: a transaction of nftables
// takes up to 30 ms on a busy machine.
const fastLate = 50 * time.Millisecond

// checkFastLease looks whether a fast lease ends after the advert that renews it and before the takeover, and whether it is of use.
func (l *loading) checkFastLease(i *instance, down time.Duration) {
	at, interval := i.block.where("lease"), i.VRRP.Interval
	most, least := node.FastLease(i.VRRP.Version, cmp.Or(i.PeerPriority, 254), interval), interval+fastLate
	whole, fits := node.WholeLease(down)
	switch lease := i.Lease.For; {
	case !i.Lease.Auto && lease < least:
		i.block.fault(at, "a lease of %v is too short for adverts every %v", lease, interval).because(
			"An advert that is a little late would find it over, and the VIPs not reached. It is to be %v at least, and %v at most; \"fast\" is that.", least, most)
	case most < least:
		i.block.fault(at, "adverts every %v are too fast for lease = \"fast\"", interval).because(
			"The peer takes over after %v, and asks before that who answers: a lease that ends in time would end before the next advert. Make advert_interval longer, or write lease = \"auto\".",
			down.Round(time.Millisecond))
	case !i.Lease.Auto && lease > most:
		i.block.fault(at, "a lease of %v is too long for the takeover after %v", lease, down.Round(time.Millisecond)).because(
			"Before it takes over the peer finds that this node still answers, and waits until it does not. Write lease = \"fast\", or at most %v.", most)
	case fits:
		l.warn(at, "a fast lease gains nothing with adverts every %v", interval).because(
			"The lease of the addresses, %v, ends before the takeover as well, and needs no nftables. Write lease = \"auto\", or make advert_interval shorter.", whole)
	}
}
