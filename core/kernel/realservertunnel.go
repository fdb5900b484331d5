package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// device is a tunnel's end. The kernel's module makes one of each kind that takes the packets from everywhere, by a name of its
// own; there can be no other one beside it.
type device struct {
	name string
	kind string // as ip link add … type KIND has it
	six  bool
}

// devices are the tunnels' ends that the server needs, each once.
func (r RealServer) devices() []device {
	var out []device
	for _, six := range r.families() {
		for _, t := range r.Tunnels {
			d := map[bool]device{false: {"tunl0", "ipip", false}, true: {"ip6tnl0", "ip6tnl", true}}[six]
			if t == desired.GRE {
				d = map[bool]device{false: {"gre0", "gre", false}, true: {"ip6gre0", "ip6gre", true}}[six]
			}
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}

// families tells for each family of the VIPs whether it is IPv6.
func (r RealServer) families() []bool {
	var out []bool
	if slices.ContainsFunc(r.VIPs, netip.Addr.Is4) {
		out = append(out, false)
	}
	if slices.ContainsFunc(r.VIPs, netip.Addr.Is6) {
		out = append(out, true)
	}
	return out
}

// guePorts are the UDP ports that have to be open for packets in GUE.
func (r RealServer) guePorts() []guePort {
	var out []guePort
	if !slices.Contains(r.Tunnels, desired.GUE) {
		return nil
	}
	for _, six := range r.families() {
		out = append(out, guePort{r.Port, six})
	}
	return out
}

// raise opens the ends of the tunnels.
func (s *realServer) raise(r RealServer) error {
	for _, d := range r.devices() {
		if err := s.raiseDevice(d); err != nil {
			return fmt.Errorf("set %s up: %w; the module that makes it is loaded by: modprobe %s", d.name, err, d.module())
		}
	}
	for _, p := range r.guePorts() {
		if p.open() {
			continue
		}
		s.record.Ports = append(s.record.Ports, p)
		if err := s.record.write(s.dir); err != nil {
			return err
		}
		if err := p.send(fouAdd); err != nil {
			return fmt.Errorf("open %v for GUE: %w; the module that does it is loaded by: modprobe fou", p, err)
		}
		s.say("%v: open for GUE", p)
	}
	return nil
}

func (s *realServer) raiseDevice(d device) error {
	l, err := s.table.link(d.name)
	if errors.Is(err, unix.ENODEV) {
		if err := s.table.addDevice(d); err != nil {
			return err
		}
		l, err = s.table.link(d.name)
	}
	if err != nil || l.raised() {
		return err
	}
	s.record.Raised = append(s.record.Raised, d.name)
	if err := s.record.write(s.dir); err != nil {
		return err
	}
	s.say("%s: set up", d.name)
	return s.table.setUp(l.index, true)
}

// addDevice has the kernel load the module of a tunnel, which makes the device; where it makes none in this network namespace
// (net.core.fb_tunnels_only_for_init_net), it is made here.
func (r *rtnl) addDevice(d device) error {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(d.kind))
	_, err := r.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(d.name)), info)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

func (d device) module() string {
	return map[string]string{"ipip": "ipip", "ip6tnl": "ip6_tunnel", "gre": "ip_gre", "ip6gre": "ip6_gre"}[d.kind]
}

// lower closes the ends of tunnels that a former call has opened and that are not needed any more.
func (s *realServer) lower(r RealServer) error {
	var failed []error
	wanted := r.devices()
	s.record.Raised = slices.DeleteFunc(s.record.Raised, func(name string) bool {
		if slices.ContainsFunc(wanted, func(d device) bool { return d.name == name }) {
			return false
		}
		l, err := s.table.link(name)
		if err == nil {
			err = s.table.setUp(l.index, false)
		}
		if err != nil && !errors.Is(err, unix.ENODEV) {
			failed = append(failed, fmt.Errorf("set %s down: %w", name, err))
			return false
		}
		s.say("%s: set down", name)
		return true
	})
	ports := r.guePorts()
	s.record.Ports = slices.DeleteFunc(s.record.Ports, func(p guePort) bool {
		if slices.Contains(ports, p) {
			return false
		}
		if err := p.send(fouDelete); err != nil && p.open() {
			failed = append(failed, fmt.Errorf("close %v: %w", p, err))
			return false
		}
		s.say("%v: closed", p)
		return true
	})
	return errors.Join(failed...)
}
