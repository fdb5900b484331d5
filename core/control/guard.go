package control

import (
	"time"

	"github.com/vipward/vipward/core/node"
)

// Guard is what is known about a takeover of one instance.
type Guard struct {
	// Condition is SUSPECT, HOLD, ISOLATED, BLOCKED, DUAL_MASTER or ALONE; empty for nothing special.
	Condition string `json:"condition"`
	// Row of the table of evidence, 0 to 9, Decision (take, wait, hold, isolated, blocked) and Reason of the latest verdict. Decision is
	// empty where there was none.
	Row      int    `json:"row"`
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
	// Evidence led to it, by name.
	Evidence []Fact `json:"evidence"`
	// Since is since when this node would be MASTER and is not; null for not so.
	Since *time.Time `json:"since"`
	// Epoch of the latest ownership that this node knows of.
	Epoch uint64 `json:"epoch"`
	// Conflicts are answers of others for a VIP that was held, Refusals takeovers that were refused, DualMasterMS for how long there were
	// two masters, in all.
	Conflicts    uint64 `json:"conflicts"`
	Refusals     uint64 `json:"refusals"`
	DualMasterMS int64  `json:"dual_master_ms"`
}

// Fact is one piece of evidence.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Peer is another member of the pair.
type Peer struct {
	Name string `json:"name"`
	// Alive tells that its heartbeats come; HeardMS is how long ago the last one was, -1 for never.
	Alive   bool  `json:"alive"`
	HeardMS int64 `json:"heard_ms"`
	// Version and ConfigHash are what it says; Drift is how its configuration differs, empty for not at all.
	Version    string `json:"version"`
	ConfigHash string `json:"config_hash"`
	Drift      string `json:"drift"`
	// Isolated, Maintenance and HearsUs are what it says.
	Isolated    bool `json:"isolated"`
	Maintenance bool `json:"maintenance"`
	HearsUs     bool `json:"hears_us"`
	// Fence is how far its fencing is, and FenceReason why.
	Fence       string `json:"fence"`
	FenceReason string `json:"fence_reason"`
	Paths       []Path `json:"paths"`
}

// Path is one way to another member.
type Path struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	Interface string `json:"interface"`
	Up        bool   `json:"up"`
	// HeardMS is how long ago a heartbeat came by it, -1 for never; RTTUS is the round-trip time in microseconds, 0 for unknown.
	HeardMS int64 `json:"heard_ms"`
	RTTUS   int64 `json:"rtt_us"`
}

func (r renderer) guard(g node.GuardStatus) Guard {
	out := Guard{
		Condition: g.Condition, Row: int(g.Verdict.Row), Decision: string(g.Verdict.Decision), Reason: g.Verdict.Reason, Evidence: []Fact{},
		Epoch: g.Epoch, Conflicts: g.Conflicts, DualMasterMS: g.DualMaster.Milliseconds(),
	}
	for _, n := range g.Refusals {
		out.Refusals += n
	}
	if out.Decision != "" {
		for _, f := range g.Evidence.Facts() {
			out.Evidence = append(out.Evidence, Fact{f.Name, f.Value})
		}
	}
	if !g.Since.IsZero() {
		since := r.since(g.Since)
		out.Since = &since
	}
	return out
}

func (r renderer) peer(p node.PeerStatus) Peer {
	return Peer{
		Name: p.Name, Alive: p.Alive, HeardMS: r.age(p.Heard), Version: p.Version, ConfigHash: p.ConfigHash, Drift: p.Drift,
		Isolated: p.Isolated, Maintenance: p.Maintenance, HearsUs: p.HearsUs, Fence: string(p.Fence.State), FenceReason: p.Fence.Reason,
		Paths: each(p.Paths, func(x node.PathStatus) Path {
			return Path{
				Name: x.Path.Name, Address: x.Path.Address.String(), Interface: x.Path.Interface, Up: x.Up, HeardMS: r.age(x.Heard),
				RTTUS: x.RTT.Microseconds(),
			}
		}),
	}
}

// age is how long ago an instant was, in milliseconds; -1 for never.
func (r renderer) age(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return max(r.x.Now.Sub(t).Milliseconds(), 0)
}
