package kernel

import (
	"fmt"
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
func lacking(want []desired.Service, sysctl func(string) (string, error), module func(string) bool) []string {
	var out []string
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

// firstWith is the first service that has such a destination; empty for none.
func firstWith(want []desired.Service, is func(desired.Destination) bool) string {
	for _, s := range want {
		if slices.ContainsFunc(s.Destinations, is) {
			return s.ServiceKey.String()
		}
	}
	return ""
}
