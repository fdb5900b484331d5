package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
)

// burst is the least time in which servers that fail are taken to fail at once; longer where they are checked more seldom.
const burst = 10 * time.Second

// eject decides which servers that are down stay in the table. Where more are down than max_ejected lets out, our own network
// is suspected rather than they: those that fell at once are kept, which is the last good set. Unless one was good, there is
// nothing to keep.
func (n *Node) eject(now time.Time, v *service) {
	down := 0
	for _, s := range v.servers {
		if s.status == health.Down {
			down++
		} else if s.kept {
			s.kept, v.rows, n.dirty = false, nil, true
		}
	}
	limited := v.cfg.MaxEjected > 0 && v.cfg.MaxEjected < 100
	over := limited && down > len(v.servers)*v.cfg.MaxEjected/100
	if !v.suspect {
		v.good = now.Add(-v.burst(n))
	}
	kept := 0
	for _, s := range v.servers {
		if s.status != health.Down {
			continue
		}
		keep := over && s.fell.After(v.good)
		if keep != s.kept {
			s.kept, v.rows, n.dirty = keep, nil, true
		}
		if keep {
			kept++
		}
	}
	if suspect := kept > 0; suspect != v.suspect {
		v.suspect = suspect
		n.emit(v.suspicion(down, kept))
	}
}

// suspicion is the event of its beginning or end.
func (v *service) suspicion(down, kept int) event.Event {
	if !v.suspect {
		return event.Event{
			Code: "service.trusted", Severity: event.Info, Kind: event.Service, Subject: v.cfg.Name, Notify: v.cfg.Notify,
			Reason: "no more servers fail than max_ejected lets out: what their checks say counts again",
		}
	}
	return event.Event{
		Code: "service.suspect", Severity: event.Critical, Kind: event.Service, Subject: v.cfg.Name, Notify: v.cfg.Notify,
		Reason: fmt.Sprintf("%d of %d servers fail, more than max_ejected lets out: this node's own network is suspected, and %d stay in the table",
			down, len(v.servers), kept),
	}
}

// burst is how far apart two failures can be that have one cause: the time in which each server was checked for certain.
func (v *service) burst(n *Node) time.Duration {
	d := burst
	for _, s := range v.servers {
		for _, k := range s.cfg.Checks {
			d = max(d, k.Health.FreshFor)
		}
	}
	return d
}

// damp keeps a server out that has failed too often, until it has passed for a while.
func (s *server) damp(now time.Time, d Damping, status health.Status, reason string) (health.Status, string) {
	before := s.raw
	s.raw = status
	if d.Failures == 0 {
		s.failures, s.damped = nil, false
		return status, reason
	}
	if status == health.Down && before == health.Up {
		s.failures = slices.DeleteFunc(append(s.failures, now), func(t time.Time) bool { return now.Sub(t) > d.Window })
		s.damped = s.damped || len(s.failures) >= d.Failures
	}
	if status != health.Up || !s.damped {
		return status, reason
	}
	if before != health.Up {
		s.passing = now
	}
	if now.Sub(s.passing) >= d.Hold {
		s.failures, s.damped = nil, false
		return status, reason
	}
	return health.Down, fmt.Sprintf("passes, and is kept out until it has done so for %v: it failed %d times within %v", d.Hold, len(s.failures), d.Window)
}

// slowSteps are the changes of weight in a slow start.
const slowSteps = 20

// ramped is the weight of a server that is up, which climbs during a slow start in steps.
func (s *server) ramped(now time.Time, slow time.Duration) int {
	step := slowStep(slow)
	e := now.Sub(s.risen)
	if slow == 0 || s.risen.IsZero() || e >= slow || s.weight == 0 {
		return s.weight
	}
	return max(int(int64(s.weight)*int64(e/step*step)/int64(slow)), 1)
}

func slowStep(slow time.Duration) time.Duration { return max(slow/slowSteps, 100*time.Millisecond) }

// rise notes when a server came up, for its slow start. There is none while the daemon starts, where all servers come up, and
// none where no other server is up that could do the work meanwhile.
func (n *Node) rise(now time.Time, v *service, s *server) {
	s.risen = time.Time{}
	starting := s.status == health.Unknown && now.Sub(n.started) < StartGrace
	if v.cfg.SlowStart == 0 || starting {
		return
	}
	if slices.ContainsFunc(v.servers, func(o *server) bool { return o != s && o.status == health.Up }) {
		s.risen = now
	}
}

// due is when something of the service changes by time alone; zero for never.
func (n *Node) due(now time.Time, v *service) time.Time {
	var first time.Time
	for _, s := range v.servers {
		if s.damped && s.raw == health.Up {
			first = earlier(first, s.passing.Add(v.cfg.Damping.Hold))
		}
		if end := s.risen.Add(v.cfg.SlowStart); !s.risen.IsZero() && s.status == health.Up && now.Before(end) {
			step := slowStep(v.cfg.SlowStart)
			next := s.risen.Add((now.Sub(s.risen)/step + 1) * step)
			if next.After(end) {
				next = end
			}
			first = earlier(first, next)
		}
	}
	if v.cfg.Sorry != nil && !v.up && !n.started.IsZero() && now.Before(n.started.Add(StartGrace)) {
		first = earlier(first, n.started.Add(StartGrace))
	}
	return first
}

// tend does what is due by time.
func (n *Node) tend(now time.Time) {
	for _, v := range n.services {
		if v.due.IsZero() || now.Before(v.due) {
			continue
		}
		for _, s := range v.servers {
			n.judgeServer(now, v, s)
		}
		n.dirty, n.everything = true, true
		n.judgeService(now, v)
	}
}

// sorry tells whether the sorry server serves. While the first verdicts are awaited it does not.
func (n *Node) sorry(now time.Time, v *service) bool {
	if v.cfg.Sorry == nil || v.up || n.started.IsZero() {
		return false
	}
	return now.Sub(n.started) >= StartGrace || !v.waiting()
}

// waiting tells whether a server has no verdict yet.
func (v *service) waiting() bool {
	return slices.ContainsFunc(v.servers, func(s *server) bool { return s.status == health.Unknown })
}

// inTable is the weight that a server has in IPVS; false where it is not there.
func (n *Node) inTable(now time.Time, v *service, s *server) (weight int, there bool) {
	switch sorry := n.sorry(now, v); {
	case sorry && v.cfg.Sorry.Inhibit:
		return 0, true
	case s.drains() && (s.status == health.Up || s.kept):
		return 0, true
	case s.status == health.Up && !sorry:
		return s.ramped(now, v.cfg.SlowStart), true
	case s.kept && !sorry:
		return s.weight, true
	case s.status != health.Up && s.cfg.Inhibit:
		return 0, true
	}
	return 0, false
}

// wish is what IPVS should hold, once for each address of the service: the servers that are up or kept, with weight 0 those
// that inhibit_on_failure keeps, and the sorry server while it serves.
func (n *Node) wishService(now time.Time, v *service) []desired.Service {
	if v.wished == nil {
		v.wished = n.makeWish(now, v)
	}
	return v.wished
}

func (n *Node) makeWish(now time.Time, v *service) []desired.Service {
	in := make([]desired.Destination, 0, len(v.servers)+1)
	var gone []desired.Destination
	for _, s := range v.servers {
		d := s.cfg.Destination
		w, ok := n.inTable(now, v, s)
		switch {
		case ok:
			d.Weight = w
			in = append(in, d)
		case s.status == health.Down:
			gone = append(gone, d)
		}
	}
	if n.sorry(now, v) {
		in = slices.DeleteFunc(in, func(d desired.Destination) bool { return d.Address == v.cfg.Sorry.Destination.Address })
		in = append(in, v.cfg.Sorry.Destination)
	}
	var out []desired.Service
	for _, key := range v.cfg.Keys() {
		w := v.cfg.Service
		w.ServiceKey, w.Destinations, w.Gone = key, slices.Clone(in), make([]netip.AddrPort, len(gone))
		for k, d := range w.Destinations {
			w.Destinations[k].Address = At(key, d)
		}
		for k, d := range gone {
			w.Gone[k] = At(key, d)
		}
		out = append(out, w)
	}
	return out
}

// endServices tells of the end of the services that are to hear of it.
func (n *Node) endServices() {
	const reason = "the daemon is stopping"
	for _, v := range n.services {
		if !v.cfg.Omega {
			continue
		}
		for _, s := range v.servers {
			if s.status == health.Up {
				n.emit(event.Event{
					Code: "real_server.state", Severity: event.Warning, Kind: event.RealServer, Subject: s.cfg.Destination.Address.String(),
					Service: v.cfg.Name, From: string(health.Up), To: string(health.Down), Reason: reason, Notify: union(v.cfg.Notify, s.cfg.Notify),
				})
			}
		}
		if v.up {
			n.emit(v.transition(false, reason))
		}
	}
}

// transition is the event of a service's coming up or going down.
func (v *service) transition(up bool, reason string) event.Event {
	e := event.Event{Code: "service.state", Severity: event.Info, Kind: event.Service, Subject: v.cfg.Name, From: "down", To: "up", Reason: reason}
	e.Notify = union(v.cfg.Notify, v.cfg.NotifyUp)
	if !up {
		e.Severity, e.From, e.To, e.Notify = event.Critical, "up", "down", union(v.cfg.Notify, v.cfg.NotifyDown)
	}
	return e
}

// union joins two lists of names, each name once.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// serviceStatus is how a virtual server looks to an instance that tracks it.
func (n *Node) serviceStatus(name string) (status health.Status, reason string) {
	k := slices.IndexFunc(n.services, func(v *service) bool { return v.cfg.Name == name })
	switch {
	case k < 0:
		return health.Unknown, "there is no virtual_server " + name
	case n.services[k].suspect:
		return health.Down, "too many of its servers fail at once: this node's own network is suspected"
	case n.services[k].up:
		return health.Up, ""
	case n.services[k].waiting():
		return health.Unknown, "not all of its servers are checked yet"
	}
	return health.Down, belowQuorum
}

const belowQuorum = "the servers that are up do not reach the quorum"

// ask is the weight that a server should have while it is up: the configured one or the least that a check asks for, and what
// checks with a weight of their own add while they are up.
func (n *Node) ask(cfg RealServer) int {
	weight, asked, more := cfg.Destination.Weight, false, 0
	for _, k := range cfg.Checks {
		c := n.checks[k.Check]
		if k.Weighted {
			if c.Status() == health.Up && c.Judged() {
				more += k.Weight
			}
			continue
		}
		if w := c.Last().Weight; w >= 0 && (!asked || w < weight) {
			weight, asked = w, true
		}
	}
	return min(max(weight+more, 0), 65535)
}

// tellLacks tells of what the system lacks, each thing once.
func (n *Node) tellLacks(lacks []string) {
	for _, reason := range lacks {
		if !slices.Contains(n.table.lacks, reason) {
			n.emit(event.Event{Code: "service.lacks", Severity: event.Warning, Kind: event.Service, Subject: "ipvs", Reason: reason})
		}
	}
	if mended := len(n.table.lacks) - len(lacks); mended > 0 {
		n.emit(event.Event{
			Code: "service.mended", Severity: event.Info, Kind: event.Service, Subject: "ipvs",
			Reason: "the system has what the services need; still missing: " + strconv.Itoa(len(lacks)),
		})
	}
	n.table.lacks = lacks
}
