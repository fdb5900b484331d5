package control

import (
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
	// Fencers with what they said when they were asked last.
	Fencers []Fencer
	// Traffic of the services and their real servers, as IPVS last counted it.
	Traffic node.Traffic
}

// Render makes the status from a snapshot. A nil snapshot is that of a daemon that has not begun yet.
func Render(s *node.Snapshot, x Extra) Status {
	if s == nil {
		s = &node.Snapshot{}
	}
	r := renderer{x}
	return Status{
		Format: StatusFormat, Version: x.Version, Node: s.Name, ConfigHash: x.Hash, Started: instant(x.Started), Ready: s.Ready,
		Instances:   each(s.Instances, r.instance),
		Peers:       each(s.Peers, r.peer),
		Groups:      each(s.Groups, r.group),
		Checkers:    each(s.Checkers, r.checker),
		Services:    each(s.Services, r.service),
		Removed:     r.removed(s.Leaving),
		Sync:        r.sync(s.Sync),
		Plugins:     append([]Plugin{}, x.Plugins...),
		Fencers:     append([]Fencer{}, x.Fencers...),
		Maintenance: maintenanceOf(s.Maintenance),
	}
}

func maintenanceOf(m node.Maintenance) Maintenance {
	if !m.On() {
		return Maintenance{}
	}
	since := instant(m.Since)
	return Maintenance{On: true, Since: &since, Reason: m.Reason}
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
		Guard:     r.guard(i.Guard),
	}
}

func (r renderer) group(g node.GroupStatus) Group {
	return Group{
		Name: g.Config.Name, State: g.State.String(), Since: r.since(g.Since), Reason: g.Reason,
		Instances: append([]string{}, g.Config.Instances...),
	}
}

// family is that of the adverts.
func family(c node.Instance) string {
	if c.VRRP.IPv6() {
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
	out := Checker{Name: c.Name, State: string(c.Status), Since: r.since(c.Since), Reason: c.Reason, Stale: c.Stale, Values: c.Values}
	if out.Values == nil {
		out.Values = map[string]float64{}
	}
	return out
}

func (r renderer) sync(s node.SyncStatus) *Sync {
	d := s.Config.Daemon
	if s.Config.Instance == "" {
		return nil
	}
	return &Sync{
		Role: string(s.Running.Role), Since: r.since(s.Since), Instance: s.Config.Instance,
		Interface: d.Interface, ID: int(d.ID), Group: d.Group, Port: int(d.Port), Error: s.Error,
	}
}

func (r renderer) service(s node.ServiceStatus) Service {
	k := s.Config.Service
	out := Service{
		Name: s.Config.Name, Address: k.Address, Fwmark: k.Mark, Protocol: string(k.Protocol), Scheduler: k.Scheduler, Up: s.Up, Error: s.Error,
		Suspect: s.Suspect, Sorry: s.Sorry, Traffic: r.x.Traffic.Service(s.Config),
		RealServers: each(s.RealServers, r.realServer(s.Config)),
	}
	for _, l := range s.Leaving {
		out.Leaving = append(out.Leaving, r.leaving(l))
	}
	if len(s.Config.Also) > 0 || k.Mark != 0 {
		out.Addresses = each(s.Config.Keys(), desired.ServiceKey.String)
	}
	if len(out.RealServers) > 0 {
		out.Forward = out.RealServers[0].Forward
	}
	return out
}

func (r renderer) leaving(l node.Leaving) Leaving {
	n := r.x.Traffic[l.Service].Servers[l.Server]
	return Leaving{l.Server, instant(l.Until), n.Active, n.Inactive}
}

// removed gathers the servers, of which those of a service stand together, by service.
func (r renderer) removed(list []node.Leaving) (out []Removed) {
	for k, l := range list {
		if k == 0 || list[k-1].Service != l.Service {
			out = append(out, Removed{Service: l.Service.String()})
		}
		last := &out[len(out)-1]
		last.Leaving = append(last.Leaving, r.leaving(l))
	}
	return out
}

func (r renderer) realServer(cfg node.Service) func(node.RealServerStatus) RealServer {
	return func(s node.RealServerStatus) RealServer {
		d, n := s.Address, r.x.Traffic.Server(cfg, s.Address)
		values := map[string]map[string]float64{}
		for _, c := range s.Checks {
			if len(c.Values) > 0 {
				values[c.Check] = c.Values
			}
		}
		return RealServer{
			Address: d.Address, State: serverState(s), Forward: string(d.Forward),
			Weight: d.Weight, EffectiveWeight: s.EffectiveWeight, Reason: s.Reason, Since: r.since(s.Since), Stale: s.Stale, Values: values,
			Checks:            each(s.Checks, checkResult),
			ActiveConnections: n.Active, InactiveConnections: n.Inactive, Traffic: n,
		}
	}
}

func checkResult(c node.CheckResult) CheckResult {
	return CheckResult{
		Check: c.Check, Result: c.Outcome.String(), Reason: c.Reason, At: instant(c.At), TookMS: float64(c.Took.Microseconds()) / 1000,
	}
}

func serverState(s node.RealServerStatus) string {
	if s.Drained || s.Status == health.Up && s.EffectiveWeight == 0 && !s.Aside {
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
