package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// deviceTo is the name of the interface by which packets to an address leave.
func (r *rtnl) deviceTo(a netip.Addr) (string, error) {
	m := nl.NewRtMsg()
	m.Family, m.Dst_len = unix.AF_INET, uint8(a.BitLen())
	if a.Is6() {
		m.Family = unix.AF_INET6
	}
	m.Type, m.Protocol, m.Scope = unix.RTN_UNSPEC, unix.RTPROT_UNSPEC, unix.RT_SCOPE_UNIVERSE
	got, err := r.do(unix.RTM_GETROUTE, 0, unix.RTM_NEWROUTE, m, nl.NewRtAttr(unix.RTA_DST, a.AsSlice()))
	if err != nil {
		return "", fmt.Errorf("ask for the route: %w", err)
	}
	if len(got) == 0 || len(got[0]) < unix.SizeofRtMsg {
		return "", errors.New("ask for the route: the answer is too short")
	}
	attrs, err := nl.ParseRouteAttr(got[0][unix.SizeofRtMsg:])
	if err != nil {
		return "", fmt.Errorf("read the route: %w", err)
	}
	for _, attr := range attrs {
		if attr.Attr.Type == unix.RTA_OIF && len(attr.Value) == 4 {
			return r.nameOf(int(binary.NativeEndian.Uint32(attr.Value)))
		}
	}
	return "", errors.New("the route leads to no interface")
}

// nameOf is the name of the interface with that index.
func (r *rtnl) nameOf(index int) (string, error) {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Index = int32(index)
	got, err := r.do(unix.RTM_GETLINK, 0, unix.RTM_NEWLINK, m)
	if err != nil {
		return "", fmt.Errorf("find interface %d: %w", index, err)
	}
	if len(got) == 0 {
		return "", fmt.Errorf("find interface %d: %w", index, unix.ENODEV)
	}
	l, err := parseLink(got[0])
	return l.name, err
}
