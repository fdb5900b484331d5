package desired

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"
)

// ServiceKey identifies a virtual service in the kernel's table: by address and protocol, or by a firewall mark.
type ServiceKey struct {
	// Address of the service. With a Mark it is 0.0.0.0:0 or [::]:0 and tells the family alone.
	Address netip.AddrPort
	// Protocol is empty with a Mark.
	Protocol Protocol
	// Mark is the firewall mark of the packets, 1 to 4294967295; 0 for none.
	Mark uint32
}

// Marked is the key of the service for packets of one family with a firewall mark.
func Marked(mark uint32, ipv6 bool) ServiceKey {
	zero := netip.IPv4Unspecified()
	if ipv6 {
		zero = netip.IPv6Unspecified()
	}
	return ServiceKey{Address: netip.AddrPortFrom(zero, 0), Mark: mark}
}

// String is the key in words: "tcp 10.0.0.1:80", "fwmark 7", "fwmark 7 over IPv6".
func (k ServiceKey) String() string {
	switch {
	case k.Mark == 0:
		return fmt.Sprintf("%s %s", k.Protocol, k.Address)
	case k.Address.Addr().Is6():
		return fmt.Sprintf("fwmark %d over IPv6", k.Mark)
	}
	return fmt.Sprintf("fwmark %d", k.Mark)
}

// Compare orders keys.
func (k ServiceKey) Compare(o ServiceKey) int {
	return cmp.Or(cmp.Compare(k.Mark, o.Mark), k.Address.Compare(o.Address), cmp.Compare(k.Protocol, o.Protocol))
}

// Service is one virtual service with its destinations.
type Service struct {
	ServiceKey
	// Scheduler is the kernel's name of it: rr, wrr, lc, wlc, sh, mh, …
	Scheduler string
	// Flags of the service and of its scheduler.
	Flags ServiceFlags
	// Persistence is the time-out of the client's affinity, in whole seconds; 0 for none.
	Persistence time.Duration
	// Granularity is the length of the netmask that groups clients for persistence: 0 to 32 or 128. Default: a single client.
	Granularity int
	// Engine finds what persistence goes by instead of the client's address: "sip", or empty for none.
	Engine string
	// Destinations, each address once.
	Destinations []Destination
	// Drain is how long a destination that is not wished for any more keeps the connections that it has, with weight 0; 0 for not at all.
	Drain time.Duration
	// Gone are the destinations that are dead: they are not wished for, and leave at once.
	Gone []netip.AddrPort
}

// ServiceFlags are set for a service; their values are the kernel's (include/uapi/linux/ip_vs.h).
type ServiceFlags uint32

// The flags. Those of the scheduler mean something to sh and mh alone.
const (
	// OnePacket schedules each packet by itself (UDP only).
	OnePacket ServiceFlags = 0x04
	// Fallback takes the next server where the chosen one is unavailable (sh-fallback, mh-fallback).
	Fallback ServiceFlags = 0x08
	// SourcePort has the source port count in the hash (sh-port, mh-port).
	SourcePort ServiceFlags = 0x10
)

// Destination is one real server as IPVS sees it.
type Destination struct {
	// Address of the real server. For DR and TUN the port is that of the service; 0 where that has no single one.
	Address netip.AddrPort
	// Forward is the method for this destination.
	Forward Forward
	// Tunnel is how packets are wrapped, for TUN alone.
	Tunnel Tunnel
	// Weight, 0 to 65535. 0 takes no new connections.
	Weight int
	// UpperThreshold and LowerThreshold limit the connections (ipvsadm -x, -y); 0 for no limit.
	UpperThreshold, LowerThreshold uint32
}

// Tunnel is how packets to a real server are wrapped. The zero value is IP in IP.
type Tunnel struct {
	// Type is empty for IP in IP, or [GUE] or [GRE].
	Type string
	// Port is the UDP port of GUE, 1 to 65535; 0 else.
	Port uint16
	// Checksum is empty for none, or [FullChecksum] or, with GUE, [RemoteChecksum].
	Checksum string
}

// The kinds of tunnels besides IP in IP, and their checksums.
const (
	GUE            = "gue"
	GRE            = "gre"
	FullChecksum   = "full"
	RemoteChecksum = "remote"
)

// Timeouts of IPVS's connections, in whole seconds (ipvsadm --set). 0 leaves one as the system has it.
type Timeouts struct {
	// TCP is that of an idle connection, TCPFin that of one that has been closed.
	TCP, TCPFin time.Duration
	// UDP is that of a flow of datagrams.
	UDP time.Duration
}

// Marking gives packets a firewall mark.
type Marking struct {
	Mark     uint32
	Protocol Protocol
	// First and Last are the range of destination addresses, both of one family.
	First, Last netip.Addr
	// FirstPort and LastPort are the range of destination ports.
	FirstPort, LastPort uint16
}
