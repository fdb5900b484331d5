package node

import (
	"fmt"
	"time"

	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

// Snapshot is the state at the instant now, for readers.
func (n *Node) Snapshot(now time.Time) *Snapshot {
	s := &Snapshot{At: now, Name: n.cfg.Name, Ready: !n.started.IsZero() && !n.stopping, Maintenance: n.maintenance.Maintenance, Leaving: n.strays()}
	s.Sync = SyncStatus{Config: n.cfg.Sync, Running: n.synced, Since: n.syncedAt, Error: n.table.unsaid}
	for _, i := range n.instances {
		s.Instances = append(s.Instances, n.instanceStatus(now, i))
		s.Ready = s.Ready && i.router.State() != vrrp.Init
	}
	for _, m := range n.members {
		s.Peers = append(s.Peers, m.status(now))
	}
	for _, g := range n.groups {
		s.Groups = append(s.Groups, GroupStatus{Config: g.cfg, State: g.state, Since: g.since, Reason: g.reason})
	}
	for _, k := range n.cfg.Checkers {
		c := n.checks[k.Check]
		s.Checkers = append(s.Checkers, CheckerStatus{
			Name: k.Name, Status: c.Status(), Since: c.since, Reason: withTrouble(c.Last().Reason, c.cannot()), Stale: c.Stale(), Values: c.values,
		})
	}
	for _, v := range n.services {
		s.Services = append(s.Services, ServiceStatus{
			Config: v.cfg, Up: v.up, Suspect: v.suspect, Sorry: n.sorry(now, v), Error: n.trouble(v), RealServers: n.rows(now, v),
			Leaving: n.leavers(v),
		})
	}
	return s
}

func (n *Node) instanceStatus(now time.Time, i *instance) InstanceStatus {
	s := InstanceStatus{
		Config: i.cfg, State: i.router.State(), Since: i.router.Since(), Reason: i.router.Reason(),
		Effective: i.router.Effective(), Yielded: i.router.Yielded(), Counters: i.router.Counters(), Guard: i.guardStatus(now),
	}
	if i.waiting != "" {
		s.Reason = i.waiting
	}
	if why := i.standsBack(); why != "" {
		s.State, s.Since, s.Reason = vrrp.Hold, i.guard.wanted, why
	}
	if why := n.defers(now, i); why != "" {
		s.Reason += "; " + why
	}
	s.Master.Address, s.Master.Priority, s.Master.LastAdvert = i.router.Master()
	lease, fast := i.lease(n.cfg.Lone), i.fastLease(n.cfg.Lone)
	for _, a := range i.cfg.Addresses {
		st := AddressStatus{Prefix: a.Prefix, Error: i.refused[a.key()]}
		st.Held = i.holds && st.Error == ""
		switch {
		case !st.Held:
		case fast > 0:
			st.LeaseEnd = i.renewed.Add(fast)
		case lease > 0:
			st.LeaseEnd = i.wished.Add(lease)
		}
		s.Addresses = append(s.Addresses, st)
	}
	for _, t := range i.tracks {
		st := TrackStatus{Track: t}
		st.Status, st.Reason = n.trackStatus(t)
		if c := n.checkOf(t); c != nil {
			st.Reason, st.Stale = withTrouble(st.Reason, c.cannot()), c.Stale()
		}
		s.Tracks = append(s.Tracks, st)
	}
	return s
}

// figuresEvery is how old the figures of checks may get in a snapshot: who reads them does so every few seconds.
// Those of a large service get older, so that nobody feels it.
const (
	figuresEvery = time.Second
	figuresShare = 500 * time.Microsecond // for each server
)

// rows are the servers of a service. They are made anew where something has changed, for there may be thousands.
func (n *Node) rows(now time.Time, v *service) []RealServerStatus {
	if v.rows != nil && (!v.measured || now.Sub(v.drawn) < max(figuresEvery, time.Duration(len(v.rows))*figuresShare)) {
		return v.rows
	}
	v.rows, v.drawn, v.measured = make([]RealServerStatus, len(v.servers)), now, false
	for k, r := range v.servers {
		st := RealServerStatus{
			Address: r.cfg.Destination, Status: r.status, Since: r.since, Reason: n.serverReason(r), Stale: n.staleServer(r.cfg), Checks: n.figures(r.cfg),
		}
		if w, ok := n.inTable(now, v, r); ok {
			st.EffectiveWeight = w
		}
		st.Kept, st.Aside = r.kept, n.sorry(now, v)
		if r.drains() {
			st.Drained, st.Since, st.Reason = true, r.drained, drainedByOperator+r.otherwise()
		}
		v.rows[k] = st
	}
	return v.rows
}

// figures are the latest results of the checks of a server. The second check of a plugin is told from the first by its number.
func (n *Node) figures(cfg RealServer) []CheckResult {
	var all []CheckResult
	for k, c := range cfg.Checks {
		x := n.checks[c.Check]
		if x.at.IsZero() {
			continue
		}
		name, same := c.Plugin, 1
		for _, before := range cfg.Checks[:k] {
			if before.Plugin == c.Plugin {
				same++
			}
		}
		if same > 1 {
			name = fmt.Sprintf("%s-%d", c.Plugin, same)
		}
		all = append(all, CheckResult{Check: name, At: x.at, Observation: x.latest})
	}
	return all
}

func (i *instance) guardStatus(now time.Time) GuardStatus {
	g := &i.guard
	s := GuardStatus{
		Condition: i.condition(), Verdict: g.verdict, Evidence: g.facts, Since: g.wanted, Epoch: i.term, Conflicts: i.conflicts,
		Refusals: i.refusals, DualMaster: g.dual,
	}
	if !g.rival.IsZero() {
		s.DualMaster += now.Sub(g.rival)
	}
	return s
}

func (m *member) status(now time.Time) PeerStatus {
	s := PeerStatus{
		Name: m.cfg.Name, Alive: m.alive(now, time.Time{}), Heard: m.heard, Version: m.version, ConfigHash: m.hash, Drift: m.drift,
		Isolated: m.isolated(), Maintenance: m.flags&heartbeat.Maintenance != 0, HearsUs: m.flags&heartbeat.HearsYou != 0,
		Fence: m.fence.Standing(),
	}
	for _, p := range m.paths {
		s.Paths = append(s.Paths, PathStatus{Path: p.cfg, Up: p.up, Heard: p.heard, RTT: p.rtt})
	}
	return s
}
