package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// span is a duration that a file shows as people write it.
type span time.Duration

// MarshalText writes it as 1.5s.
func (s span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads what [span.MarshalText] has written.
func (s *span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = span(d)
	return err
}

// Topology is what there is in a world: the machines, the links between them, and the configuration of all nodes.
type Topology struct {
	// Nodes have the names lb1, lb2, …
	Nodes int
	// Segments are the links eth0, eth1, …; each node has an interface on each.
	Segments int
	// Drift of the nodes' clocks in parts per million; empty for none.
	Drift []int64 `json:",omitempty"`
	// Delay of a packet, at most.
	Delay span
	// Checkers that each node has: c0, c1, …
	Checkers int `json:",omitempty"`
	// Instances have the names i0, i1, …
	Instances []Spec
	// Groups are sync groups, by numbers of instances.
	Groups [][]int `json:",omitempty"`
	// Guard is what is asked before a takeover; nil for nothing.
	Guard *GuardSpec `json:",omitempty"`
}

// Spec is one virtual router as all nodes configure it.
type Spec struct {
	Segment int
	VRID    uint8
	Version uint8
	IPv6    bool `json:",omitempty"`
	// Priority of each node.
	Priority []int
	Interval span
	VIPs     int
	Preempt  bool `json:",omitempty"`
	// Delay is preempt_delay.
	Delay       span `json:",omitempty"`
	StartMaster bool `json:",omitempty"`
	Unicast     bool `json:",omitempty"`
	// Signed adverts carry a keyed digest.
	Signed bool `json:",omitempty"`
	// Unleased VIPs stay until somebody removes them.
	Unleased bool `json:",omitempty"`
	// Fast leases besides, which nftables ends.
	Fast   bool        `json:",omitempty"`
	Tracks []TrackSpec `json:",omitempty"`
}

// TrackSpec is one track: of a checker, or of the interface on another segment.
type TrackSpec struct {
	// Kind is "checker" or "interface", Number that of the checker or the segment.
	Kind   string
	Number int
	// Weight is 0 for none: down is FAULT.
	Weight int `json:",omitempty"`
}

// maxVIPs is how many VIPs an instance may have, with the one that a reload may add.
const maxVIPs = 4

var key = vrrp.Key{ID: 1, Secret: "0123456789abcdef0123456789abcdef"}

func nodeName(n int) string     { return fmt.Sprintf("lb%d", n+1) }
func instanceName(i int) string { return fmt.Sprintf("i%d", i) }
func segmentName(s int) string  { return fmt.Sprintf("eth%d", s) }
func checkID(c int) string      { return fmt.Sprintf("checker/c%d", c) }

// addresses are those of a node on a segment: IPv4, link-local, global.
func addresses(n, s int) [3]netip.Addr {
	return [3]netip.Addr{
		netip.AddrFrom4([4]byte{10, 77, byte(s), byte(n + 1)}),
		netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 13: byte(s), 15: byte(n + 1)}),
		netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 7: byte(s), 15: byte(n + 1)}),
	}
}

// vip is the k-th VIP of an instance.
func (t Topology) vip(i, k int) desired.AddressKey {
	s := t.Instances[i]
	a := netip.AddrFrom4([4]byte{10, 77, byte(s.Segment), byte(100 + i*maxVIPs + k)})
	switch {
	case s.IPv6 && k == 0:
		a = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 13: byte(s.Segment), 14: 1, 15: byte(i)})
	case s.IPv6:
		a = netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 7: byte(s.Segment), 14: byte(k), 15: byte(i)})
	}
	return desired.AddressKey{Interface: segmentName(s.Segment), Prefix: netip.PrefixFrom(a, a.BitLen())}
}

// group is the number of the instance's sync group; -1 for none.
func (t Topology) group(i int) int {
	return slices.IndexFunc(t.Groups, func(g []int) bool { return slices.Contains(g, i) })
}

// mates are the instances that move together with this one, itself among them.
func (t Topology) mates(i int) []int {
	if g := t.group(i); g >= 0 {
		return t.Groups[g]
	}
	return []int{i}
}

// edit is what a reload has changed in the configuration of one node.
type edit struct {
	specs   []Spec
	removed []bool
}

func (t Topology) unedited() edit {
	return edit{specs: slices.Clone(t.Instances), removed: make([]bool, len(t.Instances))}
}

// config is what core/config would make of the file for one node.
func (t Topology) config(n int, e edit, boot uint64) node.Config {
	c := node.Config{Name: nodeName(n), Guard: t.guards(n, boot)}
	for k := range t.Checkers {
		c.Checkers = append(c.Checkers, node.Checker{Name: fmt.Sprint("c", k), Check: checkID(k), Health: health.Config{Rise: 1, Fall: 1}})
	}
	for i, s := range e.specs {
		if !e.removed[i] {
			c.Instances = append(c.Instances, t.instance(n, i, s))
		}
	}
	for k, members := range t.Groups {
		g := node.Group{Name: fmt.Sprint("g", k)}
		for _, i := range members {
			g.Instances = append(g.Instances, instanceName(i))
		}
		c.Groups = append(c.Groups, g)
	}
	return c
}

func (t Topology) instance(n, i int, s Spec) node.Instance {
	in := node.Instance{
		Name: instanceName(i), Interface: segmentName(s.Segment),
		VRRP: vrrp.Config{
			VRID: s.VRID, Version: s.Version, Priority: uint8(s.Priority[n]), Interval: time.Duration(s.Interval),
			Preempt: s.Preempt, PreemptDelay: time.Duration(s.Delay), StartMaster: s.StartMaster, Gated: t.group(i) >= 0,
		},
		Garp:  desired.Garp{Repeat: 5, Delay: 5 * time.Second, RefreshRepeat: 1},
		Lease: node.Lease{Auto: !s.Unleased, Fast: s.Fast && !s.Unleased},
	}
	if s.Signed {
		in.VRRP.Auth = vrrp.Auth{Keys: []vrrp.Key{key}}
	}
	for k := range s.VIPs {
		v := t.vip(i, k)
		in.VRRP.Addresses = append(in.VRRP.Addresses, v.Prefix.Addr())
		in.Addresses = append(in.Addresses, node.VirtualAddress{Prefix: v.Prefix, Interface: v.Interface})
	}
	for m := range t.Nodes {
		if m == n {
			continue
		}
		in.PeerPriority = max(in.PeerPriority, uint8(s.Priority[m]))
		if s.Unicast {
			a := addresses(m, s.Segment)
			in.VRRP.Peers = append(in.VRRP.Peers, a[b2i(s.IPv6)])
		}
	}
	for _, track := range s.Tracks {
		tr := node.Track{Kind: node.TrackKind(track.Kind), Weighted: track.Weight != 0, Weight: track.Weight}
		if tr.Kind == node.TrackInterface {
			tr.Name = segmentName(track.Number)
		} else {
			tr.Name = fmt.Sprint("c", track.Number)
		}
		in.Tracks = append(in.Tracks, tr)
	}
	return in
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// String is the topology in one line.
func (t Topology) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d nodes, %d segments", t.Nodes, t.Segments)
	for i, s := range t.Instances {
		fmt.Fprintf(&b, "; i%d v%d %v", i, s.Version, s.Priority)
	}
	return b.String()
}
