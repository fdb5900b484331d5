package node

import (
	"net/netip"

	"github.com/vipward/vipward/core/desired"
)

// Traffic is what IPVS counts, by service as the kernel knows it. Readers share it and must not change it.
type Traffic map[desired.ServiceKey]ServiceTraffic

// ServiceTraffic is that of one service. The connections that are open are the sum of its real servers'.
type ServiceTraffic struct {
	Counts
	// Servers are the counts of its real servers, by the address that IPVS has.
	Servers map[netip.AddrPort]Counts
}

// Counts are what IPVS counts for one service or real server. All but the open connections are of 64 bits and begin at 0 when
// it is put into the table.
type Counts struct {
	// Active, Inactive and Persistent are the connections that are open now.
	Active     uint32 `json:"active"`
	Inactive   uint32 `json:"inactive"`
	Persistent uint32 `json:"persistent"`
	// Connections that were scheduled.
	Connections uint64 `json:"connections"`
	// Packets and bytes from clients, and back where they pass the director (NAT).
	InPackets  uint64 `json:"in_packets"`
	OutPackets uint64 `json:"out_packets"`
	InBytes    uint64 `json:"in_bytes"`
	OutBytes   uint64 `json:"out_bytes"`
	// Rates of the same by the second, as the kernel estimates them over some seconds.
	ConnectionRate uint64 `json:"connection_rate"`
	InPacketRate   uint64 `json:"in_packet_rate"`
	OutPacketRate  uint64 `json:"out_packet_rate"`
	InByteRate     uint64 `json:"in_byte_rate"`
	OutByteRate    uint64 `json:"out_byte_rate"`
}

// Service is the traffic of a service under all its keys.
func (t Traffic) Service(s Service) Counts {
	var sum Counts
	for _, k := range s.Keys() {
		sum.Add(t[k].Counts)
	}
	return sum
}

// Server is the traffic of one real server of a service.
func (t Traffic) Server(s Service, d desired.Destination) Counts {
	var sum Counts
	for _, k := range s.Keys() {
		sum.Add(t[k].Servers[At(k, d)])
	}
	return sum
}

// Add adds others to the counts.
func (c *Counts) Add(o Counts) {
	c.Active += o.Active
	c.Inactive += o.Inactive
	c.Persistent += o.Persistent
	c.Connections += o.Connections
	c.InPackets += o.InPackets
	c.OutPackets += o.OutPackets
	c.InBytes += o.InBytes
	c.OutBytes += o.OutBytes
	c.ConnectionRate += o.ConnectionRate
	c.InPacketRate += o.InPacketRate
	c.OutPacketRate += o.OutPacketRate
	c.InByteRate += o.InByteRate
	c.OutByteRate += o.OutByteRate
}
