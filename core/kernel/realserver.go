package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// RealServer is what a real server of direct routing or tunnelling needs of its own kernel: the VIPs as addresses that nobody
// hears of by ARP, and for tunnels a device that takes their packets out. It is for the real server itself, where no daemon runs;
// its methods work in the network namespace of the calling thread, and need CAP_NET_ADMIN.
type RealServer struct {
	// VIPs of either family.
	VIPs []netip.Addr `json:"vips"`
	// Interface that they are put on: lo, or another one by which no packet leaves.
	Interface string `json:"interface"`
	// Tunnels are the ways in which packets come wrapped: [IPIP], "gue", "gre". None is direct routing.
	Tunnels []string `json:"tunnels"`
	// Port of UDP that "gue" comes to, 1 to 65535.
	Port uint16 `json:"port,omitempty"`
}

// IPIP is the tunnel of IP in IP, in both families.
const IPIP = "ipip"

// SetUp makes the kernel hold this and nothing else of a former call: what that one has put there and is not wished for any more
// goes, so that without VIPs everything goes. It touches nothing that was there before it. It returns what it has changed, a line
// each; a second call changes nothing. Dir is the directory of the record of what was there before, which is to be lost with the
// kernel's state, as /run is; it is made where it is missing.
func (r RealServer) SetUp(dir string) (changed []string, err error) {
	s, err := openRealServer(dir)
	if err != nil {
		return nil, err
	}
	defer s.table.close()
	before := s.values(r)
	// The sysctls come before the addresses, and go after them: in between a server would answer ARP for a VIP. Those of a device
	// need the device.
	err = errors.Join(s.raise(r), s.sysctls.apply(r.sysctls(), true))
	if err == nil {
		err = errors.Join(s.add(r), s.remove(r), s.sysctls.apply(r.sysctls(), false), s.lower(r))
	}
	s.record.RealServer = r
	return append(s.changed, s.set(before)...), errors.Join(err, s.close(len(r.VIPs) == 0))
}

// RealServerSetUp is what the last call of [RealServer.SetUp] with that directory has wished for; without VIPs where there was none.
func RealServerSetUp(dir string) (RealServer, error) {
	var rec realServerRecord
	err := rec.read(dir)
	return rec.RealServer, err
}

// realServer is a setting-up under way.
type realServer struct {
	table   *rtnl
	dir     string
	record  realServerRecord
	sysctls *sysctls
	changed []string
}

func openRealServer(dir string) (*realServer, error) {
	s := &realServer{dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the record: %w", err)
	}
	if err := s.record.read(dir); err != nil {
		return nil, err
	}
	var err error
	if s.sysctls, err = readSysctls(filepath.Join(dir, "sysctls.json")); err != nil {
		return nil, err
	}
	s.table, err = dialRoute()
	return s, err
}

// close writes the record, or removes it where there is nothing left to remember.
func (s *realServer) close(empty bool) error {
	if !empty || len(s.record.Addresses)+len(s.record.Raised)+len(s.record.Ports)+len(s.sysctls.before) > 0 {
		return s.record.write(s.dir)
	}
	return os.RemoveAll(s.dir)
}

func (s *realServer) say(format string, args ...any) {
	s.changed = append(s.changed, fmt.Sprintf(format, args...))
}

// places are where the VIPs belong: on the interface, and those of IPv4 on the tunnels' devices as well, since a loose filter of the
// reverse path drops everything that a device without an address takes in (fib_validate_source in net/ipv4/fib_frontend.c).
func (r RealServer) places() []placed {
	var out []placed
	for _, vip := range r.VIPs {
		out = append(out, placed{r.Interface, vip})
	}
	for _, d := range r.devices() {
		for _, vip := range r.VIPs {
			if !d.six && vip.Is4() {
				out = append(out, placed{d.name, vip})
			}
		}
	}
	return out
}

// add puts the VIPs in their places. What is there by somebody else's hand stays that one's.
func (s *realServer) add(r RealServer) error {
	if len(r.VIPs) == 0 {
		return nil
	}
	l, err := s.table.link(r.Interface)
	if err != nil {
		return err
	}
	if !l.raised() {
		if err := s.table.setUp(l.index, true); err != nil {
			return fmt.Errorf("set %s up: %w", r.Interface, err)
		}
		s.say("%s: set up", r.Interface)
	}
	have, err := s.table.list()
	if err != nil {
		return err
	}
	for _, p := range r.places() {
		if err := s.place(p, have); err != nil {
			return fmt.Errorf("add %v to %s: %w", p.prefix(), p.Interface, err)
		}
	}
	return nil
}

// place adds one address, unless it is there.
func (s *realServer) place(p placed, have []entry) error {
	l, err := s.table.link(p.Interface)
	if err != nil {
		return err
	}
	e := entry{index: l.index, prefix: p.prefix()}
	if slices.ContainsFunc(have, func(h entry) bool { return h.place() == e.place() }) {
		return nil
	}
	if !slices.Contains(s.record.Addresses, p) {
		s.record.Addresses = append(s.record.Addresses, p)
		if err := s.record.write(s.dir); err != nil {
			return err
		}
	}
	if err := errors.Join(s.table.replace([]entry{e})...); err != nil {
		return err
	}
	s.say("%s: %v added", p.Interface, e.prefix)
	return nil
}

// remove takes away the addresses of a former call that are not wished for any more.
func (s *realServer) remove(r RealServer) error {
	var kept []placed
	var failed []error
	wanted := r.places()
	for _, p := range s.record.Addresses {
		if slices.Contains(wanted, p) {
			kept = append(kept, p)
			continue
		}
		l, err := s.table.link(p.Interface)
		if errors.Is(err, unix.ENODEV) {
			continue
		}
		if err == nil {
			err = s.table.remove(entry{index: l.index, prefix: p.prefix()})
		}
		switch {
		case errors.Is(err, unix.EADDRNOTAVAIL): // somebody else was there first
		case err != nil:
			kept, failed = append(kept, p), append(failed, fmt.Errorf("remove %v from %s: %w", p.prefix(), p.Interface, err))
		default:
			s.say("%s: %v removed", p.Interface, p.prefix())
		}
	}
	s.record.Addresses = kept
	return errors.Join(failed...)
}

// sysctls are what the VIPs and the tunnels need. A value that does already is wished for as it is. They are set for all interfaces
// at once, since of the value for all and that of an interface the greater one counts (ip-sysctl.rst).
func (r RealServer) sysctls() []sysctl {
	const all = "net/ipv4/conf/all/"
	if !slices.ContainsFunc(r.VIPs, netip.Addr.Is4) {
		return nil // over IPv6 an interface answers for its own addresses only, and filters no reverse path
	}
	out := []sysctl{atLeast(all+"arp_ignore", "1"), atLeast(all+"arp_announce", "2")}
	for _, d := range r.devices() {
		if d.six {
			continue
		}
		// The way back to the client, who is the source of what comes out of a tunnel, is another interface: a strict filter drops
		// it. Where that is on for all interfaces, a loose one of this device weakens it.
		name, filter := "net/ipv4/conf/"+d.name+"/rp_filter", "0"
		own, _ := readSysctl(name)
		every, _ := readSysctl(all + "rp_filter")
		switch {
		case max(own, every) != "1":
			filter = own
		case every == "1":
			filter = "2"
		}
		out = append(out, sysctl{name, filter})
	}
	return out
}

// atLeast wishes for a value, or for the greater one that is there.
func atLeast(name, value string) sysctl {
	if have, err := readSysctl(name); err == nil && have > value {
		value = have
	}
	return sysctl{name, value}
}

// values reads the sysctls that a call may change.
func (s *realServer) values(r RealServer) map[string]string {
	out := map[string]string{}
	for _, w := range r.sysctls() {
		out[w.Name], _ = readSysctl(w.Name)
	}
	for _, c := range s.sysctls.before {
		out[c.Name], _ = readSysctl(c.Name)
	}
	return out
}

// set says which of the sysctls have changed.
func (s *realServer) set(before map[string]string) []string {
	var out []string
	for name, was := range before {
		if now, err := readSysctl(name); err == nil && now != was {
			out = append(out, sysctl{name, now}.String())
		}
	}
	slices.Sort(out)
	return out
}
