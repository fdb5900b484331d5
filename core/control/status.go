package control

import (
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/node"
)

// StatusFormat is the number of the form of [Status]. It changes only if a key changes its meaning; keys may be added.
const StatusFormat = 1

// Status is what `vipward status --json` prints. Every key is always there; lists are never null.
type Status struct {
	// Format is [StatusFormat].
	Format  int    `json:"format"`
	Version string `json:"version"`
	Node    string `json:"node"`
	// ConfigHash is the same on nodes that read the same files.
	ConfigHash string    `json:"config_hash"`
	Started    time.Time `json:"started"`
	// Ready is true when every instance has left INIT.
	Ready     bool       `json:"ready"`
	Instances []Instance `json:"instances"`
	// Peers are the other members of the pair.
	Peers    []Peer    `json:"peers"`
	Groups   []Group   `json:"groups"`
	Checkers []Checker `json:"checkers"`
	Services []Service `json:"services"`
	// Removed are services that the configuration has no more, and that have connections; absent for none.
	Removed []Removed `json:"removed_services,omitempty"`
	// Sync is the exchange of connections with the other director; null where the configuration has none.
	Sync    *Sync    `json:"sync"`
	Plugins []Plugin `json:"plugins"`
	Fencers []Fencer `json:"fencers"`
	// Maintenance keeps the node from being master.
	Maintenance Maintenance `json:"maintenance"`
}

// Instance is one virtual router.
type Instance struct {
	Name      string `json:"name"`
	Interface string `json:"interface"`
	// Family is "ipv4" or "ipv6".
	Family          string `json:"family"`
	VirtualRouterID int    `json:"virtual_router_id"`
	Version         int    `json:"version"`
	// State is INIT, BACKUP, MASTER, FAULT or HOLD, Since when it was entered and Reason why.
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	// Priority is the base priority, EffectivePriority that with the tracks.
	Priority          int   `json:"priority"`
	EffectivePriority int   `json:"effective_priority"`
	AdvertIntervalMS  int64 `json:"advert_interval_ms"`
	Preempt           bool  `json:"preempt"`
	// Yielded tells that an operator moved mastership away, so that this node does not preempt for now.
	Yielded   bool      `json:"yielded"`
	Addresses []Address `json:"addresses"`
	Master    Master    `json:"master"`
	Tracks    []Track   `json:"tracks"`
	Counters  Counters  `json:"counters"`
	// Guard is what is known about a takeover.
	Guard Guard `json:"guard"`
}

// Group is one sync group.
type Group struct {
	Name string `json:"name"`
	// State is MASTER when all instances are, FAULT when one is, INIT before all have started, else BACKUP. Since is when it was
	// entered and Reason why.
	State     string    `json:"state"`
	Since     time.Time `json:"since"`
	Reason    string    `json:"reason"`
	Instances []string  `json:"instances"`
}

// Address is one VIP.
type Address struct {
	// Address is the VIP with its prefix length, Interface what holds it.
	Address   netip.Prefix `json:"address"`
	Interface string       `json:"interface"`
	// Held is true where this node holds it.
	Held bool `json:"held"`
	// LeaseMS is what remains of the kernel's lease; 0 where the address is not held or not leased.
	LeaseMS int64 `json:"lease_ms"`
	// Error says why the kernel refused it; empty for all well.
	Error string `json:"error"`
}

// Master is who is master as far as this node knows; this node itself while it is MASTER.
type Master struct {
	// Address is empty where no master is known.
	Address string `json:"address"`
	// Priority that it advertises; 0 where none is known, or where it has resigned.
	Priority int `json:"priority"`
	// LastAdvertMS is the age of its last advert (of our own, while this node is MASTER); null where there was none.
	LastAdvertMS *int64 `json:"last_advert_ms"`
}

// Track is one thing that an instance depends on.
type Track struct {
	// Name is the kind and the name: "checker.local", "interface.eth1".
	Name string `json:"name"`
	// State is up, down or unknown.
	State string `json:"state"`
	// Weight is null for a track without one, which puts the instance into FAULT while it is down.
	Weight *int   `json:"weight"`
	Reason string `json:"reason"`
	// Stale tells that its checker has had no result for too long; the state is the last one, and counts.
	Stale bool `json:"stale"`
}

// Counters of one instance, from 0 at its start.
type Counters struct {
	AdvertsSent          uint64 `json:"adverts_sent"`
	AdvertsReceived      uint64 `json:"adverts_received"`
	PriorityZeroSent     uint64 `json:"priority_zero_sent"`
	PriorityZeroReceived uint64 `json:"priority_zero_received"`
	BecameMaster         uint64 `json:"became_master"`
	// Discarded counts adverts that were not valid, by reason. A reason that is absent never occurred.
	Discarded map[string]uint64 `json:"discarded"`
}

// Checker is one check of the node itself.
type Checker struct {
	Name string `json:"name"`
	// State is up, down or unknown.
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	// Stale tells that there was no result for too long, or none yet since a restart; the state is the last one, and counts.
	Stale bool `json:"stale"`
	// Values are figures of the latest result, by name; empty for a checker that measures nothing.
	Values map[string]float64 `json:"values"`
}

// Sync is the exchange of connections that IPVS knows with the other director.
type Sync struct {
	// Role is master, which tells of connections, backup, which takes them over, or empty while neither runs; Since is when it began.
	Role  string    `json:"role"`
	Since time.Time `json:"since"`
	// Instance is the one whose master tells.
	Instance  string     `json:"instance"`
	Interface string     `json:"interface"`
	ID        int        `json:"id"`
	Group     netip.Addr `json:"group"`
	Port      int        `json:"port"`
	// Error says why neither runs; empty for all well.
	Error string `json:"error"`
}

// Service is one virtual server.
type Service struct {
	Name      string         `json:"name"`
	Address   netip.AddrPort `json:"address"`
	Protocol  string         `json:"protocol"`
	Scheduler string         `json:"scheduler"`
	// Forward is the method of the first real server; empty for a service without any.
	Forward string `json:"forward"`
	// Up is true while the servers that are up reach the quorum.
	Up bool `json:"up"`
	// Error says why IPVS does not hold what it should; empty for all well.
	Error string `json:"error"`
	// Fwmark is the firewall mark by which the service is found; absent for none. Address is then 0.0.0.0:0 or [::]:0.
	Fwmark uint32 `json:"fwmark,omitempty"`
	// Addresses are all that IPVS has the service under, in words; absent where Address is the only one.
	Addresses []string `json:"addresses,omitempty"`
	// Suspect tells that more servers fail than max_ejected lets out: the last good ones are kept.
	Suspect bool `json:"suspect,omitempty"`
	// Sorry tells that the sorry server serves.
	Sorry       bool         `json:"sorry,omitempty"`
	Traffic     node.Counts  `json:"traffic"`
	RealServers []RealServer `json:"real_servers"`
	// Leaving are real servers that the configuration has no more; absent for none.
	Leaving []Leaving `json:"leaving,omitempty"`
}

// Removed is a service that gets no new connections, and is removed when its last real server has left.
type Removed struct {
	// Service in words: "tcp 10.0.0.1:80", "fwmark 7".
	Service string    `json:"service"`
	Leaving []Leaving `json:"leaving"`
}

// Leaving is a real server that gets no new connections, and is removed when it has none, or at the instant Until.
type Leaving struct {
	Address             netip.AddrPort `json:"address"`
	Until               time.Time      `json:"until"`
	ActiveConnections   uint32         `json:"active_connections"`
	InactiveConnections uint32         `json:"inactive_connections"`
}

// RealServer is one server of a service.
type RealServer struct {
	Address netip.AddrPort `json:"address"`
	// State is up, down, unknown, or drain: drained by an operator, or up with weight 0, so that it gets no new connections.
	State   string `json:"state"`
	Forward string `json:"forward"`
	// Weight is that of the configuration, EffectiveWeight that in IPVS.
	Weight          int       `json:"weight"`
	EffectiveWeight int       `json:"effective_weight"`
	Reason          string    `json:"reason"`
	Since           time.Time `json:"since"`
	// Stale is as for a [Checker], of any of its checks.
	Stale bool `json:"stale"`
	// Values are figures of the latest results, by check ("http", "http-2" for the second of that plugin) and name. They may be
	// a second old.
	Values map[string]map[string]float64 `json:"values"`
	// Checks are the latest results of its checks. They may be as old.
	Checks []CheckResult `json:"checks"`
	// ActiveConnections and InactiveConnections are IPVS's counts; 0 where it does not hold the server.
	ActiveConnections   uint32 `json:"active_connections"`
	InactiveConnections uint32 `json:"inactive_connections"`
	// Traffic is the rest of what IPVS counts; all 0 where it does not hold the server.
	Traffic node.Counts `json:"traffic"`
}

// CheckResult is the latest result of one check.
type CheckResult struct {
	// Check is as in the values of a [RealServer].
	Check string `json:"check"`
	// Result is pass, warn, fail, or error where the check could not be made; Reason says why.
	Result string    `json:"result"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	// TookMS is how long the run took, in milliseconds; 0 where the plugin does not say.
	TookMS float64 `json:"took_ms"`
}

// Plugin is one plugin process.
type Plugin struct {
	Name string `json:"name"`
	// Kind is checker, notifier or fencer.
	Kind string `json:"kind"`
	// State is starting, running, restarting, tripped or stopped.
	State string `json:"state"`
	// PID is 0 while there is no process.
	PID      int    `json:"pid"`
	Restarts int    `json:"restarts"`
	Version  string `json:"version"`
	// Reason says why it does not run; empty while it does.
	Reason string `json:"reason"`
}
