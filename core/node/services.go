package node

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
)

// service is one virtual server with the verdicts on its real servers.
type service struct {
	cfg     Service
	servers []*server
	up      bool
	suspect bool      // max_ejected keeps servers in that are down
	good    time.Time // when the pool was good for the last time, before our network was suspected
	due     time.Time // when something changes by time alone; zero for never

	rows     []RealServerStatus // of the servers as the last snapshot showed them; nil where they have changed
	drawn    time.Time          // when rows were made
	measured bool               // that a check has new figures since
	wished   []desired.Service  // what the kernel should hold of it; nil where something has changed since
	unjudged bool               // a server has changed, and the service itself was not judged since
}

// server is one real server.
type server struct {
	cfg    RealServer
	status health.Status
	since  time.Time
	reason string
	told   bool // that it is stale
	weight int  // while it is up: the configured one, or the one that a check asks for

	raw      health.Status // what its checks say, before damping
	fell     time.Time     // when it went down last; zero where it never was up
	kept     bool          // in the table though it is down
	drained  time.Time     // since when an operator keeps new connections from it; zero for not
	risen    time.Time     // when its slow start began; zero for none
	failures []time.Time   // for damping
	damped   bool          // kept out by damping
	passing  time.Time     // since when it passes while it is damped
}

// adoptServices takes the services of the configuration over, keeping the state of servers that stay. What the configuration before
// had just so is not looked at.
func (n *Node) adoptServices(now time.Time) {
	old := make(map[string]*service, len(n.services))
	for _, v := range n.services {
		old[v.cfg.Name] = v
	}
	n.services, n.unjudged = make([]*service, 0, len(n.cfg.Services)), nil
	var changed []*service
	for _, c := range n.cfg.Services {
		v := old[c.Name]
		if v == nil || !v.cfg.shared(c) {
			v = renewed(now, v, c)
			changed = append(changed, v)
		}
		n.services = append(n.services, v)
	}
	n.judgeServices(now, changed)
}

// renewed is a service with another configuration, and what is known from before; nil for nothing.
func renewed(now time.Time, before *service, c Service) *service {
	v := &service{cfg: c, servers: make([]*server, 0, len(c.RealServers))}
	var known map[netip.AddrPort]*server
	if before != nil {
		v.up, v.suspect, v.good = before.up, before.suspect, before.good
		known = make(map[netip.AddrPort]*server, len(before.servers))
		for _, s := range before.servers {
			known[s.cfg.Destination.Address] = s
		}
	}
	for _, r := range c.RealServers {
		s := known[r.Destination.Address]
		if s == nil {
			s = &server{status: health.Unknown, since: now}
		}
		s.cfg = r
		v.servers = append(v.servers, s)
	}
	return v
}

// judgeServices brings services and all their servers to what the checks say, with an event for each change.
func (n *Node) judgeServices(now time.Time, list []*service) {
	for _, v := range list {
		for _, s := range v.servers {
			n.judgeServer(now, v, s)
		}
		n.judgeService(now, v)
	}
}

// judgePlaces judges a few servers. Their services are judged at the end of the step, once for all results that came together.
func (n *Node) judgePlaces(now time.Time, places []place) {
	for _, p := range places {
		n.judgeServer(now, p.service, p.server)
		if !p.service.unjudged {
			p.service.unjudged = true
			n.unjudged = append(n.unjudged, p.service)
		}
	}
}

// judgeRest judges the services whose servers have changed in this step.
func (n *Node) judgeRest(now time.Time) {
	for _, v := range n.unjudged {
		v.unjudged = false
		n.judgeService(now, v)
	}
	n.unjudged = n.unjudged[:0]
}

func (n *Node) judgeServer(now time.Time, v *service, s *server) {
	status, reason := n.verdict(s.cfg)
	status, reason = s.damp(now, v.cfg.Damping, status, reason)
	s.reason, v.rows, v.wished = reason, nil, nil
	n.weigh(v, s, status)
	if status == s.status {
		return
	}
	e := event.Event{
		Code: "real_server.state", Severity: severityOf(status), Kind: event.RealServer,
		Subject: s.cfg.Destination.Address.String(), Service: v.cfg.Name,
		From: string(s.status), To: string(status), Reason: reason,
	}
	// The first "up" after the start is no news to anybody.
	if s.status != health.Unknown || status != health.Up {
		e.Notify = union(v.cfg.Notify, s.cfg.Notify)
	}
	switch {
	case status == health.Up:
		n.rise(now, v, s)
	case s.status == health.Up:
		s.fell = now
	}
	unchecked := s.status == health.Unknown && status == health.Up && len(s.cfg.Checks) == 0
	s.status, s.since, n.dirty = status, now, true
	if status == health.Up {
		e.Priority = s.weight
	}
	if !unchecked { // nobody has found out anything, and there may be thousands at once
		n.emit(e)
	}
}

// weigh follows the weight that a check asks for, as keepalived's misc_dynamic does. With several checks the least counts.
func (n *Node) weigh(v *service, s *server, status health.Status) {
	weight := n.ask(s.cfg)
	if weight == s.weight {
		return
	}
	if s.status == health.Up && status == health.Up {
		n.emit(event.Event{
			Code: "real_server.weight", Severity: event.Info, Kind: event.RealServer, Subject: s.cfg.Destination.Address.String(),
			Service: v.cfg.Name, From: strconv.Itoa(s.weight), To: strconv.Itoa(weight), Priority: weight, Reason: s.reason,
		})
	}
	s.weight, n.dirty = weight, true
}

// verdict is that of all checks of a server together: down if one is down, up if all are up, else unknown.
// A check that has seen nothing yet leaves the server unknown, whether or not it already counts as up.
func (n *Node) verdict(cfg RealServer) (status health.Status, reason string) {
	status = health.Up
	for _, k := range cfg.Checks {
		c := n.checks[k.Check]
		switch {
		case k.Weighted: // it decides about the weight alone
		case c.Status() == health.Down && c.Judged():
			return health.Down, c.Last().Reason
		case c.Status() != health.Up:
			status, reason = health.Unknown, "not checked yet"
		}
	}
	return status, reason
}

// judgeService brings a service to what its servers are. A hysteresis keeps it from going to and fro.
func (n *Node) judgeService(now time.Time, v *service) {
	v.wished = nil
	n.eject(now, v)
	if up := v.weight() >= v.need(); up != v.up {
		v.up, n.dirty = up, true
		reason := ""
		if !up {
			reason = belowQuorum
		}
		n.emit(v.transition(up, reason))
	}
	v.due = n.due(now, v)
}

// weight is that of the servers that count, together.
func (v *service) weight() (sum int) {
	for _, s := range v.servers {
		if s.serves() {
			sum += s.weight
		}
	}
	return sum
}

// need is the weight at which the service is up.
func (v *service) need() int {
	if v.up {
		return max(v.cfg.Quorum, 1) - v.cfg.Hysteresis
	}
	return max(v.cfg.Quorum, 1) + v.cfg.Hysteresis
}
