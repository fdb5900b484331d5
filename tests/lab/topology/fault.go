package topology

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/tests/lab/netns"
)

// protocolVRRP is the IP protocol of the adverts (RFC 9568 section 5.1.1.4).
const protocolVRRP = 112

// direction is that of frames at a port of the switch, as the switch sees it.
type direction string

const (
	ingress direction = "ingress" // from the node into the switch
	egress  direction = "egress"  // from the switch to the node
)

// match says which frames to drop. The zero value matches every frame.
type match struct {
	// from is a node whose frames match; nil for any.
	from *Node
	// vrrp matches adverts only.
	vrrp bool
	// percent of the frames that match, 1 to 100; zero is all of them.
	percent int
}

// dropper drops frames at a port of the switch. Kernels differ in what they have for it.
type dropper interface {
	drop(port string, d direction, m match) error
	clear(port string) error
}

// newDropper takes traffic control where the kernel has its filters, else the netdev tables of nftables.
func newDropper(sw *netns.NS) (dropper, error) {
	tc := &tcDropper{sw: sw}
	err := tc.drop("br0", egress, match{})
	if cleared := tc.clear("br0"); err == nil && cleared == nil {
		return tc, nil
	}
	nft := &nftDropper{sw: sw}
	if err := nft.setUp(); err != nil {
		return nil, fmt.Errorf("the kernel has neither tc filters nor nftables netdev chains to drop frames: %w", err)
	}
	return nft, nil
}

// Cut takes the carrier from the node's port: the node sees its interface go down.
func (n *Net) Cut(node string) error { return n.port(node, netlink.LinkSetDown) }

// Deaf lets nothing reach the node; what it says passes.
func (n *Net) Deaf(node string) error { return n.fault(node, egress, match{}) }

// Mute lets nothing out of the node; it still hears.
func (n *Net) Mute(node string) error { return n.fault(node, ingress, match{}) }

// Dark separates the node from the others both ways, and its carrier stays.
func (n *Net) Dark(node string) error { return errors.Join(n.Deaf(node), n.Mute(node)) }

// NoVRRP keeps the adverts of one node from another; everything else passes.
func (n *Net) NoVRRP(from, to string) error {
	return n.fault(to, egress, match{from: n.nodes[from], vrrp: true})
}

// NoFrame keeps every frame of one node from another.
func (n *Net) NoFrame(from, to string) error { return n.fault(to, egress, match{from: n.nodes[from]}) }

// Loss drops that percentage, 1 to 100, of the frames towards a node at random.
func (n *Net) Loss(node string, percent int) error {
	return n.fault(node, egress, match{percent: percent})
}

// Heal ends every fault at the port of a node.
func (n *Net) Heal(node string) error {
	n.mu.Lock()
	err := n.drops.clear(node)
	n.mu.Unlock()
	return errors.Join(err, n.port(node, netlink.LinkSetUp))
}

func (n *Net) fault(node string, d direction, m match) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.drops.drop(node, d, m); err != nil {
		return fmt.Errorf("drop frames at the port of %s: %w", node, err)
	}
	return nil
}

func (n *Net) port(node string, set func(netlink.Link) error) error {
	return n.sw.Do(func() error {
		l, err := netlink.LinkByName(node)
		if err != nil {
			return err
		}
		return set(l)
	})
}
