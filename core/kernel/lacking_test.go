package kernel

import (
	"errors"
	"strings"
	"testing"

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
		}, func(name string) bool { return name == "nf_nat" })
		if c.want == "" && len(got) == 0 {
			continue
		}
		begin, end, _ := strings.Cut(c.want, " … ")
		if c.want == "" || len(got) != 1 || !strings.HasPrefix(got[0], begin) || !strings.HasSuffix(got[0], end) {
			t.Errorf("%s: lacking = %q, want %q", c.name, got, c.want)
		}
	}
	if got := lacking([]desired.Service{service("10.0.0.9:80", "10.0.0.11:80")}, func(string) (string, error) { return "0", nil }, func(string) bool { return true }); len(got) > 0 {
		t.Errorf("DR forwards nothing, and lacks %q", got)
	}
}
