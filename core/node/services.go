package node

import (
	"slices"
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
}

// server is one real server.
type server struct {
	cfg    RealServer
	status health.Status
	since  time.Time
	reason string
	weight int // while it is up: the configured one, or the one that a check asks for
}

// adoptServices takes the services of the configuration over, keeping the state of servers that stay.
func (n *Node) adoptServices(now time.Time) {
	old := n.services
	n.services = make([]*service, 0, len(n.cfg.Services))
	for _, c := range n.cfg.Services {
		v := &service{cfg: c}
		var before *service
		if k := slices.IndexFunc(old, func(o *service) bool { return o.cfg.Name == c.Name }); k >= 0 {
			before, v.up = old[k], old[k].up
		}
		for _, r := range c.RealServers {
			v.servers = append(v.servers, before.server(r, now))
		}
		n.services = append(n.services, v)
	}
	n.judgeServices(now)
}

// server is the state of a real server after a reload: that from before where there was one.
func (v *service) server(cfg RealServer, now time.Time) *server {
	if v != nil {
		for _, s := range v.servers {
			if s.cfg.Destination.Address == cfg.Destination.Address {
				s.cfg = cfg
				return s
			}
		}
	}
	return &server{cfg: cfg, status: health.Unknown, since: now}
}

// judgeServices brings every server and service to what the checks say, with an event for each change.
func (n *Node) judgeServices(now time.Time) {
	for _, v := range n.services {
		for _, s := range v.servers {
			n.judgeServer(now, v, s)
		}
		n.judgeService(v)
	}
}

func (n *Node) judgeServer(now time.Time, v *service, s *server) {
	status, reason := n.verdict(s.cfg)
	s.reason = reason
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
		e.Notify = v.cfg.Notify
	}
	s.status, s.since, n.dirty = status, now, true
	if status == health.Up {
		e.Priority = s.weight
	}
	n.emit(e)
}

// weigh follows the weight that a check asks for, as keepalived's misc_dynamic does. With several checks the least counts.
func (n *Node) weigh(v *service, s *server, status health.Status) {
	weight, asked := s.cfg.Destination.Weight, false
	for _, k := range s.cfg.Checks {
		if w := n.checks[k.Check].Last().Weight; w >= 0 && (!asked || w < weight) {
			weight, asked = w, true
		}
	}
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
		case c.Status() == health.Down && c.Judged():
			return health.Down, c.Last().Reason
		case c.Status() != health.Up:
			status, reason = health.Unknown, "not checked yet"
		}
	}
	return status, reason
}

func (n *Node) judgeService(v *service) {
	weight := 0
	for _, s := range v.servers {
		if s.status == health.Up {
			weight += s.weight
		}
	}
	up := weight >= max(v.cfg.Quorum, 1)
	if up == v.up {
		return
	}
	v.up = up
	e := event.Event{
		Code: "service.state", Severity: event.Info, Kind: event.Service, Subject: v.cfg.Name, From: "down", To: "up", Notify: v.cfg.Notify,
	}
	if !up {
		e.Severity, e.From, e.To, e.Reason = event.Critical, "up", "down", "the servers that are up do not reach the quorum"
	}
	n.emit(e)
}

// wish is what IPVS should hold: the servers that are up, and with weight 0 those that inhibit_on_failure keeps.
func (v *service) wish() desired.Service {
	w := v.cfg.Service
	w.Destinations = nil
	for _, s := range v.servers {
		d := s.cfg.Destination
		switch {
		case s.status == health.Up:
			d.Weight = s.weight
		case s.cfg.Inhibit:
			d.Weight = 0
		default:
			continue
		}
		w.Destinations = append(w.Destinations, d)
	}
	return w
}
