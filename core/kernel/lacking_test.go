package kernel

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/core/desired"
)

func TestWhatTheDirectorLacks(t *testing.T) {
	nat := service("10.0.0.1:80", "10.0.0.11:80")
	nat.Destinations[0].Forward = desired.NAT
	six := service("[2001:db8::1]:80", "[2001:db8::11]:80")
	six.Destinations[0].Forward = desired.NAT
	for _, c := range []struct {
		name    string
		sysctls map[string]string
		want    string
	}{
		{"all is there", map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}, ""},
		{"IPv4 is not forwarded", map[string]string{"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "1"}, "tcp 10.0.0.1:80 … sysctl -w net.ipv4.ip_forward=1"},
		{"IPv6 is not forwarded", map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "0"}, "tcp [2001:db8::1]:80 … sysctl -w net.ipv6.conf.all.forwarding=1"},
		{"a firewall does not see the connections", map[string]string{"net/ipv4/vs/conntrack": "0"}, "tcp 10.0.0.1:80 … write ipvs { sysctl = { conntrack = 1 } }"},
		{"a firewall sees them", map[string]string{"net/ipv4/vs/conntrack": "1"}, ""},
		{"what nobody knows is not told", nil, ""},
	} {
		got := lacking([]desired.Service{service("10.0.0.9:80", "10.0.0.11:80"), nat, six}, func(name string) (string, error) {
			v, ok := c.sysctls[name]
			if !ok {
				return "", errors.New("there is none")
			}
			return v, nil
		}, func(name string) bool { return name == "nf_nat" }, noWays)
		if c.want == "" && len(got) == 0 {
			continue
		}
		begin, end, _ := strings.Cut(c.want, " … ")
		if c.want == "" || len(got) != 1 || !strings.HasPrefix(got[0], begin) || !strings.HasSuffix(got[0], end) {
			t.Errorf("%s: lacking = %q, want %q", c.name, got, c.want)
		}
	}
	if got := lacking([]desired.Service{service("10.0.0.9:80", "10.0.0.11:80")}, func(string) (string, error) { return "0", nil }, func(string) bool { return true }, noWays); len(got) > 0 {
		t.Errorf("DR forwards nothing, and lacks %q", got)
	}
}

func noWays(netip.Addr) (in, back string) { return "", "" }

func TestWhatAFilterDropsIsTold(t *testing.T) {
	tun, nat := service("10.0.0.1:80", "10.0.0.11:80"), service("10.0.0.2:80", "10.0.0.11:80")
	tun.Destinations[0].Forward, nat.Destinations[0].Forward = desired.TUN, desired.NAT
	six := service("[2001:db8::1]:80", "[2001:db8::11]:80")
	const want = "packets to tcp 10.0.0.1:80 come in on eth0.7, the default route leads back over eth1, and rp_filter of eth0.7 is strict, " +
		"so that the kernel drops those of clients that are not on its network: run sysctl -w net.ipv4.conf.eth0/7.rp_filter=2"
	for _, c := range []struct {
		name, all, own, in, back string
		told                     bool
	}{
		{"strict on the interface", "0", "1", "eth0.7", "eth1", true},
		{"strict on all", "1", "0", "eth0.7", "eth1", true},
		{"loose on the interface", "1", "2", "eth0.7", "eth1", false},
		{"off", "0", "0", "eth0.7", "eth1", false},
		{"the same way back", "1", "1", "eth1", "eth1", false},
		{"a way that nobody knows", "1", "1", "", "eth1", false},
		{"no default route", "1", "1", "eth0.7", "", false},
	} {
		sysctl := func(name string) (string, error) {
			return map[string]string{"net/ipv4/conf/all/rp_filter": c.all, "net/ipv4/conf/" + c.in + "/rp_filter": c.own}[name], nil
		}
		got := filtered([]desired.Service{nat, six, tun, tun}, sysctl, func(netip.Addr) (in, back string) { return c.in, c.back })
		if c.told && (len(got) != 1 || got[0] != want) || !c.told && len(got) > 0 {
			t.Errorf("%s: told %q", c.name, got)
		}
	}
}

func TestWaysOfPacketsInTheKernel(t *testing.T) {
	h := newHost(t)
	h.do(func() error {
		var errs []error
		for name, addr := range map[string]string{"eth0": "10.1.0.2/24", "eth1": "10.2.0.2/24"} {
			l, err := netlink.LinkByName(name)
			a, more := netlink.ParseAddr(addr)
			errs = append(errs, err, more, netlink.AddrAdd(l, a))
		}
		return errors.Join(append(errs, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP("10.2.0.1")}))...)
	})
	for vip, want := range map[string][2]string{"10.1.0.100": {"eth0", "eth1"}, "10.2.0.100": {"eth1", "eth1"}, "10.3.0.100": {"", ""}} {
		var in, back string
		h.do(func() error { in, back = waysOf()(netip.MustParseAddr(vip)); return nil })
		if got := [2]string{in, back}; got != want {
			t.Errorf("packets to %s come in and go back by %q, want %q", vip, got, want)
		}
	}
}
