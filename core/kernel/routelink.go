package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// routeMark is the protocol of our routes (RTPROT_… of linux/rtnetlink.h) and rules, as [mark] is of addresses.
const routeMark = mark

// The numbers of the types of routes and of what a rule does (RTN_… of linux/rtnetlink.h, FR_ACT_… of linux/fib_rules.h).
var (
	routeTypes = map[string]uint8{
		desired.Unicast: unix.RTN_UNICAST, desired.Blackhole: unix.RTN_BLACKHOLE,
		desired.Unreachable: unix.RTN_UNREACHABLE, desired.Prohibit: unix.RTN_PROHIBIT,
	}
	ruleTypes = map[string]uint8{desired.Lookup: 1, desired.Blackhole: 6, desired.Unreachable: 7, desired.Prohibit: 8}
)

func nameOf(types map[string]uint8, number uint8) string {
	for name, n := range types {
		if n == number {
			return name
		}
	}
	return strconv.Itoa(int(number))
}

func familyOf(six bool) uint8 {
	if six {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// addRoute sets a route. One that is there already is replaced only if it is ours.
func (r *rtnl) addRoute(w desired.Route, ours bool) error {
	data, err := r.routeRequest(w)
	if err != nil {
		return err
	}
	flags := unix.NLM_F_CREATE | unix.NLM_F_EXCL
	if ours {
		flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	}
	_, err = r.do(unix.RTM_NEWROUTE, flags|unix.NLM_F_ACK, 0, data...)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: there is one for %v with metric %d that somebody else has set", err, w.Prefix, metric(w))
	}
	return err
}

// removeRoute deletes a route of ours: the kernel compares the protocol.
func (r *rtnl) removeRoute(h desired.Route) error {
	h.Interface, h.MTU, h.Source = "", 0, netip.Addr{} // its place is enough
	data, err := r.routeRequest(h)
	if err != nil {
		return err
	}
	_, err = r.do(unix.RTM_DELROUTE, unix.NLM_F_ACK, 0, data...)
	return err
}

func (r *rtnl) routeRequest(w desired.Route) ([]nl.NetlinkRequestData, error) {
	m := &nl.RtMsg{RtMsg: unix.RtMsg{
		Family: familyOf(w.Prefix.Addr().Is6()), Dst_len: uint8(w.Prefix.Bits()), Table: unix.RT_TABLE_UNSPEC,
		Protocol: routeMark, Type: routeTypes[w.Type], Scope: unix.RT_SCOPE_UNIVERSE,
	}}
	if w.OnLink {
		m.Flags = unix.RTNH_F_ONLINK
	}
	if w.Prefix.Addr().Is4() && w.Type == desired.Unicast && !w.Via.IsValid() {
		m.Scope = unix.RT_SCOPE_LINK
	}
	if w.Scope != "" {
		scope, err := parseScope(w.Scope)
		if err != nil {
			return nil, err
		}
		m.Scope = scope
	}
	data := []nl.NetlinkRequestData{m, nl.NewRtAttr(unix.RTA_TABLE, number(w.Table))}
	add := func(typ int, value []byte) { data = append(data, nl.NewRtAttr(typ, value)) }
	if w.Prefix.Bits() > 0 {
		add(unix.RTA_DST, w.Prefix.Masked().Addr().AsSlice())
	}
	if w.Via.IsValid() {
		add(unix.RTA_GATEWAY, w.Via.AsSlice())
	}
	if w.Interface != "" {
		l, err := r.link(w.Interface)
		if err != nil {
			return nil, err
		}
		add(unix.RTA_OIF, number(uint32(l.index)))
	}
	if w.Metric != 0 {
		add(unix.RTA_PRIORITY, number(w.Metric))
	}
	if w.Source.IsValid() {
		add(unix.RTA_PREFSRC, w.Source.AsSlice())
	}
	if w.MTU != 0 {
		metrics := nl.NewRtAttr(unix.RTA_METRICS, nil)
		metrics.AddRtAttr(unix.RTAX_MTU, number(w.MTU))
		data = append(data, metrics)
	}
	return data, nil
}

// ourRoutes lists the routes that bear our mark. The kernel is asked for these alone, for there may be a million of others; old
// kernels give all.
func (r *rtnl) ourRoutes(names map[int]string) ([]desired.Route, error) {
	fd := r.socket.Socket.GetFd()
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1) // where it is unknown, all are sorted out below
	defer func() { _ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 0) }()
	var all []desired.Route
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		got, err := r.do(unix.RTM_GETROUTE, unix.NLM_F_DUMP, unix.RTM_NEWROUTE,
			&nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Protocol: routeMark}})
		if err != nil && !isUnknownFamily(err) {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, b := range got {
			if h, ours := parseRoute(b, names); ours {
				all = append(all, h)
			}
		}
	}
	return all, nil
}

// isUnknownFamily tells that the kernel has no IPv6.
func isUnknownFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// parseRoute reads a message of RTM_NEWROUTE or RTM_DELROUTE, and tells whether the route bears our mark.
func parseRoute(b []byte, names map[int]string) (h desired.Route, ours bool) {
	if len(b) < unix.SizeofRtMsg {
		return h, false
	}
	m := nl.DeserializeRtMsg(b)
	const cloned = 0x200 // RTM_F_CLONED: a cached route
	if m.Protocol != routeMark || m.Flags&cloned != 0 {
		return h, false
	}
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofRtMsg:])
	if err != nil {
		return h, false
	}
	zero := netip.IPv4Unspecified()
	if m.Family == unix.AF_INET6 {
		zero = netip.IPv6Unspecified()
	}
	h = desired.Route{
		Type: nameOf(routeTypes, m.Type), Table: uint32(m.Table), OnLink: m.Flags&unix.RTNH_F_ONLINK != 0,
		Prefix: netip.PrefixFrom(zero, int(m.Dst_len)), Scope: scopeName(m.Scope),
	}
	for _, a := range attrs {
		readRouteAttr(&h, a, int(m.Dst_len), names)
	}
	if m.Family == unix.AF_INET6 {
		h.Scope = "" // it has none
	}
	if h.Type != desired.Unicast {
		h.Interface = "" // IPv6 shows lo
	}
	return h, true
}

func scopeName(n uint8) string {
	switch n {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	}
	return strconv.Itoa(int(n))
}

func readRouteAttr(h *desired.Route, a syscall.NetlinkRouteAttr, bits int, names map[int]string) {
	addr, isAddr := netip.AddrFromSlice(a.Value)
	value := uint32(0)
	if len(a.Value) >= 4 {
		value = binary.NativeEndian.Uint32(a.Value)
	}
	switch a.Attr.Type {
	case unix.RTA_DST:
		if isAddr {
			h.Prefix = netip.PrefixFrom(addr, bits)
		}
	case unix.RTA_GATEWAY:
		h.Via = addr
	case unix.RTA_OIF:
		h.Interface = names[int(value)]
	case unix.RTA_PRIORITY:
		h.Metric = value
	case unix.RTA_TABLE:
		h.Table = value
	case unix.RTA_PREFSRC:
		h.Source = addr
	case unix.RTA_METRICS:
		metrics, _ := nl.ParseRouteAttr(a.Value)
		for _, m := range metrics {
			if m.Attr.Type == unix.RTAX_MTU && len(m.Value) >= 4 {
				h.MTU = binary.NativeEndian.Uint32(m.Value)
			}
		}
	}
}

func (r *rtnl) addRule(w desired.Rule) error {
	_, err := r.do(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, 0, ruleRequest(w)...)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: somebody else has set the same", err)
	}
	return err
}

// removeRule deletes a rule of ours: the kernel compares the protocol.
func (r *rtnl) removeRule(h desired.Rule) error {
	_, err := r.do(unix.RTM_DELRULE, unix.NLM_F_ACK, 0, ruleRequest(h)...)
	return err
}

// ruleRequest is a struct fib_rule_hdr (linux/fib_rules.h) with its attributes. It has the form of a struct rtmsg, where the type
// stands for the action.
func ruleRequest(w desired.Rule) []nl.NetlinkRequestData {
	m := &nl.RtMsg{RtMsg: unix.RtMsg{Family: familyOf(w.IPv6), Type: ruleTypes[w.Type]}}
	data := []nl.NetlinkRequestData{m, nl.NewRtAttr(unix.FRA_PROTOCOL, []byte{routeMark}), nl.NewRtAttr(unix.FRA_PRIORITY, number(w.Priority))}
	add := func(typ int, value []byte) { data = append(data, nl.NewRtAttr(typ, value)) }
	if w.From.IsValid() {
		m.Src_len = uint8(w.From.Bits())
		add(unix.FRA_SRC, w.From.Masked().Addr().AsSlice())
	}
	if w.To.IsValid() {
		m.Dst_len = uint8(w.To.Bits())
		add(unix.FRA_DST, w.To.Masked().Addr().AsSlice())
	}
	if w.In != "" {
		add(unix.FRA_IIFNAME, nl.ZeroTerminated(w.In))
	}
	if w.Out != "" {
		add(unix.FRA_OIFNAME, nl.ZeroTerminated(w.Out))
	}
	if w.Mask != 0 {
		add(unix.FRA_FWMARK, number(w.Mark))
		add(unix.FRA_FWMASK, number(w.Mask))
	}
	if w.Type == desired.Lookup {
		add(unix.FRA_TABLE, number(w.Table))
	}
	return data
}

// ourRules lists the rules that bear our mark.
func (r *rtnl) ourRules() ([]desired.Rule, error) {
	var all []desired.Rule
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		got, err := r.do(unix.RTM_GETRULE, unix.NLM_F_DUMP, unix.RTM_NEWRULE, &nl.RtMsg{RtMsg: unix.RtMsg{Family: family}})
		if err != nil && !isUnknownFamily(err) {
			return nil, fmt.Errorf("list rules: %w", err)
		}
		for _, b := range got {
			if h, ours := parseRule(b); ours {
				all = append(all, h)
			}
		}
	}
	return all, nil
}

// parseRule reads a message of RTM_NEWRULE or RTM_DELRULE, and tells whether the rule bears our mark.
func parseRule(b []byte) (h desired.Rule, ours bool) {
	if len(b) < unix.SizeofRtMsg {
		return h, false
	}
	m := nl.DeserializeRtMsg(b)
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofRtMsg:])
	if err != nil {
		return h, false
	}
	h = desired.Rule{IPv6: m.Family == unix.AF_INET6, Type: nameOf(ruleTypes, m.Type)}
	table := uint32(m.Table)
	for _, a := range attrs {
		value := uint32(0)
		if len(a.Value) >= 4 {
			value = binary.NativeEndian.Uint32(a.Value)
		}
		switch addr, isAddr := netip.AddrFromSlice(a.Value); a.Attr.Type {
		case unix.FRA_PROTOCOL:
			ours = len(a.Value) > 0 && a.Value[0] == routeMark
		case unix.FRA_PRIORITY:
			h.Priority = value
		case unix.FRA_SRC:
			if isAddr {
				h.From = netip.PrefixFrom(addr, int(m.Src_len))
			}
		case unix.FRA_DST:
			if isAddr {
				h.To = netip.PrefixFrom(addr, int(m.Dst_len))
			}
		case unix.FRA_IIFNAME:
			h.In = unix.ByteSliceToString(a.Value)
		case unix.FRA_OIFNAME:
			h.Out = unix.ByteSliceToString(a.Value)
		case unix.FRA_FWMARK:
			h.Mark = value
		case unix.FRA_FWMASK:
			h.Mask = value
		case unix.FRA_TABLE:
			table = value
		}
	}
	if h.Type == desired.Lookup {
		h.Table = table
	}
	return h, ours
}
