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
	// Kept are addresses that a former run has left and that are neither renewed nor removed for now.
	Kept []AddressKey
	// Announcements of addresses that are held, each once.
	Announcements []Announcement
	// Refused are the addresses to which packets are dropped, whether or not they are held: those of virtual routers that do
	// not accept them (RFC 9568 section 6.1, Accept_Mode).
	Refused []netip.Addr
	// VMACs are the interfaces of virtual MAC addresses, each name once.
	VMACs []VMAC
	// Routes and Rules that send packets their way while this node is master, each once.
	Routes []Route
	Rules  []Rule
	// Services of IPVS, each key once.
	Services []Service
	// VIPs are the addresses of all virtual routers, held or not: a service on one that is no longer among them has nobody to serve.
	VIPs []netip.Addr
	// Last is the wish with which the daemon ends: what goes, goes at once.
	Last bool
	// Sync is the daemon that exchanges connections with the other director; without a role there is none.
	Sync Sync
	// Sysctls that the services need, each name once. What they were before is put back when they are not wished for any more.
	Sysctls []Sysctl
	// Timeouts of IPVS's connections; the zero value leaves, or puts back, what the system has.
	Timeouts Timeouts
	// Markings are the packets that get a firewall mark, for the services that are found by it.
	Markings []Marking
	// Watched are addresses of which is told who else answers for them or claims them: VIPs, held or not, and what is asked about.
	Watched []Watch
	// Probes are the real servers that are checked through a VIP; their services of IPVS are among Services.
	Probes []Probe
}

// Sysctl is a variable of the kernel.
type Sysctl struct {
	// Name is its path below /proc/sys, like net/ipv4/ip_forward.
	Name string
	// Value is numbers with single spaces between them.
	Value string
}

// VMAC is an interface that has the hardware address of a virtual router, besides that of its parent: a macvlan.
type VMAC struct {
	// Name of the interface, 1 to 15 bytes.
	Name string
	// Parent is the interface that its frames travel on.
	Parent string
	// MAC is its address.
	MAC [6]byte
	// Up is true while it holds VIPs. A virtual router that is not master takes no frames for its address (RFC 9568 section 6.4.2).
	Up bool
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

// FastLease is the lease of a VIP that ends to the millisecond, besides that of its address: see [Address].
type FastLease struct {
	// Address is the VIP.
	Address netip.Addr
	// For is how long the VIP is answered for without a renewal, in milliseconds, at least one.
	For time.Duration
	// Renewed is when the loop last confirmed the lease.
	Renewed time.Time
}

// Watch is an address on the network of an interface.
type Watch struct {
	Interface string
	Address   netip.Addr
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
