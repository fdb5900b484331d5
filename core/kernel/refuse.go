package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const (
	// tableName is that of our table in nftables. Nobody else's is touched.
	tableName = "vipward"
	// refuseEvery is how often the table is made anew, since a reload of a firewall may have flushed it.
	refuseEvery = 30 * time.Second
)

// RefusalOptions are what [NewRefusals] needs.
type RefusalOptions struct {
	// Logger gets what an operator should know. Required.
	Logger *slog.Logger
}

// Refusals drops the packets to addresses whose virtual router does not accept them (RFC 9568 section 6.1, Accept_Mode), by a
// table of nftables. What finds addresses passes: ARP, which is no IP, and neighbour discovery. It is not a firewall.
type Refusals struct {
	log  *slog.Logger
	wish *mailbox[[]netip.Addr]
}

// NewRefusals makes an applier that does nothing yet.
func NewRefusals(opt RefusalOptions) *Refusals {
	return &Refusals{log: opt.Logger, wish: newMailbox[[]netip.Addr]()}
}

// Set replaces the wish. It never blocks. The kernel is not touched before the first wish that is not empty.
func (r *Refusals) Set(addrs []netip.Addr) { r.wish.put(addrs) }

// Wait returns when everything wished before it has been tried once.
func (r *Refusals) Wait(ctx context.Context) error { return r.wish.wait(ctx) }

// Run applies the wishes until ctx ends. The last one then stays in force.
func (r *Refusals) Run(ctx context.Context) error {
	timer := time.NewTicker(refuseEvery)
	defer timer.Stop()
	var want []netip.Addr
	var taken uint64
	made := false // there is a table of ours
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wish.changed:
			old := want
			first := taken == 0
			want, taken = r.wish.take()
			made = made || first && tableExists(tableName) // a former run was killed
			if !first && slices.Equal(old, want) {
				r.wish.finish(taken)
				continue
			}
		case <-timer.C:
		}
		if made || len(want) > 0 {
			made = r.apply(want, made)
		}
		if taken > 0 {
			r.wish.finish(taken)
		}
	}
}

// apply tells whether there is a table now.
func (r *Refusals) apply(want []netip.Addr, made bool) bool {
	if err := replaceTable(want); err != nil {
		r.log.Error("packets to the VIPs of instances with accept = false are not dropped; the next try is in 30s", "error", err)
		return made
	}
	return len(want) > 0
}

// tableExists tells whether there is a table of that name, which is ours. Where the kernel has no nftables, there is none.
func tableExists(name string) bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	t, err := c.ListTableOfFamily(name, nftables.TableFamilyINet)
	return err == nil && t != nil
}

// replaceTable puts a table for these addresses in the place of the one before, in one transaction; none of them leave none.
func replaceTable(refused []netip.Addr) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableName})
	c.DelTable(table) // it is there now in any case
	if len(refused) > 0 {
		c.AddTable(table)
		chain := c.AddChain(&nftables.Chain{
			Name: "input", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
		})
		for _, a := range refused {
			for _, e := range rules(a) {
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: e})
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("replace the table inet %s of nftables: %w", tableName, err)
	}
	return nil
}

// rules are those for one address.
func rules(a netip.Addr) [][]expr.Any {
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
