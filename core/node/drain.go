package node

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
)

// drainedByOperator is why a drained server gets no new connections.
const drainedByOperator = "drained by an operator"

// Drained is a real server that an operator has taken out, in the form that outlives the daemon.
type Drained struct {
	Service string
	Server  netip.AddrPort
	// Since is when it was taken out.
	Since time.Time
}

// Drains are the real servers that are drained, in the order of the configuration.
func (n *Node) Drains() (out []Drained) {
	n.eachServer(func(v *service, s *server) {
		if s.drains() {
			out = append(out, Drained{v.cfg.Name, s.cfg.Destination.Address, s.drained})
		}
	})
	return out
}

// DrainsAfter are the drains as they would be after a command, which it judges as [Node.Step] does: what has to outlive the daemon
// can be kept before the command takes effect.
func (n *Node) DrainsAfter(now time.Time, in Drain) ([]Drained, error) {
	v, s, err := n.drainable(in)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(n.Drains(), func(d Drained) bool {
		return d.Service == v.cfg.Name && d.Server == s.cfg.Destination.Address
	})
	if !in.Undo {
		all = append(all, Drained{v.cfg.Name, s.cfg.Destination.Address, now})
	}
	return all, nil
}

// drain takes a server out, or puts it back.
func (n *Node) drain(now time.Time, in Drain) {
	a := Answer{ID: in.ID}
	defer func() { n.out.Answers = append(n.out.Answers, a) }()
	v, s, err := n.drainable(in)
	if err != nil {
		a.Err = err
		return
	}
	name := fmt.Sprintf("%v of %s", s.cfg.Destination.Address, v.cfg.Name)
	switch {
	case s.drains() == !in.Undo:
		a.Text = name + map[bool]string{true: " is not drained", false: " is drained already"}[in.Undo]
	case in.Undo:
		s.drained = time.Time{}
		n.rise(now, v, s)
		n.emit(v.drainEvent(s, "drain", string(s.status), "put back by an operator"))
		a.Text = name + " takes connections again"
		if s.status != health.Up {
			a.Text = fmt.Sprintf("%s is not drained any more; it is %s, so that it takes no connections yet", name, s.status)
		}
	default:
		s.drained = now
		n.emit(v.drainEvent(s, string(s.status), "drain", drainedByOperator))
		a.Text = name + " takes no new connections"
	}
	v.rows, n.dirty = nil, true
	n.judgeService(now, v)
}

// drainable finds the server of a command, and judges whether it may be done.
func (n *Node) drainable(in Drain) (*service, *server, error) {
	k := slices.IndexFunc(n.services, func(v *service) bool { return v.cfg.Name == in.Service })
	if k < 0 {
		return nil, nil, fmt.Errorf("%w: there is no virtual_server %q", ErrNotFound, in.Service)
	}
	v := n.services[k]
	k = slices.IndexFunc(v.servers, func(s *server) bool { return s.cfg.Destination.Address == in.Server })
	switch {
	case k < 0:
		return nil, nil, fmt.Errorf("%w: %s has no real_server %v", ErrNotFound, in.Service, in.Server)
	case n.stopping:
		return nil, nil, fmt.Errorf("%w: the daemon is stopping", ErrRefused)
	}
	s := v.servers[k]
	if !in.Undo && !in.Force && v.up && s.serves() && v.weight()-s.weight < v.need() {
		return nil, nil, fmt.Errorf("%w: %s", ErrRefused, n.missed(v, s))
	}
	return v, s, nil
}

// missed says what a service would lack without one of its servers.
func (n *Node) missed(v *service, s *server) string {
	rest := v.weight() - s.weight
	text := fmt.Sprintf("without %v the service %s would have no server that takes connections", s.cfg.Destination.Address, v.cfg.Name)
	if rest > 0 {
		text = fmt.Sprintf("without %v the service %s would go down: the weight of its other servers is %d, and its quorum asks for %d",
			s.cfg.Destination.Address, v.cfg.Name, rest, v.need())
	}
	if v.cfg.Sorry != nil {
		text += fmt.Sprintf("; its sorry server %v would serve instead", v.cfg.Sorry.Destination.Address)
	}
	return text
}

// resumeDrains begins with the drains of a former run. What is not configured any more is forgotten.
func (n *Node) resumeDrains(drains []Drained) {
	type key struct {
		service string
		server  netip.AddrPort
	}
	since := make(map[key]time.Time, len(drains))
	for _, d := range drains {
		since[key{d.Service, d.Server}] = d.Since
	}
	n.eachServer(func(v *service, s *server) { s.drained = since[key{v.cfg.Name, s.cfg.Destination.Address}] })
}

func (s *server) drains() bool { return !s.drained.IsZero() }

// serves tells whether the server counts: it is up, or taken for it, and nobody drains it.
func (s *server) serves() bool { return (s.status == health.Up || s.kept) && !s.drains() }

// drainEvent is that of the beginning or end of a drain.
func (v *service) drainEvent(s *server, from, to, reason string) event.Event {
	return event.Event{
		Code: "real_server.drain", Severity: event.Info, Kind: event.RealServer, Subject: s.cfg.Destination.Address.String(),
		Service: v.cfg.Name, From: from, To: to, Reason: reason, Notify: union(v.cfg.Notify, s.cfg.Notify),
	}
}

// otherwise says how a drained server is apart from that; nothing where it is well.
func (s *server) otherwise() string {
	switch {
	case s.status == health.Up:
		return ""
	case s.reason == "":
		return "; its checks say " + string(s.status)
	}
	return fmt.Sprintf("; its checks say %s: %s", s.status, s.reason)
}
