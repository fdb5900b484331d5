package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// markingTable is that of our table in nftables which gives firewall marks. Nobody else's is touched.
const markingTable = "vipward-marks"

// MarkingOptions are what [NewMarkings] needs.
type MarkingOptions struct {
	// Logger gets what an operator should know. Required.
	Logger *slog.Logger
	// Report is called by Run's goroutine when the error has changed, with an empty text for none. It must not block. Required.
	Report func(reason string)
}

// Markings gives packets the firewall marks by which IPVS finds a service, by a table of nftables: those that come in, and
// those that this machine sends. It comes before IPVS, and before the rules of a firewall that filter.
type Markings struct {
	opt  MarkingOptions
	wish *mailbox[[]desired.Marking]
	told string // the last error reported
}

// NewMarkings makes an applier that does nothing yet.
func NewMarkings(opt MarkingOptions) *Markings {
	return &Markings{opt: opt, wish: newMailbox[[]desired.Marking]()}
}

// Set replaces the wish. It never blocks. The kernel is not touched before the first wish that is not empty, unless a former
// run has left a table.
func (m *Markings) Set(want []desired.Marking) { m.wish.put(want) }

// Wait returns when everything wished before it has been tried once.
func (m *Markings) Wait(ctx context.Context) error { return m.wish.wait(ctx) }

// Run applies the wishes until ctx ends. The last one then stays in force. The table is made anew from time to time, since a
// reload of a firewall may have flushed it.
func (m *Markings) Run(ctx context.Context) error {
	timer := time.NewTicker(refuseEvery)
	defer timer.Stop()
	var want []desired.Marking
	var taken uint64
	made := false // there is a table of ours
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wish.changed:
			old, first := want, taken == 0
			want, taken = m.wish.take()
			made = made || first && tableExists(markingTable) // a former run was killed
			if !first && slices.Equal(old, want) {
				m.wish.finish(taken)
				continue
			}
		case <-timer.C:
		}
		if made || len(want) > 0 {
			made = m.apply(want, made)
		}
		if taken > 0 {
			m.wish.finish(taken)
		}
	}
}

// apply tells whether there is a table now.
func (m *Markings) apply(want []desired.Marking, made bool) bool {
	reason := ""
	err := replaceMarkings(want)
	if err != nil {
		reason = "packets to services by firewall mark are not marked, and do not reach them; the next try is in 30s: " + err.Error()
		m.opt.Logger.Debug("replace the markings", "error", err)
	}
	if reason != m.told {
		m.told = reason
		m.opt.Report(reason)
	}
	if err != nil {
		return made
	}
	return len(want) > 0
}

// replaceMarkings puts a table in the place of the one before, in one transaction; no markings leave none.
func replaceMarkings(want []desired.Marking) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: markingTable})
	c.DelTable(table) // it is there now in any case
	if len(want) > 0 {
		c.AddTable(table)
		chains := []*nftables.Chain{
			{Name: "prerouting", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting},
			{Name: "output", Type: nftables.ChainTypeRoute, Hooknum: nftables.ChainHookOutput},
		}
		for _, chain := range chains {
			chain.Table, chain.Priority = table, nftables.ChainPriorityMangle
			c.AddChain(chain)
			for _, m := range want {
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: marking(m)})
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("replace the table inet %s of nftables: %w", markingTable, err)
	}
	return nil
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
