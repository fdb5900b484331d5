package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
)

// GuardSpec is what all nodes ask before one of them takes over, and who there is to answer.
type GuardSpec struct {
	// Probe has them ask who answers for a VIP.
	Probe bool `json:",omitempty"`
	// References on each segment.
	References int `json:",omitempty"`
	// Paths of heartbeats: 1 for one over the first segment, 2 for a crosslink besides; 0 for a pair that knows none.
	Paths int `json:",omitempty"`
	// Held is on_hold_expired.
	Held guard.OnHoldExpired `json:",omitempty"`
	// Mode of fencing, its delay, and how many levels of one fencer each node has.
	Mode   guard.FencingMode `json:",omitempty"`
	Delay  span              `json:",omitempty"`
	Levels int               `json:",omitempty"`
	// AutoRejoin lets a fenced node take part at once when it is back.
	AutoRejoin bool `json:",omitempty"`
	// OnLoss is on_witness_loss; empty where there is no witness. TTL is that of its grants.
	OnLoss guard.OnWitnessLoss `json:",omitempty"`
	TTL    span                `json:",omitempty"`
}

// maxReferences is how many a segment may have.
const maxReferences = 2

// The names of the paths of heartbeats.
const overSegment, overCrosslink = "address", "crosslink"

// reference is the address of the r-th reference of a segment.
func reference(s, r int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(s), byte(240 + r)}) }

// crossAddress is that of a node on the crosslink.
func crossAddress(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 78, 0, byte(n + 1)}) }

// guards is the blocks of the configuration that say what is asked. Boot is the number of the run.
func (t Topology) guards(n int, boot uint64) node.Guard {
	spec := t.Guard
	if spec == nil {
		return node.Guard{}
	}
	g := node.Guard{
		ProbeVIP: spec.Probe, OnHoldExpired: cmp.Or(spec.Held, guard.HoldOn), AutoRejoin: spec.AutoRejoin, OnWitnessLoss: spec.OnLoss,
		WitnessTTL: time.Duration(spec.TTL), Key: []byte(key.Secret), ConfigHash: "same", Boot: boot,
	}
	if spec.OnLoss != "" {
		g.Witness = "third"
	}
	for s := range t.Segments {
		for r := range spec.References {
			g.References = append(g.References, reference(s, r))
		}
	}
	for m := range t.Nodes {
		if m != n && spec.Paths > 0 {
			g.Peers = append(g.Peers, spec.peer(m))
		}
	}
	return g
}

func (spec *GuardSpec) peer(m int) node.Peer {
	p := node.Peer{
		Name:    nodeName(m),
		Paths:   []heartbeat.Path{{Name: overSegment, Address: addresses(m, 0)[0]}},
		Fencing: guard.Fencing{Mode: spec.Mode, Delay: time.Duration(spec.Delay), AutoRejoin: spec.AutoRejoin},
	}
	if spec.Paths > 1 {
		p.Paths = append(p.Paths, heartbeat.Path{Name: overCrosslink, Address: crossAddress(m), Interface: "eth9"})
	}
	for l := range spec.Levels {
		p.Fencing.Levels = append(p.Fencing.Levels, []string{fmt.Sprint("f", l)})
	}
	return p
}

// mode is that of fencing.
func (t Topology) mode() guard.FencingMode {
	if t.Guard == nil {
		return guard.FencingOff
	}
	return cmp.Or(t.Guard.Mode, guard.FencingOff)
}

// required tells whether a takeover waits for the fencing.
func (t Topology) required() bool { return t.mode() == guard.FencingRequired }

// witnessed tells whether there is a witness.
func (t Topology) witnessed() bool { return t.Guard != nil && t.Guard.OnLoss != "" }
