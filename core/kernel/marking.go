package kernel

import (
	"encoding/binary"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// markingTable is that of our table in nftables which gives firewall marks.
const markingTable = "vipward-marks"

// NewMarkings makes an applier, which does nothing yet, that gives packets the firewall marks by which IPVS finds a service: those
// that come in, and those that this machine sends. It comes before IPVS, and before the rules of a firewall that filter.
func NewMarkings(opt TableOptions) *Table[desired.Marking] {
	return newTable(markingTable, opt, func(m desired.Marking) [][]expr.Any { return [][]expr.Any{marking(m)} },
		nftables.Chain{
			Name: "prerouting", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle,
		},
		nftables.Chain{Name: "output", Type: nftables.ChainTypeRoute, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityMangle})
}

// marking is one rule.
func marking(m desired.Marking) []expr.Any {
	family, offset := byte(unix.NFPROTO_IPV4), uint32(16)
	if m.First.Is6() {
		family, offset = unix.NFPROTO_IPV6, 24
	}
	protocol := map[desired.Protocol]byte{desired.TCP: unix.IPPROTO_TCP, desired.UDP: unix.IPPROTO_UDP, desired.SCTP: unix.IPPROTO_SCTP}[m.Protocol]
	port := func(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }
	word := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, // checks through the VIP have marks already, and keep them
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: word(desired.ProbeMarksMask), Xor: word(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: word(desired.ProbeMarks)},
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, DestRegister: 1, Offset: offset, Len: uint32(m.First.BitLen() / 8)},
		&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: m.First.AsSlice(), ToData: m.Last.AsSlice()},
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, DestRegister: 1, Offset: 2, Len: 2},
		&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: port(m.FirstPort), ToData: port(m.LastPort)},
		&expr.Immediate{Register: 1, Data: word(m.Mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
		&expr.Counter{},
	}
}
