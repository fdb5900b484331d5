package kernel

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nowhere are addresses for documentation (RFC 5737, RFC 3849), to which nothing but a default route leads. A lookup of one costs the
// same on a router that knows a million routes, where a listing would take seconds.
var nowhere = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

// gateways are the next hops of the default routes over one interface, those of our own routes left out. What cannot be found out is
// left out as well: it is looked for again.
func (r *rtnl) gateways(index int) (all []netip.Addr) {
	const fibMatch = 0x2000 // RTM_F_FIB_MATCH of linux/rtnetlink.h: show the route that fits, not the cached one
	for _, to := range nowhere {
		m := &nl.RtMsg{RtMsg: unix.RtMsg{Family: familyOf(to.Is6()), Dst_len: uint8(to.BitLen()), Flags: fibMatch}}
		got, err := r.do(unix.RTM_GETROUTE, 0, unix.RTM_NEWROUTE, m,
			nl.NewRtAttr(unix.RTA_DST, to.AsSlice()), nl.NewRtAttr(unix.RTA_OIF, number(uint32(index))))
		if err != nil || len(got) == 0 {
			continue // no route leads there
		}
		all = append(all, readGateways(got[0], index)...)
	}
	return all
}

// readGateways reads the next hops over one interface out of a default route that is not ours.
func readGateways(b []byte, index int) (all []netip.Addr) {
	if len(b) < unix.SizeofRtMsg {
		return nil
	}
	m := nl.DeserializeRtMsg(b)
	if m.Dst_len != 0 || m.Protocol == routeMark || m.Type != unix.RTN_UNICAST {
		return nil
	}
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofRtMsg:])
	if err != nil {
		return nil
	}
	add := func(value []byte) {
		if a, ok := netip.AddrFromSlice(value); ok && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_GATEWAY:
			add(a.Value)
		case unix.RTA_MULTIPATH:
			eachHop(a.Value, func(hop int, via []byte) {
				if hop == index {
					add(via)
				}
			})
		}
	}
	return all
}

// eachHop reads RTA_MULTIPATH: one struct rtnexthop (linux/rtnetlink.h) after the other, each with its attributes.
func eachHop(b []byte, f func(index int, via []byte)) {
	const head = 8 // length, flags, hops, index
	for len(b) >= head {
		size := int(binary.NativeEndian.Uint16(b))
		if size < head || size > len(b) {
			return
		}
		attrs, err := nl.ParseRouteAttr(b[head:size])
		if err != nil {
			return
		}
		for _, a := range attrs {
			if a.Attr.Type == unix.RTA_GATEWAY {
				f(int(binary.NativeEndian.Uint32(b[4:])), a.Value)
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
}
