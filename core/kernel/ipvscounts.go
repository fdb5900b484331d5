package kernel

import (
	"github.com/cloudflare/ipvs"

	"github.com/vipward/vipward/core/node"
)

// readCounts takes the counts of 64 bits; those of 32 bits wrap.
func readCounts(s ipvs.Stats) node.Counts {
	return node.Counts{
		Connections: s.Connections, InPackets: s.IncomingPackets, OutPackets: s.OutgoingPackets,
		InBytes: s.IncomingBytes, OutBytes: s.OutgoingBytes,
		ConnectionRate: s.ConnectionRate, InPacketRate: s.IncomingPacketRate, OutPacketRate: s.OutgoingPacketRate,
		InByteRate: s.IncomingByteRate, OutByteRate: s.OutgoingByteRate,
	}
}
