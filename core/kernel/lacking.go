package kernel

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vipward/vipward/core/desired"
)

// readSysctl reads a variable of the network namespace of the calling thread, by its path below /proc/sys. Several numbers are
// given with one space between them.
func readSysctl(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys", name))
	return strings.Join(strings.Fields(string(b)), " "), err
}

// lacking says what the director lacks for the services to work, each with the command that mends it. What cannot be read is
// passed over: nothing is said that is not known.
func lacking(want []desired.Service, sysctl func(string) (string, error), module func(string) bool, ways func(netip.Addr) (in, back string)) []string {
	out := filtered(want, sysctl, ways)
	off := func(name string) bool {
		v, err := sysctl(name)
		return err == nil && v == "0"
	}
	for _, family := range []struct {
		six           bool
		name, forward string
	}{{false, "IPv4", "net/ipv4/ip_forward"}, {true, "IPv6", "net/ipv6/conf/all/forwarding"}} {
		who := firstWith(want, func(d desired.Destination) bool {
			return d.Forward == desired.NAT && d.Address.Addr().Is6() == family.six
		})
		if who != "" && off(family.forward) {
			out = append(out, fmt.Sprintf("%s forwards by NAT, and this node does not forward %s, so that answers of the real servers stop here: "+
				"run sysctl -w %s=1", who, family.name, strings.ReplaceAll(family.forward, "/", ".")))
		}
	}
	nat := firstWith(want, func(d desired.Destination) bool { return d.Forward == desired.NAT })
	if nat != "" && module("nf_nat") && off("net/ipv4/vs/conntrack") {
		out = append(out, nat+" forwards by NAT, and a firewall translates addresses here as well (the module nf_nat is loaded), which sees nothing of IPVS's "+
			"connections: if it is to masquerade them, write ipvs { sysctl = { conntrack = 1 } }")
	}
	return out
}

// filtered says which packets to a service are dropped for forged ones, since the way back to who sent them is another one. With a tunnel,
// as with direct routing, nothing goes back by this node, so that nobody sees at once why. Ways tells by which interface packets to a VIP
// come in and the default route leads, each empty for unknown.
func filtered(want []desired.Service, sysctl func(string) (string, error), ways func(netip.Addr) (in, back string)) (out []string) {
	told := map[string]bool{}
	for _, s := range want {
		a := s.Address.Addr()
		oneWay := slices.ContainsFunc(s.Destinations, func(d desired.Destination) bool { return d.Forward != desired.NAT })
		if !oneWay || s.Mark != 0 || !a.Is4() { // the kernel has no such filter for IPv6
			continue
		}
		in, back := ways(a)
		if in == "" || back == "" || in == back || told[in] {
			continue
		}
		all, _ := sysctl("net/ipv4/conf/all/rp_filter")
		own, _ := sysctl("net/ipv4/conf/" + in + "/rp_filter")
		if max(all, own) == "1" { // the greater counts; 2 is loose
			told[in] = true
			out = append(out, fmt.Sprintf("packets to %v come in on %s, the default route leads back over %s, and rp_filter of %s is strict, "+
				"so that the kernel drops those of clients that are not on its network: run sysctl -w net.ipv4.conf.%s.rp_filter=2",
				s.ServiceKey, in, back, in, strings.ReplaceAll(in, ".", "/")))
		}
	}
	return out
}

// waysOf finds the interfaces of packets to the VIPs, as of now, in the network namespace of the calling thread. A VIP is on the interface
// that has its network, whether or not this node holds it.
func waysOf() func(vip netip.Addr) (in, back string) {
	unknown := func(netip.Addr) (in, back string) { return "", "" }
	r, err := dialRoute()
	if err != nil {
		return unknown
	}
	defer r.close()
	back, err := r.deviceTo(nowhere[0])
	if err != nil {
		return unknown
	}
	entries, err := r.list()
	links, more := r.links()
	if err != nil || more != nil {
		return unknown
	}
	return func(vip netip.Addr) (string, string) {
		for _, e := range entries {
			if e.prefix.IsSingleIP() || !e.prefix.Masked().Contains(vip) {
				continue
			}
			if k := slices.IndexFunc(links, func(l link) bool { return l.index == e.index }); k >= 0 {
				return links[k].name, back
			}
		}
		return "", ""
	}
}

// firstWith is the first service that has such a destination; empty for none.
func firstWith(want []desired.Service, is func(desired.Destination) bool) string {
	for _, s := range want {
		if slices.ContainsFunc(s.Destinations, is) {
			return s.ServiceKey.String()
		}
	}
	return ""
}
