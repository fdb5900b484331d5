package node

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/vrrp"
)

const (
	// fastMargin is what a fast lease ends earlier than it must: the kernel ends it by its ticks, of 10 ms at most, and what was asked
	// just before takes its time.
	fastMargin = 20 * time.Millisecond
	// fastPause is the least time between two wishes for fast leases, so that instances by the hundred are renewed together.
	fastPause = 10 * time.Millisecond
	// shutAfter is how long VIPs that were let go stay among the fast leases: one that has ended must not be answered for again in the
	// time that their removal takes.
	shutAfter = 500 * time.Millisecond
)

// FastLease is the longest fast lease that ends before a peer takes over, whose priority is given, and before it asks for the last
// times who answers for the VIP; it is 0 or less where adverts are too fast for one. It counts milliseconds, where the lifetime of
// an address counts seconds.
func FastLease(version, peer uint8, interval time.Duration) time.Duration {
	asks := keptRounds * roundsApart(interval)
	return (vrrp.MasterDown(version, peer, interval) - asks - fastMargin).Truncate(time.Millisecond)
}

// roundsApart is the time between the last rounds of questions before a down interval ends.
func roundsApart(interval time.Duration) time.Duration { return min(roundPause, interval/5) }

// fastWish is what the kernel was last told of the fast leases.
type fastWish struct {
	leases []desired.FastLease
	told   time.Time
	news   bool      // confirmed since then
	shut   time.Time // when the last VIPs that were let go need no fast lease any more; zero for none
}

// shut has the VIPs, which are let go, keep their fast lease as it is until they are gone.
func (n *Node) shut(now time.Time, i *instance) {
	if i.fastLease(n.cfg.Lone) > 0 {
		i.shut = now.Add(shutAfter)
		n.fast.shut = i.shut
	}
}

// fastLease is how long the VIPs are answered for after an advert, where that is less than their lifetime; 0 for as long.
func (i *instance) fastLease(lone bool) time.Duration {
	l := i.cfg.Lease
	switch {
	case l.For > 0 && l.For < time.Second && !l.Auto:
		return l.For
	case !l.Fast || lone || i.remote:
		return 0
	}
	return max(FastLease(i.cfg.VRRP.Version, i.fastestPeer(), i.cfg.VRRP.Interval), 0)
}

// keepFast renews the leases that are to be renewed without an advert.
func (n *Node) keepFast(now time.Time) {
	for _, i := range n.touched {
		if due := n.fastKeepAlive(i); !due.IsZero() && !now.Before(due) {
			i.renewed, n.fast.news = now, true
		}
		if due := n.boundKeepAlive(i); !due.IsZero() && !now.Before(due) {
			i.renewed, n.dirty = now, true
		}
	}
}

// wishFast tells the kernel of the leases that were confirmed, and of changes at once.
func (n *Node) wishFast(now time.Time) {
	over := !n.fast.shut.IsZero() && !now.Before(n.fast.shut)
	if over {
		n.fast.shut = time.Time{}
	}
	if !n.dirty && !over && (!n.fast.news || now.Before(n.fastDeadline())) {
		return
	}
	leases := []desired.FastLease{}
	for _, i := range n.instances {
		lease := i.fastLease(n.cfg.Lone)
		if lease == 0 || !i.holds && !i.keeps() && !now.Before(i.shut) {
			continue
		}
		for _, a := range i.cfg.Addresses { // that of what a former run has left is over: it was never renewed by this one
			leases = append(leases, desired.FastLease{Address: a.Prefix.Addr(), For: lease, Renewed: i.renewed})
		}
	}
	n.fast.news = false
	if first := n.fast.told.IsZero(); first || !slices.Equal(leases, n.fast.leases) {
		n.fast.leases, n.fast.told = leases, now
		n.out.FastLeases = leases
	}
}

// fastDeadline is when the kernel is to be told of what was confirmed; zero for nothing.
func (n *Node) fastDeadline() time.Time {
	if !n.fast.news || len(n.fast.leases) == 0 {
		return time.Time{}
	}
	return n.fast.told.Add(fastPause)
}

// fastKeepAlive is when a fast lease is to be renewed without an advert; zero for never. In a hand-over none is sent for longer than
// it runs, and the VIPs are held until another node has them. One that has ended is not: this process was asleep, and by now another
// node may have them.
func (n *Node) fastKeepAlive(i *instance) time.Time {
	lease := i.fastLease(n.cfg.Lone)
	if !i.holds || !i.router.HandingOver() || lease == 0 || n.at.Sub(i.renewed) >= lease {
		return time.Time{}
	}
	return i.renewed.Add(i.cfg.VRRP.Interval)
}
