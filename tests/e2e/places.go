package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

// startDelay is that of the scenario, and held are the VIPs of its only instance, each in another way.
const startDelay = 3 * time.Second

type heldAddress struct {
	prefix      netip.Prefix
	link, label string
	scope       int
	advertised  bool
}

var heldAddresses = []heldAddress{
	{netip.MustParsePrefix("10.77.0.100/32"), "eth0", "eth0", unix.RT_SCOPE_UNIVERSE, true},
	{netip.MustParsePrefix("10.77.0.101/24"), "eth0", "eth0:net", unix.RT_SCOPE_UNIVERSE, true},
	{netip.MustParsePrefix("10.99.1.1/32"), "dum0", "dum0:svc", unix.RT_SCOPE_LINK, false},
	{netip.MustParsePrefix("2001:db8:77::100/128"), "eth0", "", unix.RT_SCOPE_UNIVERSE, false},
	{netip.MustParsePrefix("2001:db8:99::1/128"), "dum0", "", unix.RT_SCOPE_UNIVERSE, false},
}

func heldConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, "node \"lb1\" { address = \"10.77.0.1\" }\nnode \"lb2\" { address = \"10.77.0.2\" }\n"+
		"vrrp_instance \"web\" {\n  interface = \"eth0\"\n  virtual_router_id = 51\n  priority = { lb1 = 150, lb2 = 100 }\n  start_delay = \"%v\"\n", startDelay)
	for _, a := range heldAddresses {
		fmt.Fprintf(&b, "  virtual_address \"%v\" {\n    interface = %q\n    advertised = %v\n", a.prefix, a.link, a.advertised)
		if a.label != "" && a.label != a.link {
			fmt.Fprintf(&b, "    label = %q\n", a.label)
		}
		if a.scope == unix.RT_SCOPE_LINK {
			b.WriteString("    scope = \"link\"\n")
		}
		b.WriteString("  }\n")
	}
	return b.String() + "}\n"
}

// places: VIPs of both families on several interfaces go with their instance, each as it is written; those that the adverts do not name
// as well. IPv6 addresses can be used from the first moment. Nothing of it comes before start_delay.
func places(t *T) {
	l := newNet6(t)
	for _, name := range []string{topology.LB1, topology.LB2} {
		for _, args := range []string{"link add dum0 type veth peer name dum1", "link set dum1 up", "link set dum0 up"} {
			_, err := l.Node(name).Output("ip", strings.Fields(args)...)
			t.Must(err)
		}
	}
	text := heldConfig()
	l.lb1, l.lb2 = l.newDirector(topology.LB1, text), l.newDirector(topology.LB2, text)
	// tentative hears of each IPv6 address as the kernel makes it: DAD would take a second.
	tentative := l.tentativeVIPs(topology.LB1)
	began := time.Now()
	l.lb1.start()
	if s := l.lb1.status().Instances[0]; s.State != "INIT" || !strings.Contains(s.Reason, "start_delay") {
		t.Errorf("while it waits it is %s (%s), want INIT, and start_delay named", s.State, s.Reason)
	}
	l.lb1.await("MASTER", startDelay+down+5*time.Second)
	if took := time.Since(began); took < startDelay+3*interval {
		t.Errorf("lb1 was master after %v, want %v and a down interval at the least", took, startDelay)
	}
	l.Eventually("lb1 holds them all", slack, func() error { return l.holdsAll(topology.LB1, true) })
	l.lb2.start()
	l.lb2.await("BACKUP", startDelay+5*time.Second)
	t.Must(l.holdsAll(topology.LB2, false))
	if bad := tentative(); len(bad) > 0 {
		t.Errorf("the kernel looks for duplicates of %v, and nobody can use them meanwhile", bad)
	}
	if got := l.advertised(); got != 2 {
		t.Errorf("the adverts name %d addresses, want 2", got)
	}

	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	l.Eventually("all have moved", slack, func() error {
		return errors.Join(l.holdsAll(topology.LB1, false), l.holdsAll(topology.LB2, true))
	})
	l.lb2.terminate()
	l.Eventually("all are back", slack, func() error {
		return errors.Join(l.holdsAll(topology.LB2, false), l.holdsAll(topology.LB1, true))
	})
}

// holdsAll says what is wrong where a node has not all of the VIPs as they are written, or has one of them.
func (l *lab) holdsAll(name string, want bool) error {
	return l.Node(name).Do(func() error {
		for _, h := range heldAddresses {
			link, err := netlink.LinkByName(h.link)
			if err != nil {
				return err
			}
			all, err := netlink.AddrList(link, netlink.FAMILY_ALL)
			if err != nil {
				return err
			}
			found := false
			for _, a := range all {
				ip, _ := netip.AddrFromSlice(a.IP)
				bits, _ := a.Mask.Size()
				if netip.PrefixFrom(ip.Unmap(), bits) != h.prefix {
					continue
				}
				found = true
				if a.Label != h.label || a.Scope != h.scope || a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 {
					return fmt.Errorf("%s has %v on %s with the label %q, scope %d and flags %#x, want %q and %d", name, h.prefix, h.link, a.Label, a.Scope, a.Flags, h.label, h.scope)
				}
			}
			if found != want {
				return fmt.Errorf("%s has %v on %s: %v, want %v", name, h.prefix, h.link, found, want)
			}
		}
		return nil
	})
}

// tentativeVIPs hears of the IPv6 addresses of a node as they come, and gives the VIPs among them that could not be used at once.
func (l *lab) tentativeVIPs(name string) (stop func() []string) {
	updates, done := make(chan netlink.AddrUpdate, 1000), make(chan struct{})
	l.Must(l.Node(name).Do(func() error { return netlink.AddrSubscribe(updates, done) }))
	return func() (bad []string) {
		close(done)
		heard := 0
		for u := range updates {
			ip, _ := netip.AddrFromSlice(u.LinkAddress.IP)
			for _, h := range heldAddresses {
				if !u.NewAddr || !ip.Is6() || h.prefix.Addr() != ip {
					continue
				}
				if heard++; u.Flags&unix.IFA_F_TENTATIVE != 0 {
					bad = append(bad, ip.String())
				}
			}
		}
		if heard < 2 {
			l.Errorf("the kernel told of %d IPv6 VIPs, want both", heard)
		}
		return bad
	}
}

// advertised is how many addresses the next advert names: the fourth byte of the message.
func (l *lab) advertised() (count int) {
	l.Must(l.Node(topology.Client).Do(func() error {
		c, err := net.ListenPacket("ip4:112", "0.0.0.0")
		if err != nil {
			return err
		}
		defer c.Close()
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		if err := ipv4.NewPacketConn(c).JoinGroup(eth0, &net.IPAddr{IP: net.IPv4(224, 0, 0, 18)}); err != nil {
			return err
		}
		b := make([]byte, 1500)
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		n, _, err := c.ReadFrom(b)
		if err == nil && n >= 4 {
			count = int(b[3])
		}
		return err
	}))
	return count
}

// vmacSettings: what a virtual MAC address needs of the kernel is set while it is there, and as it was when it has gone: after a stop, and
// after the cleanup of what a killed daemon has left.
func vmacSettings(t *T) {
	l := newPair(t, useVMAC())
	before := l.settings(topology.LB1)
	for _, end := range []struct {
		what string
		f    func()
	}{
		{"a stop", l.lb1.terminate},
		{"kill -9 and vipward cleanup", func() {
			l.lb1.kill()
			l.lb1.do("cleanup")
		}},
	} {
		l.lb1.start()
		l.lb1.await("MASTER", 15*time.Second)
		during := l.settings(topology.LB1)
		for name, want := range map[string]string{
			"eth0/arp_ignore": "1", "eth0/arp_announce": "2", "vrrp.51/arp_ignore": "1", "vrrp.51/arp_announce": "2", "vrrp.51/rp_filter": "0",
		} {
			if got := during[name]; got != want {
				t.Errorf("with a virtual MAC address %s is %q, want %s", name, got, want)
			}
		}
		end.f()
		after := l.settings(topology.LB1)
		for name, was := range before {
			if after[name] != was {
				t.Errorf("after %s %s is %q, it was %q", end.what, name, after[name], was)
			}
		}
		for name := range after {
			if _, there := before[name]; !there {
				t.Errorf("after %s there is %s", end.what, name)
				break
			}
		}
	}
}

// settings are the parameters of IPv4 and IPv6 of all interfaces of a node; those of IPv6 begin with a 6.
func (l *lab) settings(name string) map[string]string {
	all := map[string]string{}
	for family, prefix := range map[string]string{"ipv4": "", "ipv6": "6"} {
		root := "/proc/sys/net/" + family + "/conf/"
		out, err := l.Node(name).Output("grep", "-rs", "", root, "--exclude=stable_secret")
		l.Must(err)
		for line := range strings.Lines(out) {
			path, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			all[prefix+strings.TrimPrefix(path, root)] = value
		}
	}
	if len(all) < 100 {
		l.Fatalf("%s has %d parameters", name, len(all))
	}
	return all
}
