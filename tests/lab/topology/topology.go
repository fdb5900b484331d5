// Package topology is the network of the laboratory: a client, two directors and two real servers on one switch, each in a
// network namespace of its own, and the faults that can befall them at their port of the switch. It is not for anything
// that runs in production.
package topology

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vipward/vipward/tests/lab/netns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// VIP is the address that the pair of directors shares.
var VIP = netip.MustParseAddr("10.77.0.100")

// Names of the nodes.
const (
	Client = "client"
	LB1    = "lb1"
	LB2    = "lb2"
	RS1    = "rs1"
	RS2    = "rs2"
)

// hosts are the nodes with the last octet of their address in 10.77.0.0/24, which is the last of their MAC as well.
var hosts = []struct {
	name  string
	octet byte
}{{Client, 10}, {LB1, 1}, {LB2, 2}, {RS1, 11}, {RS2, 12}}

// Node is one machine of the laboratory.
type Node struct {
	*netns.NS
	// Name is one of the constants above, and the name of the node's port at the switch.
	Name string
	// Addr is its address in 10.77.0.0/24, on the interface eth0.
	Addr netip.Addr
	// MAC is the hardware address of eth0.
	MAC net.HardwareAddr
}

// Net is a running laboratory network. The methods for faults may be called by one goroutine at a time.
type Net struct {
	nodes map[string]*Node
	sw    *netns.NS
	mu    sync.Mutex
	drops dropper
}

// New builds the network. Close ends it.
func New() (*Net, error) {
	n := &Net{nodes: map[string]*Node{}}
	if err := n.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the laboratory network: %w", err), n.Close())
	}
	return n, nil
}

// Node returns a node by its name, nil where there is none.
func (n *Net) Node(name string) *Node { return n.nodes[name] }

// Close kills the processes that still run in the nodes, and lets the namespaces go.
func (n *Net) Close() error {
	var errs []error
	for _, node := range n.nodes {
		errs = append(errs, kill(node.NS), node.Close())
	}
	if n.sw != nil {
		errs = append(errs, n.sw.Close())
	}
	return errors.Join(errs...)
}

// kill ends every process of a namespace, and those that they start meanwhile.
func kill(ns *netns.NS) error {
	for range 50 {
		pids, err := ns.Pids()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
		}
		time.Sleep(20 * time.Millisecond) // the kernel takes them down
	}
	return errors.New("processes in a namespace do not end")
}

func (n *Net) build() error {
	var err error
	if n.sw, err = netns.New(); err != nil {
		return err
	}
	if err := n.sw.Do(plugSwitch); err != nil {
		return err
	}
	// Where the kernel has br_netfilter, the switch would look at each frame as a router does, and cost twice as much.
	for _, family := range []string{"ip", "ip6", "arp"} {
		if err := n.sw.Sysctl("bridge/bridge-nf-call-"+family+"tables", "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, h := range hosts {
		node := &Node{
			Name: h.name,
			Addr: netip.AddrFrom4([4]byte{10, 77, 0, h.octet}),
			MAC:  net.HardwareAddr{2, 0x77, 0, 0, 0, h.octet},
		}
		if node.NS, err = netns.New(); err != nil {
			return err
		}
		n.nodes[h.name] = node
		if err := n.plug(node); err != nil {
			return fmt.Errorf("plug in %s: %w", h.name, err)
		}
	}
	n.drops, err = newDropper(n.sw)
	return err
}

// plugSwitch makes a dumb switch: snooping would withhold the multicast of VRRP until somebody asks for it.
func plugSwitch() error {
	snooping := false
	br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: &snooping}
	br.Name = "br0"
	if err := netlink.LinkAdd(br); err != nil {
		return fmt.Errorf("add the bridge: %w", err)
	}
	return netlink.LinkSetUp(br)
}

// Hub has the switch send every frame to every port, so that a node can watch what two others say to each other.
func (n *Net) Hub() error {
	_, err := n.sw.Output("ip", "link", "set", "br0", "type", "bridge", "ageing_time", "0")
	return err
}

// Unplug deletes the node's interface, as a driver does that is unloaded; Plug makes it again, with its address and another index.
func (n *Net) Unplug(node string) error {
	return n.nodes[node].Do(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.LinkDel(l)
	})
}

// Plug is the reverse of Unplug.
func (n *Net) Plug(node string) error { return n.plug(n.nodes[node]) }

// PowerOff ends a node as a loss of power does: nothing of it is heard any more, and its processes are gone.
func (n *Net) PowerOff(node string) error {
	return errors.Join(n.Dark(node), kill(n.nodes[node].NS))
}

// PowerOn gives a node that was switched off a link again, as it was at first: it has lost all its addresses but its own. To delete the
// interface takes the kernel a while, which is why PowerOff does not.
func (n *Net) PowerOn(node string) error {
	return errors.Join(n.Heal(node), n.Unplug(node), n.Plug(node))
}

// Rename gives the node's interface another name. It is down for a moment, as it has to be in older kernels.
func (n *Net) Rename(node, from, to string) error {
	return n.nodes[node].Do(func() error {
		l, err := netlink.LinkByName(from)
		if err != nil {
			return err
		}
		for _, step := range []func() error{
			func() error { return netlink.LinkSetDown(l) },
			func() error { return netlink.LinkSetName(l, to) },
			func() error { return netlink.LinkSetUp(l) },
		} {
			if err := step(); err != nil {
				return fmt.Errorf("rename %s of %s to %s: %w", from, node, to, err)
			}
		}
		return nil
	})
}

func (n *Net) plug(node *Node) error {
	if err := node.sysctls(); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = node.Name
	cable := &netlink.Veth{
		LinkAttrs: attrs, PeerName: "eth0", PeerHardwareAddr: node.MAC, PeerNamespace: netlink.NsFd(node.FD()),
	}
	err := n.sw.Do(func() error {
		if err := netlink.LinkAdd(cable); err != nil {
			return err
		}
		br, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(cable, br); err != nil {
			return err
		}
		return netlink.LinkSetUp(cable)
	})
	if err != nil {
		return err
	}
	return node.Do(node.addresses)
}

func (n *Node) addresses() error {
	lan := netip.PrefixFrom(n.Addr, 24)
	if err := addAddress("eth0", lan); err != nil {
		return err
	}
	return setUp("lo")
}

func (n *Node) server() bool   { return n.Name == RS1 || n.Name == RS2 }
func (n *Node) director() bool { return n.Name == LB1 || n.Name == LB2 }

// sysctls are a strict filter on the real servers, as many distributions have it, and what lets a director forward what still comes
// to it after it has given up the VIP. What direct routing asks of the real servers is for `vipward realserver setup`.
func (n *Node) sysctls() error {
	set := [][2]string{{"ipv4/conf/all/rp_filter", "0"}, {"ipv4/conf/default/rp_filter", "0"}}
	switch {
	case n.server():
		set[0][1] = "1"
	case n.director():
		set = append(set, [2]string{"ipv4/ip_forward", "1"}, [2]string{"ipv4/conf/all/send_redirects", "0"},
			[2]string{"ipv4/conf/default/send_redirects", "0"}, [2]string{"ipv4/ip_nonlocal_bind", "1"})
	}
	for _, s := range set {
		if err := n.Sysctl(s[0], s[1]); err != nil {
			return fmt.Errorf("set %s: %w", s[0], err)
		}
	}
	return nil
}

func addAddress(link string, p netip.Prefix) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ipnet}); err != nil {
		return fmt.Errorf("add %v to %s: %w", p, link, err)
	}
	return netlink.LinkSetUp(l)
}

func setUp(link string) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// Addresses lists the IPv4 addresses of eth0.
func (n *Node) Addresses() ([]netip.Prefix, error) {
	var found []netip.Prefix
	err := n.Do(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(l, netlink.FAMILY_V4)
		for _, a := range list {
			ones, _ := a.Mask.Size()
			ip, _ := netip.AddrFromSlice(a.IP.To4())
			found = append(found, netip.PrefixFrom(ip, ones))
		}
		return err
	})
	return found, err
}

// Holds tells whether the node has the VIP, on any of its interfaces.
func (n *Node) Holds(vip netip.Addr) (holds bool, err error) {
	err = n.Do(func() error {
		list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
		for _, a := range list {
			ip, _ := netip.AddrFromSlice(a.IP)
			holds = holds || ip.Unmap() == vip
		}
		return err
	})
	return holds, err
}

// RemoveAddress deletes an address from eth0, as an operator would by hand.
func (n *Node) RemoveAddress(a netip.Addr) error {
	return n.Do(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(l, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		for _, have := range list {
			if ip, _ := netip.AddrFromSlice(have.IP.To4()); ip == a {
				return netlink.AddrDel(l, &have)
			}
		}
		return fmt.Errorf("%s has no address %v", n.Name, a)
	})
}
