package node

import (
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
)

// check is the verdict on one check, with when it came and whether it is still confirmed.
type check struct {
	*health.Check
	health.Freshness
	since time.Time

	plugin   string             // that makes it
	checkers []string           // of this node that it decides, by name
	places   []place            // real servers that it is a check of
	told     bool               // that it is stale, of its checkers
	values   map[string]float64 // of the latest result
	latest   health.Observation // the latest result, and when it came
	at       time.Time
	number   *float64 // for a track that adds it to the priority; nil before the first
}

// redraw has the next snapshot show the servers of a check anew.
func (c *check) redraw() {
	for _, p := range c.places {
		p.service.rows = nil
	}
}

// measured takes what a result says besides the verdict.
func (c *check) measured(now time.Time, o health.Observation) {
	c.latest, c.at = o, now
	c.values = o.Values
	for _, p := range c.places {
		p.service.measured = true
	}
}

// place is a real server in its service.
type place struct {
	service *service
	server  *server
}

// observed takes one result of a check and tells of a change of its verdict.
func (n *Node) observed(now time.Time, in Observed) {
	c := n.checks[in.Check]
	if c == nil {
		return
	}
	n.refresh(now, in, c)
	c.measured(now, in.Observation)
	if c.count(in) {
		n.everything = true
	}
	before, judged, weight := c.Status(), c.Judged(), c.Last().Weight
	changed := c.Observe(in.Observation)
	if changed {
		c.since = now
	}
	if !changed && judged == c.Judged() && weight == c.Last().Weight {
		return // the first result counts even where it confirms what was assumed
	}
	n.everything = true
	if changed {
		n.verdictChanged(c, before, in.Reason)
	}
	n.judgePlaces(now, c.places)
}

// verdictChanged tells of the checkers that a check decides about.
func (n *Node) verdictChanged(c *check, before health.Status, reason string) {
	for _, name := range c.checkers {
		n.emit(event.Event{
			Code: "checker.state", Severity: severityOf(c.Status()), Kind: event.Checker, Subject: name,
			From: string(before), To: string(c.Status()), Reason: reason,
		})
	}
}

func severityOf(s health.Status) event.Severity {
	if s == health.Down {
		return event.Warning
	}
	return event.Info
}

// indexChecks notes at each check what it decides about.
func (n *Node) indexChecks() {
	for _, c := range n.checks {
		c.checkers, c.places = c.checkers[:0], c.places[:0]
	}
	for _, k := range n.cfg.Checkers {
		c := n.checks[k.Check]
		c.plugin, c.checkers = k.Plugin, append(c.checkers, k.Name)
	}
	n.eachServer(func(v *service, s *server) {
		for _, k := range s.cfg.Checks {
			c := n.checks[k.Check]
			c.plugin, c.places = k.Plugin, append(c.places, place{v, s})
		}
		s.told = s.told && n.expired(s.cfg)
	})
}

// checkerStatus is the verdict on a checker of this node, by its name.
func (n *Node) checkerStatus(name string) (status health.Status, reason string) {
	for _, k := range n.cfg.Checkers {
		if k.Name == name {
			c := n.checks[k.Check]
			return c.Status(), c.Last().Reason
		}
	}
	return health.Unknown, "there is no checker " + name
}
