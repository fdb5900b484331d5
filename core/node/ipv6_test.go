package node

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

var (
	localVIP  = netip.MustParsePrefix("fe80::100/128")
	globalVIP = netip.MustParsePrefix("2001:db8::100/128")
)

// six is a node with one IPv6 instance, which holds an IPv4 address besides, and tracks nothing.
func six() Config {
	c := config()
	i := &c.Instances[0]
	i.Tracks = nil
	i.VRRP.Addresses = []netip.Addr{localVIP.Addr(), globalVIP.Addr()}
	i.Addresses = []VirtualAddress{
		{Prefix: localVIP, Interface: "eth0"},
		{Prefix: globalVIP, Interface: "eth0"},
		{Prefix: vip, Interface: "eth1", Silent: true},
	}
	return c
}

func sixLinks(addrs ...string) Links {
	l := Link{Index: 2, Up: true}
	for _, a := range addrs {
		l.Addresses = append(l.Addresses, netip.MustParsePrefix(a))
	}
	return Links{"eth0": l}
}

func TestIPv6InstanceSendsFromItsLinkLocalAddress(t *testing.T) {
	peers := func(addrs ...string) func(*Instance) {
		return func(i *Instance) {
			for _, a := range addrs {
				i.VRRP.Peers = append(i.VRRP.Peers, netip.MustParseAddr(a))
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Instance)
		have   []string
		want   string // empty: it waits
	}{
		{"the link-local one of several", peers(), []string{"10.77.0.1/24", "2001:db8::1/64", "fe80::1/64"}, "fe80::1"},
		{"not a VIP, by whomever it was put there", peers(), []string{"fe80::100/64", "fe80::1/64"}, "fe80::1"},
		{"none yet", peers(), []string{"10.77.0.1/24", "2001:db8::1/64"}, ""},
		{"a global one for global peers", peers("2001:db8::2"), []string{"fe80::1/64", "2001:db8::1/64"}, "2001:db8::1"},
		{"a link-local one for link-local peers", peers("fe80::2"), []string{"2001:db8::1/64", "fe80::1/64"}, "fe80::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := six()
			c.change(&cfg.Instances[0])
			r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
			r.give(sixLinks(c.have...))
			r.give(Start{})
			if c.want == "" {
				r.wantState(vrrp.Init)
				return
			}
			r.wantState(vrrp.Backup)
			if got := r.node.instances[0].router.Config().Source.String(); got != c.want {
				t.Errorf("source %s, want %s", got, c.want)
			}
		})
	}
}

func TestIPv6MasterHoldsWhatItAdvertisesAndWhatItDoesNot(t *testing.T) {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(six())}
	r.give(sixLinks("fe80::1/64"))
	r.give(Start{})
	r.now = r.node.Deadline()
	out := r.node.Step(r.now, Timeout{})
	if len(out.Adverts) != 1 || out.Adverts[0].Destination != netip.MustParseAddr("ff02::12") || out.Adverts[0].Source != netip.MustParseAddr("fe80::1") {
		t.Fatalf("adverts %+v, want one to ff02::12", out.Adverts)
	}
	a, err := vrrp.Parse(vrrp.Header{Source: out.Adverts[0].Source, Destination: out.Adverts[0].Destination, TTL: 255}, out.Adverts[0].Payload)
	if want := []netip.Addr{localVIP.Addr(), globalVIP.Addr()}; err != nil || !slices.Equal(a.Addresses, want) {
		t.Errorf("advertised %v, %v, want %v", a.Addresses, err, want)
	}
	var held []string
	for _, a := range out.Desired.Addresses {
		held = append(held, a.Interface+" "+a.Prefix.String())
		if a.Lease != 3*time.Second {
			t.Errorf("lease of %v is %v, want 3s", a.Prefix, a.Lease)
		}
	}
	if got, want := strings.Join(held, ", "), "eth0 fe80::100/128, eth0 2001:db8::100/128, eth1 10.77.0.100/32"; got != want {
		t.Errorf("held are %s, want %s", got, want)
	}
	if len(out.Desired.Announcements) != 3 {
		t.Errorf("%d announcements, want one of each address", len(out.Desired.Announcements))
	}
}

// One interface carries four virtual routers, of which two have the same identifier: each packet goes to its own.
func TestPacketsGoToTheRouterOfTheirInterfaceIdentifierAndFamily(t *testing.T) {
	cfg := six()
	four := config().Instances[0]
	four.Name, four.Tracks = "four", nil
	other := four
	other.Name, other.VRRP.VRID = "other", 52
	away := four
	away.Name, away.Interface = "away", "eth1"
	cfg.Instances = append(cfg.Instances, four, other, away)
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
	links := sixLinks("fe80::1/64", "10.77.0.1/24")
	links["eth1"] = links["eth0"]
	r.give(links)
	r.give(Start{})
	for _, p := range []struct {
		iface, source string
		vrid          uint8
		to            string
	}{
		{"eth0", "fe80::2", 51, "web"},
		{"eth0", "10.77.0.2", 51, "four"},
		{"eth0", "10.77.0.2", 52, "other"},
		{"eth1", "10.77.0.2", 51, "away"},
		{"eth0", "fe80::2", 52, ""},
		{"eth2", "10.77.0.2", 51, ""},
	} {
		before := map[string]uint64{}
		for _, i := range r.node.instances {
			before[i.cfg.Name] = i.router.Counters().Received
		}
		src := netip.MustParseAddr(p.source)
		a := vrrp.Advert{Version: 3, VRID: p.vrid, Priority: 200, Interval: time.Second, Addresses: []netip.Addr{localVIP.Addr(), vip.Addr()}}
		dst := vrrp.Group(src)[0]
		r.give(Received{Interface: p.iface, Header: vrrp.Header{Source: src, Destination: dst, TTL: 255}, Payload: a.Append(nil, src, dst)})
		for _, i := range r.node.instances {
			if got := i.router.Counters().Received > before[i.cfg.Name]; got != (i.cfg.Name == p.to) {
				t.Errorf("the advert of %+v reached %s: %v", p, i.cfg.Name, got)
			}
		}
	}
}

func TestReloadToTheOtherFamilyIsAnotherRouter(t *testing.T) {
	cfg := config()
	cfg.Instances[0].Tracks = nil
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
	links := sixLinks("fe80::1/64", "10.77.0.1/24")
	r.give(links)
	r.give(Start{})
	r.wait(5 * time.Second)
	r.wantState(vrrp.Master)
	out := r.node.Configure(r.now, six())
	if len(out.Adverts) != 1 || out.Adverts[0].Source.Is6() {
		t.Errorf("adverts %+v, want a resignation over IPv4", out.Adverts)
	}
	r.take(out)
	r.wait(5 * time.Second)
	r.wantState(vrrp.Master)
}
