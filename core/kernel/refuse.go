package kernel

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// refusalTable is that of our table in nftables which drops what is not accepted.
const refusalTable = "vipward"

// NewRefusals makes an applier, which does nothing yet, that drops the packets to addresses whose virtual router does not accept
// them (RFC 9568 section 6.1, Accept_Mode). What finds addresses passes: ARP, which is no IP, and neighbour discovery. It is not a
// firewall.
func NewRefusals(opt TableOptions) *Table[netip.Addr] {
	return newTable(refusalTable, opt, refusal, nftables.Chain{
		Name: "input", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
}

// refusal is the rules for one address.
func refusal(a netip.Addr) [][]expr.Any {
	drop := append(to(a), &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})
	if a.Is4() {
		return [][]expr.Any{drop}
	}
	pass := append(to(a),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}},
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, DestRegister: 1, Offset: 0, Len: 1},
		&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: []byte{solicitation}, ToData: []byte{advertisement}},
		&expr.Verdict{Kind: expr.VerdictAccept},
	)
	return [][]expr.Any{pass, drop}
}

// to matches the packets to one address, by the destination in the header of its family.
func to(a netip.Addr) []expr.Any {
	family, offset := byte(unix.NFPROTO_IPV4), uint32(16)
	if a.Is6() {
		family, offset = unix.NFPROTO_IPV6, 24
	}
	return append(ofFamily(family),
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, DestRegister: 1, Offset: offset, Len: uint32(a.BitLen() / 8)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a.AsSlice()},
	)
}

// ofFamily matches the packets of one family, in a table of the family inet.
func ofFamily(proto byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
	}
}
