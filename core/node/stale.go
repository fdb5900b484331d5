package node

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
)

// watching tells whether results are expected at all.
func (n *Node) watching() bool { return !n.started.IsZero() && !n.stopping }

// refresh takes note that a check has said something, and tells of it where it had been told that it did not.
func (n *Node) refresh(now time.Time, in Observed, c *check) {
	if in.Outcome == health.Error || !c.Hear(now) {
		return
	}
	n.expiry = time.Time{}
	for _, k := range n.cfg.Checkers {
		if k.Check == in.Check {
			n.emit(event.Event{Code: "checker.fresh", Severity: event.Info, Kind: event.Checker, Subject: k.Name, Reason: "it has results again"})
		}
	}
	n.eachServer(func(v *service, s *server) {
		if s.checkedBy(in.Check) && !n.expired(s.cfg, nil) {
			n.emit(event.Event{
				Code: "real_server.fresh", Severity: event.Info, Kind: event.RealServer,
				Subject: s.cfg.Destination.Address.String(), Service: v.cfg.Name, Reason: "it is checked again",
			})
		}
	})
}

// expire looks for checks that have become stale. Between two looks no check can: expiry is the earliest end of them all, and
// results only move ends away.
func (n *Node) expire(now time.Time) {
	if !n.watching() || now.Before(n.expiry) {
		return
	}
	var fallen []string
	n.expiry = time.Time{}
	for id, c := range n.checks {
		if c.Expire(now) {
			fallen = append(fallen, id)
		}
		if due := c.Due(); !due.IsZero() && (n.expiry.IsZero() || due.Before(n.expiry)) {
			n.expiry = due
		}
	}
	if n.expiry.IsZero() {
		n.expiry = now.Add(time.Hour) // all are stale, or never will be; a result or a reload brings the next look
	}
	if len(fallen) > 0 {
		n.tellStale(now, fallen)
	}
}

// tellStale tells of the checkers and real servers that checks which have just become stale leave without news.
func (n *Node) tellStale(now time.Time, fallen []string) {
	slices.Sort(fallen)
	is := func(check string) bool {
		_, found := slices.BinarySearch(fallen, check)
		return found
	}
	for _, k := range n.cfg.Checkers {
		if is(k.Check) {
			n.emit(event.Event{
				Code: "checker.stale", Severity: event.Warning, Kind: event.Checker, Subject: k.Name, Reason: n.checks[k.Check].silence(now),
			})
		}
	}
	n.eachServer(func(v *service, s *server) {
		k := slices.IndexFunc(s.cfg.Checks, func(k ServerCheck) bool { return is(k.Check) })
		if k < 0 || n.expired(s.cfg, is) {
			return
		}
		n.emit(event.Event{
			Code: "real_server.stale", Severity: event.Warning, Kind: event.RealServer, Subject: s.cfg.Destination.Address.String(),
			Service: v.cfg.Name, Reason: n.checks[s.cfg.Checks[k].Check].silence(now),
		})
	})
}

// silence says in words since when there is no news, and what holds in the meantime.
func (c *check) silence(now time.Time) string {
	return "no result for " + c.Silence(now).Round(time.Second).String() + "; it stays " + string(c.Status())
}

func (n *Node) eachServer(f func(*service, *server)) {
	for _, v := range n.services {
		for _, s := range v.servers {
			f(v, s)
		}
	}
}

func (s *server) checkedBy(check string) bool {
	return slices.ContainsFunc(s.cfg.Checks, func(k ServerCheck) bool { return k.Check == check })
}

// expired tells whether a check of the server has expired, besides those of which except is true.
func (n *Node) expired(cfg RealServer, except func(check string) bool) bool {
	return slices.ContainsFunc(cfg.Checks, func(k ServerCheck) bool {
		return n.checks[k.Check].Expired() && (except == nil || !except(k.Check))
	})
}

func (n *Node) staleServer(cfg RealServer) bool {
	return slices.ContainsFunc(cfg.Checks, func(k ServerCheck) bool { return n.checks[k.Check].Stale() })
}

func (n *Node) staleTrack(t Track) bool {
	return t.Kind == TrackChecker && slices.ContainsFunc(n.cfg.Checkers, func(k Checker) bool {
		return k.Name == t.Name && n.checks[k.Check].Stale()
	})
}
