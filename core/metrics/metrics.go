// Package metrics shows the daemon's state to Prometheus. It reads a [State] at each scrape and keeps none itself, besides
// the histograms of the loop and of takeovers. It is NOT a place to count anything: counters live with what they count.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/vipward/vipward/core/node"
)

// State is what one scrape shows. Counters count from 0 at the start of the daemon.
type State struct {
	// Snapshot of the node; nil before the loop has made one.
	Snapshot *node.Snapshot
	// Now is the instant of the scrape, Progress that at which the loop last went round.
	Now, Progress time.Time
	// Version of the daemon, Hash of its configuration.
	Version, Hash string
	Plugins       []Plugin
	Outbox        []Queue
	// Fencers that were asked how their nodes are.
	Fencers []Fencer
	// Witnesses that were asked, with whether they answered the last time.
	Witnesses map[string]bool
	// Fences counts the orders to switch a node off, by what became of them.
	Fences map[string]uint64
	// Traffic of the services and their real servers, as IPVS last counted it.
	Traffic node.Traffic
	// LoopDropped counts inputs that found the loop's inbox full.
	LoopDropped uint64
	// OutboxUnsaved says that the events that wait for notifiers cannot be kept on the disk.
	OutboxUnsaved bool
	// WireDropped counts packets that were not sent, by interface.
	WireDropped map[string]uint64
	// Beats counts heartbeats, by path and by what became of them.
	Beats map[string]map[string]uint64
	// Neighbours counts questions to the local networks, and who was seen to answer, by what became of them.
	Neighbours map[string]uint64
	// SchedulerLate counts how often the loop woke up later than the election bears.
	SchedulerLate uint64
	// FollowersCut counts the readers of events that were cut off because they lagged behind.
	FollowersCut uint64
}

// Plugin is one plugin process.
type Plugin struct {
	Name, Kind string
	Up         bool
	Restarts   int
	// Dropped counts results that belonged to no check, Refused figures that cannot be shown.
	Dropped, Refused uint64
	// Checks is what a checker says of its work; nil for other kinds.
	Checks *Checks
}

// Checks is the work of a checker. Counts begin at 0 with each process of the plugin.
type Checks struct {
	Targets, Stuck int
	Runs, Lost     uint64
	// Late are runs by how late they began, one count for each of LateBounds and one for all that were later; nil where the
	// plugin does not count. LateSum is by how much all of them together were late.
	Late       []uint64
	LateBounds []time.Duration
	LateSum    time.Duration
}

// Fencer is one fencer, Up where its device answered when it was asked last.
type Fencer struct {
	Name, Kind string
	Up         bool
}

// Queue is the outbox of one notifier.
type Queue struct {
	Notifier string
	// Queued events wait, Delivered are out, Dropped found the queue full, Failed were given up.
	Queued int
	// Oldest is when the first that waits happened, zero without any.
	Oldest                     time.Time
	Delivered, Dropped, Failed uint64
}

// Metrics is one registry with all that the daemon shows.
type Metrics struct {
	// LoopWait observes how long an input waited for the loop, LoopStep how long the node took for it; both in seconds.
	LoopWait, LoopStep prometheus.Histogram
	// LoopLateness observes how much later than it asked for the loop woke up, in seconds.
	LoopLateness prometheus.Histogram
	// Takeover observes how long there was no master before a takeover that nobody has planned, in seconds.
	Takeover prometheus.Histogram

	registry *prometheus.Registry
}

// New makes the metrics. read is called at each scrape, from any goroutine.
func New(read func() State) *Metrics {
	m := &Metrics{
		LoopWait:     loopHistogram("vipward_loop_wait_seconds", "Time that an input waited for the loop."),
		LoopStep:     loopHistogram("vipward_loop_step_seconds", "Time that the node took for one input."),
		LoopLateness: loopHistogram("vipward_loop_lateness_seconds", "How much later than it asked for the loop woke up."),
		Takeover: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vipward_takeover_seconds", Help: "Time from the last advert of a master that died or resigned to the takeover.",
			Buckets: prometheus.ExponentialBuckets(0.025, 2, 12), // to 51 s: from fast adverts to a peer that is waited for
		}),
		registry: prometheus.NewRegistry(),
	}
	m.registry.MustRegister(
		m.LoopWait, m.LoopStep, m.LoopLateness, m.Takeover, newCollector(read),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// loopHistogram reaches from 1 µs, a step without work, to 4 s, at which a peer has taken over.
func loopHistogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12)})
}

// Handler serves the exposition.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second})
}
