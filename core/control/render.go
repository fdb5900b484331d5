package control

import (
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// Extra is what a status says besides the node's own state.
type Extra struct {
	// Version of the daemon, Hash of its configuration.
	Version, Hash string
	// Started is when the daemon began.
	Started time.Time
	// Now is the instant to which ages and remaining leases refer.
	Now time.Time
	// Plugins as the host reports them.
	Plugins []Plugin
	// Connections of the real servers, as IPVS last reported them.
	Connections map[desired.ServiceKey]map[netip.AddrPort]Counts
}

// Counts are the connections of one real server.
type Counts struct{ Active, Inactive uint32 }

// Render makes the status from a snapshot. A nil snapshot is that of a daemon that has not begun yet.
func Render(s *node.Snapshot, x Extra) Status {
	if s == nil {
		s = &node.Snapshot{}
	}
	r := renderer{x}
	return Status{
		Format: StatusFormat, Version: x.Version, Node: s.Name, ConfigHash: x.Hash, Started: instant(x.Started), Ready: s.Ready,
		Instances: each(s.Instances, r.instance),
		Checkers:  each(s.Checkers, r.checker),
		Services:  each(s.Services, r.service),
		Plugins:   append([]Plugin{}, x.Plugins...),
	}
}

type renderer struct{ x Extra }

func (r renderer) instance(i node.InstanceStatus) Instance {
	c := i.Config.VRRP
	return Instance{
		Name: i.Config.Name, Interface: i.Config.Interface, Family: family(i.Config),
		VirtualRouterID: int(c.VRID), Version: int(c.Version),
		State: i.State.String(), Since: r.since(i.Since), Reason: i.Reason,
		Priority: int(c.Priority), EffectivePriority: int(i.Effective),
		AdvertIntervalMS: c.Interval.Milliseconds(), Preempt: c.Preempt, Yielded: i.Yielded,
		Addresses: each(i.Addresses, r.address(i.Config)),
		Master:    r.master(i.Master),
		Tracks:    each(i.Tracks, track),
		Counters:  counters(i),
	}
}

// family is that of the VIPs, or of the source address where there is none.
func family(c node.Instance) string {
	addr := c.VRRP.Source
	if len(c.Addresses) > 0 {
		addr = c.Addresses[0].Prefix.Addr()
	}
	if addr.Is6() {
		return "ipv6"
	}
	return "ipv4"
}

func (r renderer) address(c node.Instance) func(node.AddressStatus) Address {
	return func(a node.AddressStatus) Address {
		out := Address{Address: a.Prefix, Interface: c.Interface, Held: a.Held, Error: a.Error}
		for _, v := range c.Addresses {
			if v.Prefix == a.Prefix {
				out.Interface = v.Interface
			}
		}
		if !a.LeaseEnd.IsZero() {
			out.LeaseMS = max(a.LeaseEnd.Sub(r.x.Now), 0).Milliseconds()
		}
		return out
	}
}

func (r renderer) master(m node.MasterStatus) Master {
	if !m.Address.IsValid() {
		return Master{}
	}
	out := Master{Address: m.Address.String(), Priority: int(m.Priority)}
	if !m.LastAdvert.IsZero() {
		age := max(r.x.Now.Sub(m.LastAdvert), 0).Milliseconds()
		out.LastAdvertMS = &age
	}
	return out
}

func track(t node.TrackStatus) Track {
	out := Track{Name: string(t.Kind) + "." + t.Name, State: string(t.Status), Reason: t.Reason, Stale: t.Stale}
	if t.Weighted {
		out.Weight = &t.Weight
	}
	return out
}

func counters(i node.InstanceStatus) Counters {
	c := i.Counters
	out := Counters{
		AdvertsSent: c.Sent, AdvertsReceived: c.Received, PriorityZeroSent: c.PriorityZeroSent,
		PriorityZeroReceived: c.PriorityZeroReceived, BecameMaster: c.BecameMaster,
		Discarded: map[string]uint64{},
	}
	for _, reason := range vrrp.Reasons() {
		out.Discarded[string(reason)] = c.Discarded[reason]
	}
	return out
}

func (r renderer) checker(c node.CheckerStatus) Checker {
	return Checker{Name: c.Name, State: string(c.Status), Since: r.since(c.Since), Reason: c.Reason, Stale: c.Stale}
}

func (r renderer) service(s node.ServiceStatus) Service {
	k := s.Config.Service
	out := Service{
		Name: s.Config.Name, Address: k.Address, Protocol: string(k.Protocol), Scheduler: k.Scheduler, Up: s.Up, Error: s.Error,
		RealServers: each(s.RealServers, r.realServer(k.ServiceKey)),
	}
	if len(out.RealServers) > 0 {
		out.Forward = out.RealServers[0].Forward
	}
	return out
}

func (r renderer) realServer(k desired.ServiceKey) func(node.RealServerStatus) RealServer {
	return func(s node.RealServerStatus) RealServer {
		d, n := s.Address, r.x.Connections[k][s.Address.Address]
		return RealServer{
			Address: d.Address, State: serverState(s), Forward: string(d.Forward),
			Weight: d.Weight, EffectiveWeight: s.EffectiveWeight, Reason: s.Reason, Since: r.since(s.Since), Stale: s.Stale,
			ActiveConnections: n.Active, InactiveConnections: n.Inactive,
		}
	}
}

func serverState(s node.RealServerStatus) string {
	if s.Status == health.Up && s.EffectiveWeight == 0 {
		return "drain"
	}
	return string(s.Status)
}

// since is when a state began; what has no instant of its own is as old as the daemon.
func (r renderer) since(t time.Time) time.Time {
	if t.IsZero() {
		t = r.x.Started
	}
	return instant(t)
}

// instant is a time as the status shows it: UTC, to the millisecond, without the monotonic clock.
func instant(t time.Time) time.Time { return t.UTC().Round(time.Millisecond) }

// each is a list made from another, never nil, since JSON lists of the status are never null.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}
