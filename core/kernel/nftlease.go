package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// leaseTable is the name of our tables in nftables, of the families arp and inet.
	leaseTable = "vipward_lease"
	// nftLimit bounds one exchange with the kernel, which waits for others that change the ruleset.
	nftLimit = 5 * time.Second
	// setChunk is how many elements fit one attribute of netlink, whose length has 16 bits.
	setChunk = 500
)

// nftLeases are the sets in nftables: "vips" and "vips6" are those that are guarded, "leased" and "leased6" those that are let through.
// The socket stays open, for to close one takes the kernel longer than all the rest, 15 ms instead of 50 µs; after an error it is
// opened anew, since answers may be left in it. It belongs to one goroutine. The zero value is ready.
type nftLeases struct {
	conn *nftables.Conn // nil for none
	sock *netlink.Conn  // of conn
}

// leaseSet is one of the sets.
type leaseSet struct {
	family nftables.TableFamily
	six    bool
}

func leaseSets() []leaseSet {
	return []leaseSet{{nftables.TableFamilyARP, false}, {nftables.TableFamilyINet, false}, {nftables.TableFamilyINet, true}}
}

func (s leaseSet) table() *nftables.Table { return &nftables.Table{Family: s.family, Name: leaseTable} }

// name is that of the guarded addresses or of the leased ones.
func (s leaseSet) name(leased bool) string {
	name := "vips"
	if leased {
		name = "leased"
	}
	if s.six {
		name += "6"
	}
	return name
}

func (s leaseSet) set(leased bool) *nftables.Set {
	key := nftables.TypeIPAddr
	if s.six {
		key = nftables.TypeIP6Addr
	}
	return &nftables.Set{Table: s.table(), Name: s.name(leased), KeyType: key, HasTimeout: leased}
}

// elements are the addresses of the set's family; of the leased ones those with time left.
func (s leaseSet) elements(all []lease, leased bool) (out []nftables.SetElement) {
	for _, l := range all {
		if l.addr.Is6() != s.six || leased && l.left == 0 {
			continue
		}
		e := nftables.SetElement{Key: l.addr.AsSlice()}
		if leased {
			e.Timeout = l.left
		}
		out = append(out, e)
	}
	return out
}

// with does something with the socket.
func (n *nftLeases) with(f func(*nftables.Conn) error) (err error) {
	if n.conn == nil {
		n.conn, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error { n.sock = c; return nil }))
		if err != nil {
			n.conn = nil
			return fmt.Errorf("open nftables: %w", err)
		}
	}
	if err = n.sock.SetDeadline(time.Now().Add(nftLimit)); err == nil {
		err = f(n.conn)
	}
	if err != nil {
		n.close()
	}
	return err
}

func (n *nftLeases) close() {
	if n.conn != nil {
		_ = n.conn.CloseLasting() // it has none to give
		n.conn = nil
	}
}

func (n *nftLeases) replace(all []lease) error {
	return n.with(func(c *nftables.Conn) error { return replaceLeases(c, all) })
}

func replaceLeases(c *nftables.Conn, all []lease) error {
	for _, family := range []nftables.TableFamily{nftables.TableFamilyARP, nftables.TableFamilyINet} {
		t := c.AddTable(&nftables.Table{Family: family, Name: leaseTable})
		c.DelTable(t) // it is there now in any case
		if len(all) > 0 {
			c.AddTable(t)
		}
	}
	if len(all) > 0 {
		for _, s := range leaseSets() {
			for _, leased := range []bool{false, true} {
				set := s.set(leased)
				if err := c.AddSet(set, nil); err != nil {
					return err
				}
				if err := inChunks(set, s.elements(all, leased), c.SetAddElements); err != nil {
					return err
				}
			}
		}
		for _, chain := range leaseChains() {
			chain.add(c)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("replace the tables arp and inet %s of nftables: %w", leaseTable, err)
	}
	return nil
}

func inChunks(set *nftables.Set, all []nftables.SetElement, f func(*nftables.Set, []nftables.SetElement) error) error {
	for some := range slices.Chunk(all, setChunk) {
		if err := f(set, some); err != nil {
			return err
		}
	}
	return nil
}

// renew deletes and adds in one transaction: before 6.12 the kernel cannot change the time of an element.
func (n *nftLeases) renew(all []lease) error {
	return n.with(func(c *nftables.Conn) error { return renewLeases(c, all) })
}

func renewLeases(c *nftables.Conn, all []lease) error {
	for _, s := range leaseSets() {
		set, elements := s.set(true), s.elements(all, true)
		if err := inChunks(set, elements, c.SetDeleteElements); err != nil {
			return err
		}
		if err := inChunks(set, elements, c.SetAddElements); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("renew in the tables arp and inet %s of nftables: %w", leaseTable, err)
	}
	return nil
}

func (n *nftLeases) intact(vips int) bool {
	rules, guarded := 0, 0
	err := n.with(func(c *nftables.Conn) error {
		for _, chain := range leaseChains() {
			has, err := c.GetRules(chain.Table, chain.Chain)
			if err != nil {
				return err
			}
			rules += len(has) - len(chain.rules)
		}
		for _, s := range leaseSets() {
			all, err := c.GetSetElements(s.set(false))
			if err != nil {
				return err
			}
			if s.family == nftables.TableFamilyINet {
				guarded += len(all)
			}
		}
		return nil
	})
	return err == nil && rules == 0 && guarded == vips
}

// held are the VIPs that are let through.
func (n *nftLeases) held() (all []netip.Addr, err error) {
	err = n.with(func(c *nftables.Conn) error {
		for _, s := range leaseSets() {
			elements, err := c.GetSetElements(s.set(true))
			if err != nil {
				return fmt.Errorf("list who has a fast lease: %w", err)
			}
			for _, e := range elements {
				if a, ok := netip.AddrFromSlice(e.Key); ok && e.Expires > 0 && !slices.Contains(all, a) {
					all = append(all, a)
				}
			}
		}
		return nil
	})
	return all, err
}

func (n *nftLeases) any() (any bool) {
	defer n.close() // an error is an answer here
	err := n.with(func(c *nftables.Conn) error {
		for _, family := range []nftables.TableFamily{nftables.TableFamilyARP, nftables.TableFamilyINet} {
			t, err := c.ListTableOfFamily(leaseTable, family)
			any = any || err == nil && t != nil
		}
		return nil
	})
	return err == nil && any
}

// leaseChain is a chain with its rules.
type leaseChain struct {
	*nftables.Chain
	rules [][]expr.Any
}

func (l leaseChain) add(c *nftables.Conn) {
	c.AddChain(l.Chain)
	for _, r := range l.rules {
		c.AddRule(&nftables.Rule{Table: l.Table, Chain: l.Chain, Exprs: r})
	}
}

// leaseChains drop what a node must not say or hear in the name of a VIP whose lease is over. What is forwarded passes, for a router
// may be on the way to who has the VIP now; IPVS takes packets in the hook input, after these.
func leaseChains() []leaseChain {
	arp, inet := leaseSet{nftables.TableFamilyARP, false}, leaseSet{nftables.TableFamilyINet, false}
	inet6 := leaseSet{nftables.TableFamilyINet, true}
	chain := func(s leaseSet, name string, hook *nftables.ChainHook, rules ...[]expr.Any) leaseChain {
		return leaseChain{&nftables.Chain{
			Name: name, Table: s.table(), Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityRaw,
		}, rules}
	}
	// Where the addresses are in the headers of ARP (RFC 826, of Ethernet and IPv4), IPv4 and IPv6.
	const arpSender, arpTarget, ip4Source, ip4Destination, ip6Source, ip6Destination = 14, 24, 12, 16, 8, 24
	return []leaseChain{
		chain(arp, "input", nftables.ChainHookRef(arpIn), arp.drop(nil, expr.PayloadBaseNetworkHeader, arpTarget)),
		chain(arp, "output", nftables.ChainHookRef(arpOut), arp.drop(nil, expr.PayloadBaseNetworkHeader, arpSender)),
		chain(inet, "input", nftables.ChainHookInput,
			inet.drop(ofFamily(unix.NFPROTO_IPV4), expr.PayloadBaseNetworkHeader, ip4Destination),
			inet6.drop(ofFamily(unix.NFPROTO_IPV6), expr.PayloadBaseNetworkHeader, ip6Destination),
			inet6.drop(icmpv6(solicitation), expr.PayloadBaseTransportHeader, targetOffset)),
		chain(inet, "output", nftables.ChainHookOutput,
			inet.drop(ofFamily(unix.NFPROTO_IPV4), expr.PayloadBaseNetworkHeader, ip4Source),
			inet6.drop(ofFamily(unix.NFPROTO_IPV6), expr.PayloadBaseNetworkHeader, ip6Source),
			inet6.drop(icmpv6(advertisement), expr.PayloadBaseTransportHeader, targetOffset)),
	}
}

// The hooks of ARP have numbers of their own (NF_ARP_… of linux/netfilter_arp.h).
const (
	arpIn  nftables.ChainHook = 0
	arpOut nftables.ChainHook = 1
)

// targetOffset is where neighbour solicitations and advertisements have their target (RFC 4861 sections 4.3 and 4.4).
const targetOffset = 8

// drop is the rule for packets with a guarded address at an offset that has no lease.
func (s leaseSet) drop(match []expr.Any, base expr.PayloadBase, offset uint32) []expr.Any {
	length := uint32(netip.IPv4Unspecified().BitLen() / 8)
	if s.six {
		length = uint32(netip.IPv6Unspecified().BitLen() / 8)
	}
	return append(match,
		&expr.Payload{Base: base, DestRegister: 1, Offset: offset, Len: length},
		&expr.Lookup{SourceRegister: 1, SetName: s.name(false)},
		&expr.Lookup{SourceRegister: 1, SetName: s.name(true), Invert: true},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)
}

// icmpv6 matches messages of one type.
func icmpv6(kind byte) []expr.Any {
	return append(ofFamily(unix.NFPROTO_IPV6),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}},
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, DestRegister: 1, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind}},
	)
}
