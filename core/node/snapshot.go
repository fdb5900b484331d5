package node

import (
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

// Snapshot is the state of a node at one instant, for readers. It is never changed after it was made.
type Snapshot struct {
	// At is the instant, by the clock of the loop.
	At time.Time
	// Name of the node.
	Name string
	// Ready is true when every instance has left INIT.
	Ready     bool
	Instances []InstanceStatus
	// Peers are the other members.
	Peers    []PeerStatus
	Groups   []GroupStatus
	Checkers []CheckerStatus
	Services []ServiceStatus
	// Leaving are real servers of services that the configuration has no more, and that still have connections.
	Leaving []Leaving
	// Maintenance keeps the node from being master.
	Maintenance Maintenance
	// Sync is the exchange of connections with the other director.
	Sync SyncStatus
}

// SyncStatus is the state of the exchange of connections.
type SyncStatus struct {
	// Config is what the configuration asks for.
	Config Sync
	// Running is the daemon that runs, Since since when; without a role there is none.
	Running desired.Sync
	Since   time.Time
	// Error says why it does not run; empty for all well.
	Error string
}

// InstanceStatus is the state of one instance.
type InstanceStatus struct {
	// Config is what the instance works from.
	Config Instance
	// State is HOLD as well while a backup waits for evidence, or for its sync group, before it takes over.
	State vrrp.State
	// Since is when it entered the state, Reason why.
	Since  time.Time
	Reason string
	// Effective is the priority with its tracks.
	Effective uint8
	// Yielded tells that an operator moved mastership away from here: this node does not take it back by preemption.
	Yielded   bool
	Addresses []AddressStatus
	// Master is who is master as far as this node knows; Master.Address is invalid where nobody is known.
	Master MasterStatus
	Tracks []TrackStatus
	// Counters of the protocol.
	Counters vrrp.Counters
	// Guard is what is known about a takeover.
	Guard GuardStatus
}

// GuardStatus is what is known about a takeover of one instance.
type GuardStatus struct {
	// Condition is SUSPECT, HOLD, ISOLATED, BLOCKED, DUAL_MASTER or ALONE; empty for nothing special.
	Condition string
	// Verdict is the latest one, also of a takeover that has been; its Decision is empty where there was none. Evidence led to it.
	Verdict  guard.Verdict
	Evidence guard.Evidence
	// Since is since when this node would be master and is not; zero for not so.
	Since time.Time
	// Epoch of the latest ownership; 0 for none yet.
	Epoch uint64
	// Conflicts are answers of others for a VIP that was held.
	Conflicts uint64
	// Refusals are takeovers that were refused, by the row of the table.
	Refusals [guard.Rows]uint64
	// DualMaster is for how long there were two masters, in all.
	DualMaster time.Duration
}

// PeerStatus is what is known of another member.
type PeerStatus struct {
	Name string
	// Alive tells that its heartbeats come; Heard is when the last one came, zero for never.
	Alive bool
	Heard time.Time
	// Version and ConfigHash are what it says; Drift is how its configuration differs.
	Version, ConfigHash, Drift string
	// Isolated, Maintenance and HearsUs are what it says of itself.
	Isolated, Maintenance, HearsUs bool
	// Fence is how far its fencing is.
	Fence guard.FenceStanding
	Paths []PathStatus
}

// PathStatus is the state of one way to a member.
type PathStatus struct {
	Path heartbeat.Path
	Up   bool
	// Heard is when a heartbeat last came by it; zero for never. RTT is the round-trip time; 0 for unknown.
	Heard time.Time
	RTT   time.Duration
}

// GroupStatus is the state of one sync group.
type GroupStatus struct {
	Config Group
	// State is MASTER when all members are, FAULT when one is, INIT before all have started, else BACKUP.
	State vrrp.State
	// Since is when it got there, Reason why; the reason is that of the member which caused it.
	Since  time.Time
	Reason string
}

// AddressStatus is the state of one VIP.
type AddressStatus struct {
	Prefix netip.Prefix
	// Held is true where this node wants it and the kernel has not refused it.
	Held bool
	// LeaseEnd is when the kernel's lease ends, the fast one where there is one; zero where it is not leased or not held.
	LeaseEnd time.Time
	// Error says why it could not be added.
	Error string
}

// MasterStatus is who is master.
type MasterStatus struct {
	Address    netip.Addr
	Priority   uint8
	LastAdvert time.Time
}

// TrackStatus is the state of one track.
type TrackStatus struct {
	Track
	Status health.Status
	Reason string
	// Stale tells that its checker has had no result for too long; what it said last still counts.
	Stale bool
}

// CheckerStatus is the verdict on one checker.
type CheckerStatus struct {
	Name   string
	Status health.Status
	Since  time.Time
	Reason string
	// Stale tells that there was no result for too long, or none yet since a restart; the verdict is the last one.
	Stale bool
	// Values are the figures of the latest result; nil for none.
	Values map[string]float64
}

// CheckResult is the latest result of one check of a real server. It may be a second old, of a large service a little older.
type CheckResult struct {
	// Check is the plugin's name, with -2 for the second check of that plugin, and so on.
	Check string
	// At is when it came.
	At time.Time
	health.Observation
}

// ServiceStatus is the state of one virtual server.
type ServiceStatus struct {
	Config Service
	// Up is true while the servers that are up reach the quorum.
	Up bool
	// Suspect tells that more servers fail than max_ejected lets out; Sorry that the sorry server serves.
	Suspect, Sorry bool
	RealServers    []RealServerStatus
	// Leaving are real servers that the configuration has no more, and that still have connections.
	Leaving []Leaving
	// Error says why IPVS does not hold what it should; empty for all well.
	Error string
}

// RealServerStatus is the state of one real server.
type RealServerStatus struct {
	Address desired.Destination
	// Status is the verdict of all its checks together.
	Status health.Status
	Since  time.Time
	Reason string
	// Stale tells that one of its checks is stale; the verdict is the last one.
	Stale bool
	// Checks are the latest results of those checks that have one.
	Checks []CheckResult
	// EffectiveWeight is the weight that IPVS has; 0 where the server is not in the table.
	EffectiveWeight int
	// Aside tells that it is not in the table though it is up, since the sorry server serves instead.
	Aside bool
	// Drained tells that an operator has taken it out; Since and Reason are then those of the drain.
	Drained bool
	// Kept tells that it is in the table though it is down, since our own network is suspected.
	Kept bool
}
