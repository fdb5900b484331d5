package kernel

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

func prefixOf(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func addrOf(s string) netip.Addr { return netip.MustParseAddr(s) }

// everyRoute is one of each kind, with the words that `ip route` shows of it.
var everyRoute = []struct {
	route desired.Route
	shown string
}{
	{desired.Route{Prefix: prefixOf("10.1.0.0/16"), Type: desired.Unicast, Via: addrOf("192.0.2.254"), Table: desired.MainTable}, "10.1.0.0/16 via 192.0.2.254 dev eth0 proto 118"},
	{
		desired.Route{Prefix: prefixOf("0.0.0.0/0"), Type: desired.Unicast, Via: addrOf("192.0.2.254"), Interface: "eth0", Table: 100, Metric: 7, Source: addrOf("192.0.2.100"), MTU: 1400},
		"default via 192.0.2.254 dev eth0 table 100 proto 118 src 192.0.2.100 metric 7 mtu 1400",
	},
	{desired.Route{Prefix: prefixOf("10.2.0.0/16"), Type: desired.Unicast, Interface: "eth0", Table: 100}, "10.2.0.0/16 dev eth0 table 100 proto 118 scope link"},
	{desired.Route{Prefix: prefixOf("10.3.0.0/16"), Type: desired.Unicast, Interface: "eth0", Table: 100, Scope: "global"}, "10.3.0.0/16 dev eth0 table 100 proto 118"},
	{desired.Route{Prefix: prefixOf("10.4.0.0/16"), Type: desired.Unicast, Via: addrOf("10.99.0.1"), Interface: "eth0", Table: 100, OnLink: true}, "10.4.0.0/16 via 10.99.0.1 dev eth0 table 100 proto 118 onlink"},
	{desired.Route{Prefix: prefixOf("10.5.0.0/16"), Type: desired.Blackhole, Table: desired.MainTable}, "blackhole 10.5.0.0/16 proto 118"},
	{desired.Route{Prefix: prefixOf("10.6.0.0/16"), Type: desired.Unreachable, Table: desired.MainTable}, "unreachable 10.6.0.0/16 proto 118"},
	{desired.Route{Prefix: prefixOf("10.7.0.0/16"), Type: desired.Prohibit, Table: 4294967295}, "prohibit 10.7.0.0/16 table 4294967295 proto 118"},
	{desired.Route{Prefix: prefixOf("2001:db8:1::/48"), Type: desired.Unicast, Via: addrOf("2001:db8::fe"), Table: desired.MainTable}, "2001:db8:1::/48 via 2001:db8::fe dev eth0 proto 118 metric 1024"},
	{desired.Route{Prefix: prefixOf("::/0"), Type: desired.Unicast, Via: addrOf("fe80::fe"), Interface: "eth0", Table: 100, Metric: 7}, "default via fe80::fe dev eth0 table 100 proto 118 metric 7"},
	{desired.Route{Prefix: prefixOf("2001:db8:2::/48"), Type: desired.Blackhole, Table: desired.MainTable}, "blackhole 2001:db8:2::/48 dev lo proto 118 metric 1024"},
}

var everyRule = []struct {
	rule  desired.Rule
	shown string
}{
	{desired.Rule{Priority: 100, Type: desired.Lookup, Table: 100}, "100: from all lookup 100 proto 118"},
	{
		desired.Rule{Priority: 101, From: prefixOf("192.0.2.100/32"), To: prefixOf("10.0.0.0/8"), In: "eth1", Out: "eth0", Mark: 0x10, Mask: 0xff, Type: desired.Lookup, Table: 4000},
		"101: from 192.0.2.100 to 10.0.0.0/8 fwmark 0x10/0xff iif eth1 oif eth0 lookup 4000 proto 118",
	},
	{desired.Rule{Priority: 102, Mark: 1, Mask: 0xffffffff, Type: desired.Prohibit}, "102: from all fwmark 0x1 prohibit proto 118"},
	{desired.Rule{IPv6: true, Priority: 100, From: prefixOf("2001:db8::100/128"), Type: desired.Lookup, Table: desired.MainTable}, "100: from 2001:db8::100 lookup main proto 118"},
}

// routed is a host whose eth0 has a network of each family, with an applier.
func routed(t *testing.T) (h *host, a *Addresses) {
	h = newHost(t)
	h.ipv6("on")
	for _, own := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		p := ip(own)
		if p.IP.To4() == nil {
			p.Flags = unix.IFA_F_NODAD
		}
		h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, p) })
	}
	a, _, _ = h.addresses()
	return h, a
}

// shows is what ip(8) lists of ours, without what is of no interest.
func (h *host) shows(args ...string) []string {
	h.Helper()
	out, err := h.ns.Output("ip", args...)
	if err != nil {
		h.Fatal(err)
	}
	var ours []string
	for line := range strings.Lines(out) {
		line = strings.Join(strings.Fields(strings.NewReplacer(" linkdown", "", " pref medium", "").Replace(line)), " ")
		if strings.Contains(line, "proto 118") {
			ours = append(ours, line)
		}
	}
	slices.Sort(ours)
	return ours
}

func (h *host) ourPaths() []string {
	h.Helper()
	return slices.Concat(h.shows("-4", "route", "show", "table", "all"), h.shows("-6", "route", "show", "table", "all"),
		h.shows("-4", "rule", "show"), h.shows("-6", "rule", "show"))
}

func everything() (s desired.State, shown []string) {
	s.Addresses = []desired.Address{leased("eth0", "192.0.2.100/32", time.Minute)}
	for _, c := range everyRoute {
		s.Routes, shown = append(s.Routes, c.route), append(shown, c.shown)
	}
	for _, c := range everyRule {
		s.Rules, shown = append(s.Rules, c.rule), append(shown, c.shown)
	}
	return s, shown
}

func (h *host) paths(want []string) {
	h.Helper()
	got := h.ourPaths()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		h.Errorf("the kernel has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestKernelHasRoutesAndRulesWhileTheyAreWished(t *testing.T) {
	h, a := routed(t)
	s, shown := everything()
	h.wishAll(a, s)
	h.paths(shown)
	a.Drift() // what is read must be what was set: nothing is set anew
	h.wishAll(a, s)
	h.paths(shown)
	half := desired.State{Addresses: s.Addresses, Routes: s.Routes[:1], Rules: s.Rules[:1]}
	h.wishAll(a, half)
	h.paths([]string{shown[0], everyRule[0].shown})
	h.wishAll(a, desired.State{})
	h.paths(nil)
}

func TestWhatTheKernelHasIsReadAsItWasWished(t *testing.T) {
	h, a := routed(t)
	s, _ := everything()
	h.wishAll(a, s)
	r := newRoutes(h.table, quiet())
	r.set(&s)
	links, err := h.table.links()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]link{}
	for _, l := range links {
		byName[l.name] = l
	}
	if err := r.look(byName, true); err != nil {
		t.Fatal(err)
	}
	for _, c := range everyRoute {
		if !r.hasRoute(c.route) {
			t.Errorf("%v is read as %+v", c.route, r.haveRoutes[slotOf(c.route)])
		}
	}
	for _, c := range everyRule {
		if !r.haveRules[c.rule] {
			t.Errorf("%v is not among %v", c.rule, r.haveRules)
		}
	}
}

func TestRouteThatIsChangedIsReplaced(t *testing.T) {
	h, a := routed(t)
	w := everyRoute[0].route
	h.wishAll(a, desired.State{Routes: []desired.Route{w}})
	w.Via = addrOf("192.0.2.253")
	h.wishAll(a, desired.State{Routes: []desired.Route{w}})
	h.paths([]string{"10.1.0.0/16 via 192.0.2.253 dev eth0 proto 118"})
}

func TestRoutesOfSomebodyElseAreLeftAlone(t *testing.T) {
	h, _ := routed(t)
	a, reports, _ := h.addresses()
	_, network, _ := net.ParseCIDR("10.1.0.0/16")
	h.do(func() error { return netlink.RouteAdd(&netlink.Route{Dst: network, Gw: net.ParseIP("192.0.2.9")}) })
	w := everyRoute[0].route
	h.wishAll(a, desired.State{Routes: []desired.Route{w}})
	want := "set 10.1.0.0/16 via 192.0.2.254: file exists: there is one for 10.1.0.0/16 with metric 0 that somebody else has set"
	if r := <-reports; r.FailedRoutes[w.String()] != want {
		t.Errorf("reported %q, want %q", r.FailedRoutes, want)
	}
	h.wishAll(a, desired.State{})
	if out, err := h.ns.Output("ip", "route", "show", "10.1.0.0/16"); err != nil || !strings.Contains(out, "via 192.0.2.9") {
		t.Errorf("the route of somebody else is %q now (%v)", out, err)
	}
}

func TestRouteThatTheKernelRefusesIsToldAndTriedAgain(t *testing.T) {
	h, _ := routed(t)
	a, reports, _ := h.addresses()
	w := desired.Route{Prefix: prefixOf("10.1.0.0/16"), Type: desired.Unicast, Via: addrOf("198.51.100.254"), Table: desired.MainTable}
	h.wishAll(a, desired.State{Routes: []desired.Route{w}})
	if r := <-reports; !strings.Contains(r.FailedRoutes[w.String()], "network is unreachable") {
		t.Errorf("reported %q, want that the network is unreachable", r.FailedRoutes)
	}
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip("198.51.100.1/24")) })
	h.eventually("the route is there", func() bool { return len(h.ourPaths()) == 1 })
	h.eventually("that is reported", func() bool {
		select {
		case r := <-reports:
			return len(r.FailedRoutes) == 0
		default:
			return false
		}
	})
}

func TestRoutesOfAFormerRunAreAdoptedOrRemoved(t *testing.T) {
	h := newHost(t)
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip("192.0.2.1/24")) })
	a, _, stop := h.addresses()
	h.wishAll(a, desired.State{Routes: []desired.Route{everyRoute[0].route, everyRoute[5].route}, Rules: []desired.Rule{everyRule[0].rule}})
	stop() // as if it had been killed
	b, _, _ := h.addresses()
	h.wishAll(b, desired.State{Routes: []desired.Route{everyRoute[0].route}})
	h.paths([]string{everyRoute[0].shown})
	h.wishAll(b, desired.State{})
	h.paths(nil)
}

func TestRoutesAndRulesThatSomebodyDeletesArePutBack(t *testing.T) {
	h, _ := routed(t)
	a, reports, _ := h.addresses()
	h.start(NewLinks(LinkOptions{Logger: quiet(), Changed: func(node.Links) {}, Drift: a.Drift}).Run)
	s, shown := everything()
	h.wishAll(a, s)
	texts := map[string]bool{}
	for _, args := range [][]string{{"route", "del", "10.1.0.0/16"}, {"-6", "route", "flush", "table", "100"}, {"rule", "del", "priority", "101"}} {
		if _, err := h.ns.Output("ip", args...); err != nil {
			t.Fatal(err)
		}
	}
	for len(texts) < 3 {
		select {
		case r := <-reports:
			for _, text := range r.RepairedRoutes {
				texts[text] = true
			}
		case <-time.After(patience):
			t.Fatalf("only %v were reported as repaired", texts)
		}
	}
	h.paths(shown)
	// The kernel says nothing of the routes that go with their interface.
	h.change(netlink.LinkSetDown)
	h.change(netlink.LinkSetUp)
	h.eventually("the IPv4 routes are back", func() bool { return slices.Contains(h.ourPaths(), everyRoute[0].shown) })
}
