package topology

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/netns"
)

// tcDropper drops with filters of traffic control on a clsact queue, see tc(8). It talks netlink, since starting a process
// is slow in a guest.
type tcDropper struct{ sw *netns.NS }

func (t *tcDropper) drop(port string, d direction, m match) error {
	return t.sw.Do(func() error {
		l, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		if m.percent > 0 {
			return netlink.QdiscReplace(lossy(l, m.percent))
		}
		if err := netlink.QdiscAdd(clsact(l)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add clsact: %w", err)
		}
		return netlink.FilterAdd(filter(l, d, m))
	})
}

func (t *tcDropper) clear(port string) error {
	return t.sw.Do(func() error {
		l, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		have, err := netlink.QdiscList(l)
		if err != nil {
			return err
		}
		for _, q := range have {
			if q.Type() != "clsact" && q.Type() != "netem" {
				continue
			}
			if err := netlink.QdiscDel(q); err != nil {
				return fmt.Errorf("delete %s: %w", q.Type(), err)
			}
		}
		return nil
	})
}

func clsact(l netlink.Link) netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

func lossy(l netlink.Link, percent int) netlink.Qdisc {
	attrs := netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	return netlink.NewNetem(attrs, netlink.NetemQdiscAttrs{Loss: float32(percent)})
}

// filter drops what matches: everything, or the frames of one node, or its adverts.
func filter(l netlink.Link, d direction, m match) netlink.Filter {
	parent := uint32(netlink.HANDLE_MIN_EGRESS)
	if d == ingress {
		parent = netlink.HANDLE_MIN_INGRESS
	}
	gact := &netlink.GenericAction{ActionAttrs: netlink.ActionAttrs{Action: netlink.TC_ACT_SHOT}}
	attrs := netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: parent, Protocol: unix.ETH_P_ALL}
	if m.from == nil {
		return &netlink.MatchAll{FilterAttrs: attrs, Actions: []netlink.Action{gact}}
	}
	f := &netlink.Flower{FilterAttrs: attrs, SrcMac: m.from.MAC, Actions: []netlink.Action{gact}}
	if m.vrrp {
		proto := nl.IPProto(protocolVRRP)
		f.FilterAttrs.Protocol, f.EthType, f.IPProto = unix.ETH_P_IP, unix.ETH_P_IP, &proto
	}
	return f
}
