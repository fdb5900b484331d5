package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Fault is something that is not as it should be, with the command that mends it.
type Fault struct {
	Problem string `json:"problem"`
	Mend    string `json:"mend"`
}

// Check looks whether the kernel holds what the server needs, whoever has set it up. It changes nothing.
func (r RealServer) Check() ([]Fault, error) {
	table, err := dialRoute()
	if err != nil {
		return nil, err
	}
	defer table.close()
	links, err := table.links()
	if err != nil {
		return nil, err
	}
	have, err := table.list()
	if err != nil {
		return nil, err
	}
	c := realServerCheck{RealServer: r, links: links, have: have}
	c.addresses()
	c.arp()
	c.tunnels()
	return c.faults, nil
}

// realServerCheck is a look at what the kernel holds.
type realServerCheck struct {
	RealServer
	links  []link
	have   []entry
	faults []Fault
}

func (c *realServerCheck) fault(mend, problem string, args ...any) {
	c.faults = append(c.faults, Fault{Problem: fmt.Sprintf(problem, args...), Mend: mend})
}

func (c *realServerCheck) link(name string) (link, bool) {
	i := slices.IndexFunc(c.links, func(l link) bool { return l.name == name })
	if i < 0 {
		return link{}, false
	}
	return c.links[i], true
}

// at is the interface with that number.
func (c *realServerCheck) at(index int) link {
	i := slices.IndexFunc(c.links, func(l link) bool { return l.index == index })
	if i < 0 {
		return link{name: fmt.Sprint(index)}
	}
	return c.links[i]
}

// speaks tells whether there are neighbours on the interface who ask for addresses.
func (l link) speaks() bool { return l.flags&(unix.IFF_LOOPBACK|unix.IFF_NOARP) == 0 }

func (c *realServerCheck) addresses() {
	on, ok := c.link(c.Interface)
	switch {
	case !ok:
		c.fault(fmt.Sprintf("ip link add %s type dummy", c.Interface), "there is no interface %s for the VIPs", c.Interface)
	case !on.raised():
		c.fault(fmt.Sprintf("ip link set %s up", c.Interface), "%s is down, and with it the VIPs", c.Interface)
	}
	for _, vip := range c.VIPs {
		c.address(vip, on)
	}
}

// address looks for one VIP: it must be on its interface, alone in its subnet, and on none that has neighbours.
func (c *realServerCheck) address(vip netip.Addr, on link) {
	want := netip.PrefixFrom(vip, vip.BitLen())
	add := fmt.Sprintf("ip address add %v dev %s", want, c.Interface)
	if vip.Is6() {
		add += " nodad preferred_lft 0"
	}
	found := false
	for _, e := range c.have {
		if e.prefix.Addr() != vip {
			continue
		}
		at := c.at(e.index)
		del := fmt.Sprintf("ip address del %v dev %s", e.prefix, at.name)
		switch {
		case at.speaks() && at.index != on.index:
			c.fault(del, "%v is on %s, by which this server tells its neighbours that it is its own", vip, at.name)
		case e.prefix != want:
			c.fault(del, "%v is on %s as /%d, so that this server takes all of %v for its own", vip, at.name, e.prefix.Bits(), e.prefix.Masked())
		case at.index != on.index:
		case e.unusable:
			found = true
			c.fault(del+" && "+add, "%v on %s is not usable: its uniqueness is being checked, or was not given", vip, c.Interface)
		default:
			found = true
		}
	}
	if !found {
		c.fault(add, "%v is not on %s, so that packets for it are dropped here", want, c.Interface)
	}
}

// arp finds the interfaces by which the neighbours would learn that the VIPs are here.
func (c *realServerCheck) arp() {
	if !slices.ContainsFunc(c.VIPs, netip.Addr.Is4) {
		return
	}
	var answering, asking []string
	ignore, announce := setting("all", "arp_ignore"), setting("all", "arp_announce")
	for _, l := range c.links {
		if !l.raised() || !l.speaks() {
			continue
		}
		if max(ignore, l.arpIgnore) == 0 {
			answering = append(answering, l.name)
		}
		if max(announce, l.arpAnnounce) < 2 {
			asking = append(asking, l.name)
		}
	}
	slices.Sort(answering)
	slices.Sort(asking)
	if len(answering) > 0 {
		c.fault("sysctl -w net.ipv4.conf.all.arp_ignore=1",
			"arp_ignore is 0 on %s: this server answers ARP for the VIPs, and takes them from the director", strings.Join(answering, ", "))
	}
	if len(asking) > 0 {
		c.fault("sysctl -w net.ipv4.conf.all.arp_announce=2",
			"arp_announce is less than 2 on %s: this server asks its neighbours in the name of a VIP, and they learn that it is here",
			strings.Join(asking, ", "))
	}
}

// setting is the value of one interface, or that of "all"; 0 where it cannot be read.
func setting(which, name string) (v uint32) {
	text, _ := readSysctl("net/ipv4/conf/" + which + "/" + name)
	_, _ = fmt.Sscan(text, &v)
	return v
}

func (c *realServerCheck) tunnels() {
	for _, d := range c.devices() {
		l, ok := c.link(d.name)
		if !ok {
			c.fault(fmt.Sprintf("modprobe %s && ip link set %s up", d.module(), d.name), "there is no tunnel device %s", d.name)
			continue
		}
		if !l.raised() {
			c.fault(fmt.Sprintf("ip link set %s up", d.name), "the tunnel device %s is down", d.name)
		}
		if !d.six {
			c.filter(l)
		}
	}
	for _, p := range c.guePorts() {
		if !p.open() {
			six := ""
			if p.Six {
				six = " -6"
			}
			c.fault(fmt.Sprintf("ip fou add port %d gue%s", p.Port, six), "%v is not open for GUE", p)
		}
	}
}

// filter looks whether what comes out of a tunnel is dropped for the way that the answer takes.
func (c *realServerCheck) filter(tunnel link) {
	all, own := setting("all", "rp_filter"), setting(tunnel.name, "rp_filter")
	numbered := slices.ContainsFunc(c.have, func(e entry) bool { return e.index == tunnel.index && e.prefix.Addr().Is4() })
	if max(all, own) == 1 {
		c.fault(fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=%d", tunnel.name, 2*all),
			"rp_filter of %s is strict: what comes out of the tunnel is dropped, since the way back to the client is another one", tunnel.name)
	}
	if i := slices.IndexFunc(c.VIPs, netip.Addr.Is4); max(all, own) > 0 && !numbered {
		c.fault(fmt.Sprintf("ip address add %v/32 dev %s", c.VIPs[i], tunnel.name),
			"%s has no address, and with rp_filter, loose or strict, it drops all that it takes in", tunnel.name)
	}
}
