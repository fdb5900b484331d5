package node

import (
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
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
	// Checkers are the checks of this node itself, that instances track by name.
	Checkers []Checker
	// Services are the virtual servers, in the order of the configuration.
	Services []Service
}

// Instance is one block vrrp_instance, as this node sees it.
type Instance struct {
	// Name of the instance.
	Name string
	// Interface that the adverts travel on.
	Interface string
	// VRRP is the protocol's configuration. Source may be unset: then it is the primary address of Interface.
	VRRP vrrp.Config
	// Addresses are the VIPs, also those that are not advertised.
	Addresses []VirtualAddress
	// Tracks are what the instance depends on.
	Tracks []Track
	// Garp is how the VIPs are announced.
	Garp desired.Garp
	// Lease of the VIPs in the kernel.
	Lease Lease
	// PeerPriority is the base priority of the fastest peer, where the configuration tells it; else 0.
	PeerPriority uint8
	// Notify names the notifiers of the instance's transitions.
	Notify []string
}

// VirtualAddress is one VIP.
type VirtualAddress struct {
	Prefix netip.Prefix
	// Interface that holds it, mostly the instance's own.
	Interface string
	// Label and Scope as in [desired.Address].
	Label, Scope string
}

// Lease says how long the kernel keeps a VIP that the daemon does not renew.
type Lease struct {
	// Auto derives the time from the peer's Master_Down_Interval. It is the default.
	Auto bool
	// For is the time, in whole seconds, where Auto is false; 0 means for ever.
	For time.Duration
}

// TrackKind tells what a track looks at.
type TrackKind string

// The kinds of tracks.
const (
	TrackChecker   TrackKind = "checker"
	TrackInterface TrackKind = "interface"
)

// Track is one thing that an instance depends on.
type Track struct {
	Kind TrackKind
	// Name of the checker or interface.
	Name string
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
	// Health is its rise and fall.
	Health health.Config
}

// Service is one block virtual_server.
type Service struct {
	// Name of the block.
	Name string
	// Service is what IPVS gets. Its Destinations are made from RealServers.
	Service desired.Service
	// RealServers of the service, in the order of the configuration.
	RealServers []RealServer
	// Quorum is the total weight of servers up that makes the service count as up, at least 1.
	Quorum int
	// Notify names the notifiers of the transitions of the service and its servers.
	Notify []string
}

// RealServer is one server of a service.
type RealServer struct {
	// Destination is what IPVS gets while the server is up.
	Destination desired.Destination
	// Checks of the server; without any it is always up. All must pass.
	Checks []ServerCheck
	// Inhibit keeps a server that is down in the table with weight 0, instead of removing it.
	Inhibit bool
}

// ServerCheck is one check of a real server.
type ServerCheck struct {
	// Check identifies the observations: see [Observed].
	Check string
	// Health is its rise and fall.
	Health health.Config
}
