package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
)

// lookEvery bounds how often all checks are looked through while they become stale one after the other.
const lookEvery = 100 * time.Millisecond

// watching tells whether results are expected at all.
func (n *Node) watching() bool { return !n.started.IsZero() && !n.stopping }

// refresh takes note that a check has said something, and tells of it where it had been told that it did not.
func (n *Node) refresh(now time.Time, in Observed, c *check) {
	if in.Outcome == health.Error {
		return
	}
	if c.Stale() {
		c.redraw()
	}
	was := c.Hear(now)
	back := n.heardAgain(now, in.Check, c)
	if !was && !back {
		return
	}
	n.expiry = time.Time{}
	if c.told {
		c.told = false
		for _, name := range c.checkers {
			n.emit(event.Event{Code: "checker.fresh", Severity: event.Info, Kind: event.Checker, Subject: name, Reason: "it has results again"})
		}
	}
	for _, p := range c.places {
		if p.server.told && !n.expired(p.server.cfg) {
			p.server.told = false
			n.emit(event.Event{
				Code: "real_server.fresh", Severity: event.Info, Kind: event.RealServer,
				Subject: p.server.cfg.Destination.Address.String(), Service: p.service.cfg.Name, Reason: "it is checked again",
			})
		}
	}
}

// expire looks for checks that have become stale. Between two looks no check can: expiry is the earliest end of them all, and
// results only move ends away.
func (n *Node) expire(now time.Time) {
	if !n.watching() || now.Before(n.expiry) {
		return
	}
	var fallen []string
	first := time.Time{}
	for id, c := range n.checks {
		if c.Expire(now) {
			c.redraw()
			fallen = append(fallen, id)
		}
		first = earlier(first, c.Due())
	}
	slices.Sort(fallen)
	n.presume(now, fallen)
	n.tellStale(now, n.foldStale(now, fallen))
	for _, f := range n.folds {
		first = earlier(first, f.end)
	}
	n.expiry = now.Add(time.Hour) // all are stale, or never will be; a result or a reload brings the next look
	if !first.IsZero() {
		n.expiry = first
		if soon := now.Add(lookEvery); first.Before(soon) {
			n.expiry = soon
		}
	}
}

// presume takes what nothing has been heard of for what its check's on_unknown says.
func (n *Node) presume(now time.Time, fallen []string) {
	for _, id := range fallen {
		c := n.checks[id]
		before := c.Status()
		if c.Presume("no result for " + c.Silence(now).Round(time.Second).String()) {
			c.since = now
			n.verdictChanged(c, before, c.Last().Reason)
			n.judgePlaces(now, c.places)
			n.everything = true
		}
	}
}

// earlier is the first of two instants, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// tellStale tells of the checkers and real servers that checks which have just become stale leave without news.
func (n *Node) tellStale(now time.Time, fallen []string) {
	if len(fallen) == 0 {
		return
	}
	is := func(check string) bool {
		_, found := slices.BinarySearch(fallen, check)
		return found
	}
	for _, k := range n.cfg.Checkers {
		if c := n.checks[k.Check]; is(k.Check) && !c.told {
			c.told = true
			n.emit(event.Event{Code: "checker.stale", Severity: event.Warning, Kind: event.Checker, Subject: k.Name, Reason: c.silence(now)})
		}
	}
	n.eachServer(func(v *service, s *server) {
		k := slices.IndexFunc(s.cfg.Checks, func(k ServerCheck) bool { return is(k.Check) })
		if k < 0 || s.told {
			return
		}
		s.told = true
		n.emit(event.Event{
			Code: "real_server.stale", Severity: event.Warning, Kind: event.RealServer, Subject: s.cfg.Destination.Address.String(),
			Service: v.cfg.Name, Reason: n.checks[s.cfg.Checks[k].Check].silence(now),
		})
	})
}

// silence says in words since when there is no news, and what holds in the meantime.
func (c *check) silence(now time.Time) string {
	text := "no result for " + c.Silence(now).Round(time.Second).String()
	if why := c.cannot(); why != "" {
		text += ": " + why
	}
	return text + "; it stays " + string(c.Status())
}

// cannot is why the latest run of the check could not be made; empty where it could, and before the first.
func (c *check) cannot() string {
	if c.at.IsZero() || c.latest.Outcome != health.Error {
		return ""
	}
	return cmp.Or(c.latest.Reason, "the plugin does not say why")
}

// withTrouble adds to what explains a verdict why there are no more results.
func withTrouble(reason, why string) string {
	switch {
	case why == "":
		return reason
	case reason == "":
		return "cannot be checked: " + why
	}
	return reason + "; cannot be checked now: " + why
}

// serverReason explains the verdict on a real server, and why there are no more results.
func (n *Node) serverReason(s *server) string {
	for _, k := range s.cfg.Checks {
		if why := n.checks[k.Check].cannot(); why != "" {
			return withTrouble(s.reason, why)
		}
	}
	return s.reason
}

func (n *Node) eachServer(f func(*service, *server)) {
	for _, v := range n.services {
		for _, s := range v.servers {
			f(v, s)
		}
	}
}

// expired tells whether a check of the server has expired.
func (n *Node) expired(cfg RealServer) bool {
	return slices.ContainsFunc(cfg.Checks, func(k ServerCheck) bool { return n.checks[k.Check].Expired() })
}

func (n *Node) staleServer(cfg RealServer) bool {
	return slices.ContainsFunc(cfg.Checks, func(k ServerCheck) bool { return n.checks[k.Check].Stale() })
}

// checkOf is the check that a track goes by; nil for a track that has none.
func (n *Node) checkOf(t Track) *check {
	if t.Kind == TrackChecker {
		if k := slices.IndexFunc(n.cfg.Checkers, func(k Checker) bool { return k.Name == t.Name }); k >= 0 {
			return n.checks[n.cfg.Checkers[k].Check]
		}
	}
	return n.checks[t.Check]
}
