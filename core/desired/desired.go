// Package desired holds what the kernel should hold, as plain values that can be compared with what it does hold.
// It decides nothing and touches nothing: core/node makes a [State], core/kernel applies it.
package desired

import (
	"net/netip"
	"time"
)

// State is the whole wish of one node: total, not a list of changes.
type State struct {
	// Addresses that the interfaces hold, each once.
	Addresses []Address
	// Announcements of addresses that are held, each once.
	Announcements []Announcement
	// Services of IPVS, each key once.
	Services []Service
}

// Address is one VIP on one interface.
type Address struct {
	AddressKey
	// Label is the interface label of an IPv4 address, at most 15 bytes and beginning with the interface's name; empty for none.
	Label string
	// Scope is the address's scope: "global" (also ""), "link", "host" or a number as text.
	Scope string
	// Lease is how long the kernel keeps the address without a renewal, in whole seconds; 0 keeps it for ever.
	Lease time.Duration
	// Renewed is when the loop last confirmed the lease. The kernel's lease ends Lease after it, however late it is applied.
	Renewed time.Time
}

// AddressKey identifies an address: the same prefix on two interfaces is two addresses.
type AddressKey struct {
	Interface string
	Prefix    netip.Prefix
}

// Announcement asks for gratuitous ARP (IPv4) or unsolicited neighbour advertisements (IPv6) of an address that is held.
// It is state too: a new Epoch asks for a new burst, the same Epoch asks for nothing.
type Announcement struct {
	AddressKey
	// Epoch counts the bursts asked for.
	Epoch uint64
	Garp
}

// Garp is how an address is announced. The names and defaults are those of the configuration's block garp.
type Garp struct {
	// Delay between the first burst and the second; 0 for no second burst. Default 5 s.
	Delay time.Duration
	// Repeat is the number of announcements in a burst, 1 to 100. Default 5.
	Repeat int
	// Refresh is the interval between later announcements while the address is held; 0 for never, the default.
	Refresh time.Duration
	// RefreshRepeat is the number of announcements in each refresh. Default 1.
	RefreshRepeat int
	// Interval between two announcements of one burst. Default 0.
	Interval time.Duration
}

// Protocol of a virtual service.
type Protocol string

// The protocols that IPVS forwards.
const (
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	SCTP Protocol = "sctp"
)

// Forward is the way in which packets reach a real server (ipvsadm(8), packet forwarding method).
type Forward string

// The forwarding methods.
const (
	DR  Forward = "dr"
	NAT Forward = "nat"
	TUN Forward = "tun"
)

// ServiceKey identifies a virtual service in the kernel's table.
type ServiceKey struct {
	Address  netip.AddrPort
	Protocol Protocol
}

// Service is one virtual service with its destinations.
type Service struct {
	ServiceKey
	// Scheduler is the kernel's name of it: rr, wrr, lc, wlc, sh, mh, …
	Scheduler string
	// Persistence is the time-out of the client's affinity, in whole seconds; 0 for none.
	Persistence time.Duration
	// Granularity is the length of the netmask that groups clients for persistence: 0 to 32 or 128. Default: a single client.
	Granularity int
	// Destinations, each address once.
	Destinations []Destination
}

// Destination is one real server as IPVS sees it.
type Destination struct {
	// Address of the real server. For DR and TUN the port is that of the service.
	Address netip.AddrPort
	// Forward is the method for this destination.
	Forward Forward
	// Weight, 0 to 65535. 0 takes no new connections.
	Weight int
	// UpperThreshold and LowerThreshold limit the connections (ipvsadm -x, -y); 0 for no limit.
	UpperThreshold, LowerThreshold uint32
}
