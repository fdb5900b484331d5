package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The parameters of IPv4 of an interface (IPV4_DEVCONF_… of linux/ip.h; Documentation/networking/ip-sysctl.rst tells what they do).
const (
	confReversePath = 8
	confARPAnnounce = 18
	confARPIgnore   = 19
	confPromote     = 20
)

// macvlanBridge is MACVLAN_MODE_BRIDGE of linux/if_link.h.
const macvlanBridge = 4

// settings are those of the parent of a virtual interface that matter.
type settings struct{ arpIgnore, arpAnnounce uint32 }

// needed are the settings with which the parent leaves the VIPs of its virtual interfaces alone: it answers for its own addresses
// only, and asks its neighbours with these only. Otherwise the neighbours would learn the parent's hardware address for the VIPs.
func (s settings) needed() settings { return settings{max(s.arpIgnore, 1), max(s.arpAnnounce, 2)} }

func (s settings) conf() map[uint16]uint32 {
	return map[uint16]uint32{confARPIgnore: s.arpIgnore, confARPAnnounce: s.arpAnnounce}
}

func (s settings) String() string {
	return fmt.Sprintf("arp_ignore=%d arp_announce=%d", s.arpIgnore, s.arpAnnounce)
}

func parseSettings(text string) (s settings, err error) {
	_, err = fmt.Sscanf(text, "arp_ignore=%d arp_announce=%d", &s.arpIgnore, &s.arpAnnounce)
	return s, err
}

// ownSettings are those of a virtual interface. Answers may leave by another interface than the questions came in by, so the
// reverse path is not checked; where the check is on for all interfaces, 2 makes it a mild one, since the greater number counts.
func ownSettings(allReversePath bool) map[uint16]uint32 {
	c := map[uint16]uint32{confARPIgnore: 1, confARPAnnounce: 2, confPromote: 1, confReversePath: 0}
	if allReversePath {
		c[confReversePath] = 2
	}
	return c
}

// allReversePath tells whether the reverse path is checked on all interfaces. Where that cannot be known, it may be.
func allReversePath() bool {
	b, err := os.ReadFile("/proc/sys/net/ipv4/conf/all/rp_filter")
	return err != nil || strings.TrimSpace(string(b)) != "0"
}

// addMACVLAN makes an interface with a hardware address of its own, which is down. In the mode bridge its parent hears what comes
// from the same address elsewhere: the adverts of the peer.
func (r *rtnl) addMACVLAN(name string, parent int, mac [6]byte) error {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("macvlan"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(unix.IFLA_MACVLAN_MODE, number(macvlanBridge))
	_, err := r.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)), nl.NewRtAttr(unix.IFLA_LINK, number(uint32(parent))),
		nl.NewRtAttr(unix.IFLA_ADDRESS, mac[:]), info)
	return err
}

func number(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func at(index int) *nl.IfInfomsg {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Index = int32(index)
	return m
}

func (r *rtnl) deleteLink(index int) error {
	_, err := r.do(unix.RTM_DELLINK, unix.NLM_F_ACK, 0, at(index))
	return err
}

func (r *rtnl) setAlias(index int, alias string) error {
	_, err := r.do(unix.RTM_SETLINK, unix.NLM_F_ACK, 0, at(index), nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(alias)))
	return err
}

func (r *rtnl) setUp(index int, up bool) error {
	m := at(index)
	m.Change = unix.IFF_UP
	if up {
		m.Flags = unix.IFF_UP
	}
	_, err := r.do(unix.RTM_SETLINK, unix.NLM_F_ACK, 0, m)
	return err
}

// promote has another address of a subnet take the place of the primary one that goes.
func (r *rtnl) promote(index int) error { return r.setInet(index, map[uint16]uint32{confPromote: 1}) }

// setInet sets parameters of IPv4 of an interface, all or none.
func (r *rtnl) setInet(index int, values map[uint16]uint32) error {
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	conf := spec.AddRtAttr(unix.AF_INET, nil).AddRtAttr(unix.IFLA_INET_CONF, nil)
	for k, v := range values {
		conf.AddRtAttr(int(k), number(v))
	}
	_, err := r.do(unix.RTM_SETLINK, unix.NLM_F_ACK, 0, at(index), spec)
	return err
}

// quietIPv6 keeps the kernel from giving the interface IPv6 addresses of its own accord: they would be made of the virtual MAC
// address, and so be the same on every node (RFC 9568 section 7.4). Without IPv6 there is nothing to do.
func (r *rtnl) quietIPv6(l link) error {
	const none = 1 // IN6_ADDR_GEN_MODE_NONE
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, []byte{none})
	_, err := r.do(unix.RTM_SETLINK, unix.NLM_F_ACK, 0, at(l.index), spec)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep IPv6 from making addresses: %w", err)
	}
	err = os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", l.name, "accept_ra"), []byte("0"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// linkAt finds an interface by its number.
func (r *rtnl) linkAt(index int) (link, error) {
	got, err := r.do(unix.RTM_GETLINK, 0, unix.RTM_NEWLINK, at(index))
	if err != nil {
		return link{}, fmt.Errorf("find interface number %d: %w", index, err)
	}
	if len(got) == 0 {
		return link{}, fmt.Errorf("find interface number %d: %w", index, unix.ENODEV)
	}
	return parseLink(got[0])
}

// raised tells whether the administrator, or we, have set it up.
func (l link) raised() bool { return l.flags&unix.IFF_UP != 0 }

// macvlanMode reads IFLA_LINKINFO: the mode of a macvlan (MACVLAN_MODE_… of linux/if_link.h), 0 for any other interface.
func macvlanMode(info []byte) uint32 {
	attrs, err := nl.ParseRouteAttr(info)
	if err != nil {
		return 0
	}
	kind, mode := "", uint32(0)
	for _, a := range attrs {
		switch a.Attr.Type {
		case nl.IFLA_INFO_KIND:
			kind = unix.ByteSliceToString(a.Value)
		case nl.IFLA_INFO_DATA:
			mode = modeOf(a.Value)
		}
	}
	if kind != "macvlan" {
		return 0
	}
	return mode
}

func modeOf(data []byte) uint32 {
	attrs, err := nl.ParseRouteAttr(data)
	if err != nil {
		return 0
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.IFLA_MACVLAN_MODE && len(a.Value) >= 4 {
			return binary.NativeEndian.Uint32(a.Value)
		}
	}
	return 0
}

// inet4 reads the parameters of IPv4 out of IFLA_AF_SPEC: numbers in a row, the first of which is IPV4_DEVCONF_FORWARDING, 1.
func (l *link) inet4(spec []byte) {
	families, err := nl.ParseRouteAttr(spec)
	if err != nil {
		return
	}
	for _, f := range families {
		if f.Attr.Type != unix.AF_INET {
			continue
		}
		attrs, err := nl.ParseRouteAttr(f.Value)
		if err != nil {
			return
		}
		for _, a := range attrs {
			if a.Attr.Type == unix.IFLA_INET_CONF && len(a.Value) >= 4*confPromote {
				value := func(k int) uint32 { return binary.NativeEndian.Uint32(a.Value[4*(k-1):]) }
				l.settings = settings{value(confARPIgnore), value(confARPAnnounce)}
				l.promotes = value(confPromote) != 0
			}
		}
	}
}
