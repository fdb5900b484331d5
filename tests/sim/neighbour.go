package sim

import (
	"net/netip"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// The kinds of machines on a segment, as their hardware addresses tell them.
const (
	aNode = iota + 1
	aReference
	aStranger
)

func hardware(kind, segment, n int) [6]byte {
	return [6]byte{2, 0, 0, byte(kind), byte(segment), byte(n)}
}

// responder is a machine that answers for an address, at its place among nodes and clients.
type responder struct {
	place int
	mac   [6]byte
}

// ask puts a question of a process on its segment. Kernels answer it, whether or not their processes live.
func (w *World) ask(from *host, a node.Ask) {
	s := segmentOf(a.Interface)
	if from.links[s].missing > 0 {
		from.soon(0, func() { from.step(node.Unasked{Interface: a.Interface, Address: a.Address, Reason: "no such device"}) })
		return
	}
	d, lost := w.travels(from.n, s)
	if lost || !from.works(s) {
		return
	}
	w.after(d, func() {
		for _, r := range w.responders(from, s, a.Address) {
			if w.segments[s].cut[from.n][r.place] == 0 {
				w.answer(from, s, r, node.Seen{Interface: a.Interface, Address: a.Address, MAC: r.mac})
			}
		}
	})
}

// answer carries what one machine says back to who has asked, or is told anyway.
func (w *World) answer(to *host, s int, r responder, in node.Seen) {
	d, lost := w.travels(to.n, s)
	if lost || w.segments[s].cut[r.place][to.n] > 0 {
		return
	}
	w.after(d, func() {
		if to.works(s) {
			to.hear(func() { to.step(in) })
		}
	})
}

// responders are the machines that answer for an address on a segment, but for the one that asks.
func (w *World) responders(from *host, s int, a netip.Addr) (out []responder) {
	v, isVIP := w.byKey[desired.AddressKey{Interface: segmentName(s), Prefix: netip.PrefixFrom(a, a.BitLen())}]
	for _, h := range w.hosts {
		own := addresses(h.n, s)
		if h != from && h.works(s) && (isVIP && h.answers(v) || contains(own[:], a)) {
			out = append(out, responder{h.n, hardware(aNode, s, h.n)})
		}
	}
	for r := range maxReferences {
		if a == reference(s, r) && w.segments[s].dead[r] == 0 {
			out = append(out, responder{w.place(r), hardware(aReference, s, r)})
		}
	}
	if isVIP && w.strangers[w.vips[v].instance] > 0 {
		out = append(out, responder{w.place(0), hardware(aStranger, s, 0)})
	}
	return out
}

// place is where a machine is that is no node: by a client, whose side of a partition it shares.
func (w *World) place(k int) int { return len(w.hosts) + k%clients }

// reaches tells whether a reference of a segment answers a host now, where there are any.
func (w *World) reaches(h *host, s int) bool {
	spec := w.scenario.Guard
	if spec == nil || spec.References == 0 {
		return true
	}
	seg := w.segments[s]
	for r := range spec.References {
		if p := w.place(r); seg.dead[r] == 0 && h.works(s) && seg.cut[h.n][p] == 0 && seg.cut[p][h.n] == 0 {
			return true
		}
	}
	return false
}

// overhear lets the other nodes see an announcement.
func (w *World) overhear(from *host, v int) {
	if w.scenario.Guard == nil || !w.scenario.Guard.Probe {
		return
	}
	s := w.vips[v].segment
	for _, to := range w.hosts {
		if to != from {
			w.answer(to, s, responder{from.n, hardware(aNode, s, from.n)}, node.Seen{
				Interface: segmentName(s), Address: w.key(v).Prefix.Addr(), MAC: hardware(aNode, s, from.n),
			})
		}
	}
}

// segmentOf is the number of the segment that an interface is on.
func segmentOf(name string) int { return int(name[len(name)-1] - '0') }
