package metrics

import (
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// collector turns a [State] into samples.
type collector struct {
	read func() State
	d    descriptions
}

func newCollector(read func() State) *collector { return &collector{read: read, d: describe()} }

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.d.all {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.read()
	out := sink{ch}
	c.daemon(out, s)
	for _, p := range s.Plugins {
		out.gauge(c.d.pluginUp, truth(p.Up), p.Name, p.Kind)
		out.counter(c.d.pluginRestarts, uint64(max(p.Restarts, 0)), p.Name, p.Kind)
		out.counter(c.d.pluginDropped, p.Dropped, p.Name, p.Kind)
		out.counter(c.d.pluginRefused, p.Refused, p.Name, p.Kind)
		if p.Checks != nil {
			c.checks(out, p.Name, *p.Checks)
		}
	}
	for _, f := range s.Fencers {
		out.gauge(c.d.fenceUp, truth(f.Up), f.Name, f.Kind)
	}
	for name, up := range s.Witnesses {
		out.gauge(c.d.witnessUp, truth(up), name)
	}
	for result, n := range s.Fences {
		out.counter(c.d.fences, n, result)
	}
	for _, q := range s.Outbox {
		out.gauge(c.d.outboxQueued, float64(q.Queued), q.Notifier)
		out.counter(c.d.outboxDelivered, q.Delivered, q.Notifier)
		out.counter(c.d.outboxDropped, q.Dropped, q.Notifier)
		out.counter(c.d.outboxFailed, q.Failed, q.Notifier)
		out.gauge(c.d.outboxOldest, age(s.Now, q.Oldest), q.Notifier)
	}
	if s.Snapshot == nil {
		return
	}
	for _, i := range s.Snapshot.Instances {
		c.instance(out, s, i)
		c.guard(out, i.Config.Name, i.Guard)
	}
	for _, p := range s.Snapshot.Peers {
		for _, w := range p.Paths {
			path := p.Name + "/" + w.Path.Name
			out.gauge(c.d.peerUp, truth(w.Up), path)
			if w.RTT > 0 {
				out.gauge(c.d.peerRTT, w.RTT.Seconds(), path)
			}
		}
	}
	for _, k := range s.Snapshot.Checkers {
		out.gauge(c.d.checkerUp, truth(k.Status == health.Up), k.Name)
		for name, v := range k.Values {
			out.gauge(c.d.value, v, k.Name, "", "", "", name)
		}
	}
	for _, v := range s.Snapshot.Services {
		c.service(out, s, v)
	}
}

// checks shows the work of a checker.
func (c *collector) checks(out sink, plugin string, w Checks) {
	out.gauge(c.d.targets, float64(w.Targets), plugin)
	out.gauge(c.d.stuck, float64(w.Stuck), plugin)
	out.counter(c.d.runs, w.Runs, plugin)
	out.counter(c.d.lost, w.Lost, plugin)
	if len(w.Late) != len(w.LateBounds)+1 {
		return
	}
	buckets, count := make(map[float64]uint64, len(w.LateBounds)), uint64(0)
	for i, n := range w.Late {
		count += n
		if i < len(w.LateBounds) {
			buckets[w.LateBounds[i].Seconds()] = count
		}
	}
	out.ch <- prometheus.MustNewConstHistogram(c.d.lateness, count, w.LateSum.Seconds(), buckets, plugin)
}

func (c *collector) daemon(out sink, s State) {
	out.gauge(c.d.build, 1, s.Version, runtime.Version())
	out.gauge(c.d.config, 1, s.Hash)
	out.gauge(c.d.ready, truth(s.Snapshot != nil && s.Snapshot.Ready))
	if !s.Progress.IsZero() {
		out.gauge(c.d.idle, max(s.Now.Sub(s.Progress), 0).Seconds())
	}
	out.counter(c.d.loopDropped, s.LoopDropped)
	out.counter(c.d.late, s.SchedulerLate)
	out.counter(c.d.cut, s.FollowersCut)
	out.gauge(c.d.outboxUnsaved, truth(s.OutboxUnsaved))
	for name, n := range s.WireDropped {
		out.counter(c.d.wireDropped, n, name)
	}
	for path, results := range s.Beats {
		for result, n := range results {
			out.counter(c.d.beats, n, path, result)
		}
	}
	for result, n := range s.Neighbours {
		out.counter(c.d.neighbours, n, result)
	}
}

func (c *collector) instance(out sink, s State, i node.InstanceStatus) {
	name := i.Config.Name
	out.gauge(c.d.state, float64(i.State), name)
	out.gauge(c.d.priority, float64(i.Config.VRRP.Priority), name)
	out.gauge(c.d.effective, float64(i.Effective), name)
	out.counter(c.d.sent, i.Counters.Sent, name)
	out.counter(c.d.received, i.Counters.Received, name)
	out.counter(c.d.zeroSent, i.Counters.PriorityZeroSent, name)
	out.counter(c.d.zeroReceived, i.Counters.PriorityZeroReceived, name)
	out.counter(c.d.becameMaster, i.Counters.BecameMaster, name)
	for _, r := range vrrp.Reasons() {
		out.counter(c.d.discarded, i.Counters.Discarded[r], name, string(r))
	}
	for _, a := range i.Addresses {
		out.gauge(c.d.vipOwned, truth(a.Held), a.Prefix.String(), name)
		if !a.LeaseEnd.IsZero() {
			out.gauge(c.d.vipLease, max(a.LeaseEnd.Sub(s.Now), 0).Seconds(), a.Prefix.String(), name)
		}
	}
}

// guard shows what is known about a takeover of an instance.
func (c *collector) guard(out sink, name string, g node.GuardStatus) {
	out.counter(c.d.conflicts, g.Conflicts, name)
	out.seconds(c.d.dualMaster, g.DualMaster, name)
	for row, n := range g.Refusals {
		out.counter(c.d.refused, n, name, guard.Row(row).Name())
	}
	if g.Verdict.Decision == "" {
		return
	}
	for _, s := range g.Evidence.Signs() {
		out.gauge(c.d.evidence, truth(s.Yes), name, s.Kind)
	}
}

func (c *collector) service(out sink, s State, v node.ServiceStatus) {
	name := v.Config.Name
	out.gauge(c.d.serviceUp, truth(v.Up), name)
	out.gauge(c.d.serviceSuspect, truth(v.Suspect), name)
	out.gauge(c.d.serviceSorry, truth(v.Sorry), name)
	c.traffic(out, c.d.serviceTraffic, s.Traffic.Service(v.Config), name)
	for _, r := range v.RealServers {
		server := r.Address.Address.String()
		out.gauge(c.d.serverUp, truth(r.Status == health.Up), name, server)
		out.gauge(c.d.serverWeight, float64(r.EffectiveWeight), name, server)
		for _, k := range r.Checks {
			out.gauge(c.d.took, k.Took.Seconds(), name, server, k.Check)
			for figure, v := range k.Values {
				out.gauge(c.d.value, v, "", name, server, k.Check, figure)
			}
		}
		if held(s.Traffic, v.Config, r) {
			n := s.Traffic.Server(v.Config, r.Address)
			out.gauge(c.d.active, float64(n.Active), name, server)
			out.gauge(c.d.inactive, float64(n.Inactive), name, server)
			c.traffic(out, c.d.serverTraffic, n, name, server)
		}
	}
}

// held tells whether IPVS has the real server.
func held(t node.Traffic, cfg node.Service, r node.RealServerStatus) bool {
	return slices.ContainsFunc(cfg.Keys(), func(k desired.ServiceKey) bool {
		_, ok := t[k].Servers[node.At(k, r.Address)]
		return ok
	})
}

// traffic shows what is counted of a service or a real server. Prometheus makes the rates itself.
func (c *collector) traffic(out sink, d trafficDescriptions, n node.Counts, labels ...string) {
	out.counter(d.connections, n.Connections, labels...)
	out.counter(d.packets, n.InPackets, append(labels, "in")...)
	out.counter(d.packets, n.OutPackets, append(labels, "out")...)
	out.counter(d.bytes, n.InBytes, append(labels, "in")...)
	out.counter(d.bytes, n.OutBytes, append(labels, "out")...)
}

// sink sends samples.
type sink struct{ ch chan<- prometheus.Metric }

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// seconds is a counter of time.
func (s sink) seconds(d *prometheus.Desc, v time.Duration, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v.Seconds(), labels...)
}

// age is how long ago t was, in seconds; 0 for the zero time.
func age(now, t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(now.Sub(t), 0).Seconds()
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
