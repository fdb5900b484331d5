package topology

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vipward/vipward/tests/lab/netns"
)

// nftDropper drops with chains of the netdev family of nftables, see nft(8).
type nftDropper struct{ sw *netns.NS }

func (n *nftDropper) setUp() error {
	return errors.Join(n.run("add table netdev lab"), n.drop("br0", egress, match{}), n.clear("br0"))
}

func (n *nftDropper) drop(port string, d direction, m match) error {
	chain := port + "-" + string(d)
	return n.run(
		fmt.Sprintf(`add chain netdev lab %s { type filter hook %s device "%s" priority 0; }`, chain, d, port),
		fmt.Sprintf("add rule netdev lab %s %s drop", chain, expression(m)))
}

func expression(m match) string {
	var parts []string
	if m.from != nil {
		parts = append(parts, "ether saddr", m.from.MAC.String())
	}
	if m.vrrp {
		parts = append(parts, fmt.Sprintf("ip protocol %d", protocolVRRP))
	}
	if m.percent > 0 {
		parts = append(parts, fmt.Sprintf("numgen random mod 100 < %d", m.percent))
	}
	return strings.Join(append(parts, "counter"), " ")
}

// clear removes the chains of a port. A chain is added before, since deleting one that is not there is an error.
func (n *nftDropper) clear(port string) error {
	var lines []string
	for _, d := range []direction{ingress, egress} {
		chain := port + "-" + string(d)
		lines = append(lines,
			fmt.Sprintf(`add chain netdev lab %s { type filter hook %s device "%s" priority 0; }`, chain, d, port),
			"flush chain netdev lab "+chain, "delete chain netdev lab "+chain)
	}
	return n.run(lines...)
}

func (n *nftDropper) run(lines ...string) error {
	_, err := n.sw.Output("nft", strings.Join(lines, "; "))
	return err
}
