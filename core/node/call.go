package node

import (
	"fmt"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/vrrp"
)

// A master that holds the witness's grant lets go of it for a node of higher priority which asks it to, by heartbeats. Where it hears none,
// adverts call on it: it yields to them as to those of a master, and gives the grant back, which this node then gets.
const (
	// callLeast is how long adverts call at the least, and callEvery how often that is tried: a master that yields, and whose grant this
	// node does not get, is missed for as long.
	callLeast = time.Second
	callEvery = time.Minute
	// callPause is the time between two requests meanwhile: nobody may hold the addresses.
	callPause = 50 * time.Millisecond
)

// callOn calls on the master of an instance to yield.
func (n *Node) callOn(now time.Time, i *instance) {
	g := &i.guard
	interval := i.cfg.VRRP.Interval
	if g.verdict.Call && (g.called.IsZero() || now.Sub(g.called) >= callEvery) {
		g.called, g.call = now, now
	}
	switch {
	case g.call.IsZero() || now.Before(g.call):
	case now.Sub(g.called) >= max(callLeast, 2*interval):
		g.call = time.Time{}
		n.tellUnheard(i)
	default:
		g.call = now.Add(interval)
		g.grant.next = earlier(g.grant.next, now.Add(callPause))
		n.step(now, i, vrrp.Call{})
	}
}

// tellUnheard tells, once, that the master is called upon in vain.
func (n *Node) tellUnheard(i *instance) {
	addr, priority, _ := i.router.Master()
	if i.guard.unheard || i.router.Wants() == "" {
		return
	}
	i.guard.unheard = true
	n.emit(event.Event{
		Code: "instance.unheard", Severity: event.Warning, Kind: event.Instance, Subject: i.cfg.Name, Notify: i.cfg.Notify,
		Reason: fmt.Sprintf("%v is MASTER with priority %d and keeps the grant of the witness; %d here is higher, and it hears neither heartbeats nor "+
			"adverts of this node: look for what drops them on the way there", addr, priority, i.router.Effective()),
	})
}

// witnessPause is the time between two requests that were refused or not answered.
func (i *instance) witnessPause() time.Duration {
	if g := &i.guard; !g.call.IsZero() && g.grant.state != guard.GrantUnreachable {
		return callPause
	}
	return witnessPause
}
