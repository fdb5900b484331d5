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

// Config is what one node of a pair has to do. It is a value: nothing in it is changed after [New] or [Node.Configure].
type Config struct {
	// Name of this node, as in its block `node`.
	Name string
	// Lone is true where the configuration names no other node than this one: then no VIP is leased under `lease = "auto"`.
	Lone bool
	// Instances are the virtual routers, in the order of the configuration.
	Instances []Instance
	// Groups are the sync groups. An instance is in one of them at most.
	Groups []Group
	// Checkers are the checks of this node itself, that instances track by name.
	Checkers []Checker
	// Services are the virtual servers, in the order of the configuration.
	Services []Service
	// Timeouts of IPVS's connections; zero ones are left as the system has them.
	Timeouts desired.Timeouts
	// Sync is how connections are exchanged with the other director.
	Sync Sync
	// Sysctls that the services need, each name once.
	Sysctls []desired.Sysctl
	// Probes are the ways of checks through a VIP, each mark once.
	Probes []Probe
	// Guard says what has to be known before this node takes over.
	Guard Guard
}

// Guard is the blocks `arbitration`, `fencing` and what the blocks `node` say of the other members.
type Guard struct {
	// ProbeVIP has the VIPs asked for by ARP or neighbour discovery before a takeover, and watched while they are held.
	ProbeVIP bool
	// References are addresses that prove, by answering, that this node is not cut off. Each is asked for on the interface that has
	// its network; one that is on no network of this node cannot be asked, and proves nothing.
	References []netip.Addr
	// Gateway has the default gateway counted among them: for all instances where References names more, and where it does not for
	// those that have a VIP on its network.
	Gateway bool
	// OnHoldExpired is what to do when a silent peer still answers for the VIP after its lease.
	OnHoldExpired guard.OnHoldExpired
	// Witness is the name of the witness; empty for none. WitnessTTL is how long its grants last, in whole seconds.
	Witness    string
	WitnessTTL time.Duration
	// OnWitnessLoss is what a master does whose grant ends because the witness does not answer.
	OnWitnessLoss guard.OnWitnessLoss
	// HeartbeatPort is the UDP port that heartbeats go to and come from; 0 for [heartbeat.Port].
	HeartbeatPort uint16
	// Key signs the heartbeats; empty for none.
	Key []byte
	// Peers are the other members.
	Peers []Peer
	// AutoRejoin lets this node take part at once after it was fenced: it is what its own block `fencing` says.
	AutoRejoin bool
	// ConfigHash and Attributes are what the members compare.
	ConfigHash string
	Attributes []heartbeat.Attribute
	// Version of the program.
	Version string
	// Boot is a random number of this run.
	Boot uint64
}

// Peer is another member of the pair.
type Peer struct {
	Name string
	// Paths to it; the first one is the address of its block node.
	Paths []heartbeat.Path
	// Fencing of it.
	Fencing guard.Fencing
}

// Instance is one block vrrp_instance, as this node sees it.
type Instance struct {
	// Name of the instance.
	Name string
	// Interface that the adverts travel on.
	Interface string
	// VMAC is the interface with the virtual router's own hardware address, which holds its VIPs; empty for none.
	VMAC string
	// VRRP is the protocol's configuration. Source may be unset: then it is the primary address of Interface.
	VRRP vrrp.Config
	// Addresses are the VIPs, also those that are not advertised.
	Addresses []VirtualAddress
	// Routes and Rules are set while this node is master.
	Routes []Route
	Rules  []Rule
	// Refuse has packets to the VIPs dropped, unless this node owns them: Accept_Mode of RFC 9568 section 6.1, turned round.
	Refuse bool
	// Tracks are what the instance depends on.
	Tracks []Track
	// PreemptWhenSynced has a master of lower priority left alone until this node knows the connections that it serves.
	PreemptWhenSynced bool
	// Garp is how the VIPs are announced.
	Garp desired.Garp
	// Lease of the VIPs in the kernel.
	Lease Lease
	// StartDelay is how long nothing must be wrong before the instance takes part for the first time; 0 for not at all.
	StartDelay time.Duration
	// PeerPriority is the base priority of the fastest peer, where the configuration tells it; else 0.
	PeerPriority uint8
	// Notify names the notifiers of the instance's transitions.
	Notify []string
}

// Group is one block vrrp_sync_group: its instances are master together, or not at all.
type Group struct {
	// Name of the group.
	Name string
	// Instances are the names of its members.
	Instances []string
	// Tracks are what all members depend on. What one member tracks counts for all of them as well.
	Tracks []Track
	// Notify names the notifiers of the group's transitions.
	Notify []string
}

// VirtualAddress is one VIP.
type VirtualAddress struct {
	Prefix netip.Prefix
	// Interface that holds it, mostly the instance's own.
	Interface string
	// Label and Scope as in [desired.Address].
	Label, Scope string
	// Silent keeps the address out of the adverts, as keepalived's excluded list does. It may be of the other family.
	Silent bool
}

// Lease says how long the kernel keeps a VIP that the daemon does not renew.
type Lease struct {
	// Auto derives the time from the peer's Master_Down_Interval. It is the default.
	Auto bool
	// For is the time where Auto is false: whole seconds, or less than one for a fast lease; 0 means for ever.
	For time.Duration
	// Fast, with Auto, has a fast lease end before the fastest peer takes over: see [FastLease].
	Fast bool
}

// TrackKind tells what a track looks at.
type TrackKind string

// The kinds of tracks.
const (
	TrackChecker   TrackKind = "checker"
	TrackInterface TrackKind = "interface"
	// The following have a check of their own, which Track.Check names.
	TrackScript  TrackKind = "script"
	TrackProcess TrackKind = "process"
	// TrackFile with a weight adds the number in the file, times the weight, to the priority. A sum below -253 is FAULT.
	TrackFile TrackKind = "file"
	// TrackService is a virtual server: it is down while the service lacks its quorum, and while max_ejected says that our own
	// network is suspected.
	TrackService TrackKind = "virtual_server"
)

// Track is one thing that an instance depends on.
type Track struct {
	Kind TrackKind
	// Name of the checker, interface or virtual server; of the other kinds what people know it by.
	Name string
	// Check identifies the observations of a script, process or file; it is among [Config.Checkers] as well.
	Check string
	// Weighted tells whether there is a weight. Without one, down means FAULT.
	Weighted bool
	// Weight is added to the priority: a positive one while up, a negative one while down. -253 to 253.
	Weight int
	// Reverse exchanges up and down.
	Reverse bool
}

// Checker is a check of this node.
type Checker struct {
	// Name, unique among the checkers.
	Name string
	// Check identifies the observations: see [Observed].
	Check string
	// Plugin that makes the check, for what is told of many checks at once. Empty for unknown.
	Plugin string
	// Health is its rise and fall.
	Health health.Config
}

// Service is one block virtual_server.
type Service struct {
	// Name of the block.
	Name string
	// Service is what IPVS gets. Its Destinations are made from RealServers.
	Service desired.Service
	// Also are further keys that IPVS has the same service under: the rest of a group of addresses.
	Also []desired.ServiceKey
	// Markings give packets the service's firewall mark; none where somebody else does.
	Markings []desired.Marking
	// RealServers of the service, in the order of the configuration.
	RealServers []RealServer
	// Quorum is the total weight of servers up that makes the service count as up, at least 1.
	Quorum int
	// Hysteresis is what the weight must be above Quorum to come up, and below it to go down; less than Quorum.
	Hysteresis int
	// Sorry serves while the quorum is not reached; nil for none.
	Sorry *Sorry
	// MaxEjected is the share of servers that may be out at once because their checks fail, 0 to 100 percent; more than that is
	// taken for a fault of our own network. 0 is no limit, as 100 is.
	MaxEjected int
	// SlowStart is how long a server that comes up takes to get its whole weight; 0 for at once.
	SlowStart time.Duration
	// Damping keeps a server out that fails too often.
	Damping Damping
	// Omega has the end of the daemon count as an end of the service, and told as such.
	Omega bool
	// NotifyUp and NotifyDown name further notifiers of the service's coming up and going down.
	NotifyUp, NotifyDown []string
	// Notify names the notifiers of the transitions of the service and its servers.
	Notify []string
}

// Keys are all those that IPVS has the service under.
func (s Service) Keys() []desired.ServiceKey {
	return append([]desired.ServiceKey{s.Service.ServiceKey}, s.Also...)
}

// At is the address that IPVS has of a real server under one key. What is not translated keeps the port of the service.
func At(key desired.ServiceKey, d desired.Destination) netip.AddrPort {
	if d.Forward == desired.NAT {
		return d.Address
	}
	return netip.AddrPortFrom(d.Address.Addr(), key.Address.Port())
}

// Sorry is a server that nobody checks, for when there are too few others.
type Sorry struct {
	Destination desired.Destination
	// Inhibit keeps the real servers in the table meanwhile, with weight 0, so that their connections go on.
	Inhibit bool
}

// Damping keeps a server out that went down Failures times within Window, until it has passed for Hold. Zero for no damping.
type Damping struct {
	Failures     int
	Window, Hold time.Duration
}

// RealServer is one server of a service.
type RealServer struct {
	// Destination is what IPVS gets while the server is up.
	Destination desired.Destination
	// Checks of the server; without any it is always up. All must pass.
	Checks []ServerCheck
	// Inhibit keeps a server that is down in the table with weight 0, instead of removing it.
	Inhibit bool
	// Notify names further notifiers of its transitions.
	Notify []string
}

// ServerCheck is one check of a real server.
type ServerCheck struct {
	// Check identifies the observations: see [Observed].
	Check string
	// Plugin that makes the check, as in [Checker].
	Plugin string
	// Health is its rise and fall.
	Health health.Config
	// Weighted tells that the check does not decide about up and down: it adds Weight to the server's while it is up.
	Weighted bool
	Weight   int
}
