package node

import (
	"time"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// Snapshot is the state at the instant now, for readers.
func (n *Node) Snapshot(now time.Time) *Snapshot {
	s := &Snapshot{At: now, Name: n.cfg.Name, Ready: !n.started.IsZero() && !n.stopping}
	for _, i := range n.instances {
		s.Instances = append(s.Instances, n.instanceStatus(i))
		s.Ready = s.Ready && i.router.State() != vrrp.Init
	}
	for _, k := range n.cfg.Checkers {
		c := n.checks[k.Check]
		s.Checkers = append(s.Checkers, CheckerStatus{
			Name: k.Name, Status: c.Status(), Since: c.since, Reason: c.Last().Reason, Stale: c.Stale(),
		})
	}
	for _, v := range n.services {
		s.Services = append(s.Services, n.serviceStatus(v))
	}
	return s
}

func (n *Node) instanceStatus(i *instance) InstanceStatus {
	s := InstanceStatus{
		Config: i.cfg, State: i.router.State(), Since: i.router.Since(), Reason: i.router.Reason(),
		Effective: i.router.Effective(), Yielded: i.router.Yielded(), Counters: i.router.Counters(),
	}
	if i.waiting != "" {
		s.Reason = i.waiting
	}
	s.Master.Address, s.Master.Priority, s.Master.LastAdvert = i.router.Master()
	lease := i.lease(n.cfg.Lone)
	for _, a := range i.cfg.Addresses {
		st := AddressStatus{Prefix: a.Prefix, Error: i.refused[a.key()]}
		st.Held = i.holds && st.Error == ""
		if st.Held && lease > 0 {
			st.LeaseEnd = i.renewed.Add(lease)
		}
		s.Addresses = append(s.Addresses, st)
	}
	for _, t := range i.cfg.Tracks {
		status, reason := n.trackStatus(t)
		s.Tracks = append(s.Tracks, TrackStatus{Track: t, Status: status, Reason: reason, Stale: n.staleTrack(t)})
	}
	return s
}

func (n *Node) serviceStatus(v *service) ServiceStatus {
	s := ServiceStatus{Config: v.cfg, Up: v.up, Error: n.servicesError}
	for _, r := range v.servers {
		st := RealServerStatus{Address: r.cfg.Destination, Status: r.status, Since: r.since, Reason: r.reason, Stale: n.staleServer(r.cfg)}
		if r.status == health.Up {
			st.EffectiveWeight = r.weight
		}
		s.RealServers = append(s.RealServers, st)
	}
	return s
}
