package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// mark is the protocol (IFA_PROTO) of the addresses that this project installs, so that a later run knows them. It is
	// free to choose above 3 (linux/if_addr.h); it is the number of VRRP's IP protocol plus 6: an ASCII v. Kernels before
	// 5.18 ignore it.
	mark = 'v'
	// ifaProto is IFA_PROTO of linux/if_addr.h.
	ifaProto = 11
	// forever is INFINITY_LIFE_TIME of the kernel's net/addrconf.h.
	forever = 0xffffffff
	// answerTimeout bounds each call. The kernel answers within microseconds.
	answerTimeout = 5 * time.Second
	// localLimit bounds the wait for the route of a new IPv6 address, which takes less than a millisecond on a calm machine, and
	// longer where somebody else keeps the lock of the network configuration.
	localLimit = 250 * time.Millisecond
	localPause = 100 * time.Microsecond
	// dumpTries is how often an interrupted listing is tried again.
	dumpTries = 5
)

// entry is one address in the kernel.
type entry struct {
	index  int // of the interface
	prefix netip.Prefix
	label  string
	scope  uint8
	// mark is its protocol: 0 for none, or on kernels before 5.18.
	mark uint8
	// valid is how long the kernel keeps it, in whole seconds; 0 for ever.
	valid time.Duration
	// renewed is when its lifetime was last set, in hundredths of a second on the kernel's own clock, which began at its start.
	renewed uint32
	// unusable is an IPv6 address that is not yet known to be unique, or known not to be (RFC 4862 section 5.4).
	unusable bool
	// secondary addresses are those of a subnet in which the interface has another one, and temporary ones of IPv6.
	secondary bool
}

// link is one interface of the kernel.
type link struct {
	name  string
	index int
	flags uint32 // IFF_…
	// mac is empty where the interface is not like Ethernet.
	mac net.HardwareAddr
	// forwards tells whether IPv6 packets that come in there are forwarded.
	forwards bool
	// alias is the text that somebody has put to it.
	alias string
	// parent is the interface below it; 0 for none.
	parent int
	// macvlan is the mode of one; 0 for another kind of interface.
	macvlan uint32
	settings
	// promotes tells whether another address of a subnet takes the place of the primary one that goes, instead of going with it.
	promotes bool
}

// rtnl is a socket of route netlink (rtnetlink(7)) of the network namespace of the thread that opened it. Its errors carry the
// kernel's own words where there are some. It may be used by one goroutine at a time.
type rtnl struct{ socket *nl.SocketHandle }

func dialRoute() (*rtnl, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	limit := unix.NsecToTimeval(int64(answerTimeout))
	if err := errors.Join(s.SetExtAck(true), s.SetReceiveTimeout(&limit), s.SetSendTimeout(&limit)); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up route netlink: %w", err)
	}
	return &rtnl{socket: &nl.SocketHandle{Socket: s}}, nil
}

func (r *rtnl) close() { r.socket.Close() }

// do carries out one request. A listing that was interrupted by a change is made anew, and its last result taken in any case:
// a take-over must not fail because somebody else changes addresses too.
func (r *rtnl) do(typ uint16, flags int, answer uint16, data ...nl.NetlinkRequestData) ([][]byte, error) {
	for try := 1; ; try++ {
		req := nl.NewNetlinkRequest(int(typ), flags)
		req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: r.socket}
		for _, d := range data {
			req.AddData(d)
		}
		got, err := req.Execute(unix.NETLINK_ROUTE, answer)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			return got, err
		}
		if try == dumpTries {
			return got, nil
		}
	}
}

// link finds an interface by its name.
func (r *rtnl) link(name string) (link, error) {
	got, err := r.do(unix.RTM_GETLINK, 0, unix.RTM_NEWLINK,
		nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if err != nil {
		return link{}, fmt.Errorf("find interface %s: %w", name, err)
	}
	if len(got) == 0 {
		return link{}, fmt.Errorf("find interface %s: %w", name, unix.ENODEV)
	}
	return parseLink(got[0])
}

// links lists the interfaces.
func (r *rtnl) links() ([]link, error) {
	got, err := r.do(unix.RTM_GETLINK, unix.NLM_F_DUMP, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return parseAll(got, parseLink)
}

// list lists the addresses in the kernel's order: of one subnet on one interface, the primary one comes first.
func (r *rtnl) list() ([]entry, error) {
	got, err := r.do(unix.RTM_GETADDR, unix.NLM_F_DUMP, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return parseAll(got, parseEntry)
}

// settle waits until packets for a new IPv6 address are taken in: the kernel makes its local route in a work queue of its own
// (addrconf_dad_work in net/ipv6/addrconf.c), and what comes before that is lost. The address is announced after it.
// It gives up after the limit.
func (r *rtnl) settle(e entry, limit time.Duration) {
	if e.prefix.Addr().Is4() {
		return
	}
	index := binary.NativeEndian.AppendUint32(nil, uint32(e.index))
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(localPause) {
		m := nl.NewRtMsg()
		m.Family, m.Dst_len = unix.AF_INET6, 128
		got, err := r.do(unix.RTM_GETROUTE, 0, unix.RTM_NEWROUTE, m,
			nl.NewRtAttr(unix.RTA_DST, e.prefix.Addr().AsSlice()), nl.NewRtAttr(unix.RTA_OIF, index))
		const kind = 7 // of the route, in struct rtmsg
		if err != nil || len(got) > 0 && len(got[0]) > kind && got[0][kind] == unix.RTN_LOCAL {
			return
		}
	}
}

// remove deletes an address.
func (r *rtnl) remove(e entry) error {
	ip := e.prefix.Addr().AsSlice() // as IFA_ADDRESS it makes the kernel compare the prefix length too
	_, err := r.do(unix.RTM_DELADDR, unix.NLM_F_ACK, 0, e.message(), nl.NewRtAttr(unix.IFA_LOCAL, ip), nl.NewRtAttr(unix.IFA_ADDRESS, ip))
	return err
}

// place is where an address is in the kernel's table, where there can be one only.
type place struct {
	index  int
	prefix netip.Prefix
}

func (e entry) place() place { return place{e.index, e.prefix} }

func (e entry) message() *nl.IfAddrmsg {
	m := nl.NewIfAddrmsg(unix.AF_INET)
	if e.prefix.Addr().Is6() {
		m.Family = unix.AF_INET6
	}
	m.Prefixlen, m.Index, m.Scope = uint8(e.prefix.Bits()), uint32(e.index), e.scope
	return m
}

// request is the message of RTM_NEWADDR. It asks for no broadcast address, as `ip address add` does by default. An IPv6
// address is used at once: duplicates are what VRRP itself is there to prevent. It is deprecated from the beginning, so that the
// kernel does not choose it as the source of anything (RFC 6724 section 5, rule 3).
func (e entry) request() []nl.NetlinkRequestData {
	m := e.message()
	ip := e.prefix.Addr().AsSlice()
	data := []nl.NetlinkRequestData{m, nl.NewRtAttr(unix.IFA_LOCAL, ip), nl.NewRtAttr(unix.IFA_ADDRESS, ip)}
	if m.Family == unix.AF_INET6 {
		m.Flags = unix.IFA_F_NODAD
	} else if e.label != "" {
		data = append(data, nl.NewRtAttr(unix.IFA_LABEL, nl.ZeroTerminated(e.label)))
	}
	seconds := uint32(forever)
	if e.valid > 0 {
		seconds = uint32(e.valid / time.Second)
	}
	life := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Prefered: seconds, Valid: seconds}}
	if m.Family == unix.AF_INET6 {
		life.Prefered = 0
	}
	return append(data, nl.NewRtAttr(unix.IFA_CACHEINFO, life.Serialize()), nl.NewRtAttr(ifaProto, []byte{e.mark}))
}

func parseAll[T any](messages [][]byte, parse func([]byte) (T, error)) ([]T, error) {
	all := make([]T, 0, len(messages))
	for _, m := range messages {
		one, err := parse(m)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// parseEntry reads a message of RTM_NEWADDR or RTM_DELADDR.
func parseEntry(b []byte) (entry, error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return entry{}, errors.New("a message about an address is too short")
	}
	m := nl.DeserializeIfAddrmsg(b)
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofIfAddrmsg:])
	if err != nil {
		return entry{}, fmt.Errorf("read a message about an address: %w", err)
	}
	e := entry{index: int(m.Index), scope: m.Scope, secondary: m.Flags&unix.IFA_F_SECONDARY != 0}
	if m.Family == unix.AF_INET6 {
		e.unusable = m.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && m.Flags&unix.IFA_F_OPTIMISTIC == 0
	}
	var local, address netip.Addr
	for _, a := range attrs {
		e.readAttr(a, &local, &address)
	}
	if !local.IsValid() { // IPv6 tells it as IFA_ADDRESS alone, unless it is point to point
		local = address
	}
	e.prefix = netip.PrefixFrom(local, int(m.Prefixlen))
	return e, nil
}

func (e *entry) readAttr(a syscall.NetlinkRouteAttr, local, address *netip.Addr) {
	switch a.Attr.Type {
	case unix.IFA_LOCAL:
		*local, _ = netip.AddrFromSlice(a.Value)
	case unix.IFA_ADDRESS:
		*address, _ = netip.AddrFromSlice(a.Value)
	case unix.IFA_LABEL:
		e.label = unix.ByteSliceToString(a.Value)
	case ifaProto:
		if len(a.Value) > 0 {
			e.mark = a.Value[0]
		}
	case unix.IFA_CACHEINFO:
		if len(a.Value) < 16 { // struct ifa_cacheinfo: preferred, valid, and when it was made and changed
			return
		}
		e.renewed = binary.NativeEndian.Uint32(a.Value[12:])
		if valid := binary.NativeEndian.Uint32(a.Value[4:]); valid != forever {
			e.valid = max(time.Duration(valid)*time.Second, time.Second) // the kernel rounds the last second to 0
		}
	}
}

// parseLink reads a message of RTM_NEWLINK or RTM_DELLINK.
func parseLink(b []byte) (link, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return link{}, errors.New("a message about an interface is too short")
	}
	m := nl.DeserializeIfInfomsg(b)
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return link{}, fmt.Errorf("read a message about an interface: %w", err)
	}
	l := link{index: int(m.Index), flags: m.Flags}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			l.name = unix.ByteSliceToString(a.Value)
		case unix.IFLA_ADDRESS:
			if m.Type == unix.ARPHRD_ETHER && len(a.Value) == 6 {
				l.mac = a.Value
			}
		case unix.IFLA_AF_SPEC:
			l.forwards = forwards6(a.Value)
			l.inet4(a.Value)
		case unix.IFLA_IFALIAS:
			l.alias = unix.ByteSliceToString(a.Value)
		case unix.IFLA_LINK:
			if len(a.Value) >= 4 {
				l.parent = int(binary.NativeEndian.Uint32(a.Value))
			}
		case unix.IFLA_LINKINFO:
			l.macvlan = macvlanMode(a.Value)
		}
	}
	return l, nil
}

// forwards6 reads forwarding (net.ipv6.conf.IF.forwarding) out of IFLA_AF_SPEC: the first number of IFLA_INET6_CONF, which is
// DEVCONF_FORWARDING of linux/ipv6.h.
func forwards6(spec []byte) bool {
	families, err := nl.ParseRouteAttr(spec)
	if err != nil {
		return false
	}
	for _, f := range families {
		if f.Attr.Type != unix.AF_INET6 {
			continue
		}
		attrs, err := nl.ParseRouteAttr(f.Value)
		if err != nil {
			return false
		}
		for _, a := range attrs {
			if a.Attr.Type == unix.IFLA_INET6_CONF && len(a.Value) >= 4 {
				return binary.NativeEndian.Uint32(a.Value) != 0
			}
		}
	}
	return false
}
