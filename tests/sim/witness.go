package sim

import (
	"time"

	"github.com/vipward/vipward/core/node"
)

// witnessDelay is what a question to the witness, and its answer, take at most; witnessSilence is when a process gives a question up.
const (
	witnessDelay   = 5 * time.Millisecond
	witnessSilence = 800 * time.Millisecond
)

// witness is the third machine: who may hold which instance, until when.
type witness struct {
	grants []entitlement // by instance
	opens  time.Duration // it grants nothing before: a former run may have
	cut    []int         // by node
}

type entitlement struct {
	holder int
	until  time.Duration
}

func newWitness(s Scenario) witness {
	return witness{grants: make([]entitlement, len(s.Instances)), cut: make([]int, s.Nodes)}
}

// holder is who has a grant that runs; -1 for nobody.
func (w *World) holder(i int) int {
	if g := w.witness.grants[i]; w.now < g.until {
		return g.holder
	}
	return -1
}

// askWitness puts one question to the witness. Those of one instance follow each other.
func (w *World) askWitness(h *host, a node.WitnessAsk) {
	i := instanceOf(a.Instance)
	if a.Action == node.WitnessRelease {
		h.granted[i] = false // what it still holds it holds for the peer, until that has it
		h.gaveBack[i]++
	}
	begin := max(w.now, h.asking[i])
	there := begin + w.some(h.n, ofDelay, witnessDelay)
	back := there + w.some(h.n, ofDelay, witnessDelay)
	if w.witness.cut[h.n] > 0 || !h.powered() {
		h.asking[i] = begin + witnessSilence
		h.soon(h.asking[i]-w.now, func() { h.step(node.Witnessed{ID: a.ID, Err: "no answer"}) })
		return
	}
	h.asking[i] = back
	life, gave := h.life, h.gaveBack[i]
	w.at(there, func() {
		in := w.grant(h, i, a)
		h.soon(back-w.now, func() {
			if h.life == life {
				h.granted[i] = h.granted[i] || in.Granted && a.Action == node.WitnessAcquire && h.gaveBack[i] == gave
				h.step(in)
			}
		})
	})
}

func (w *World) grant(h *host, i int, a node.WitnessAsk) node.Witnessed {
	in := node.Witnessed{ID: a.ID}
	g := &w.witness.grants[i]
	holder := w.holder(i)
	switch {
	case a.Action == node.WitnessRelease:
		if holder == h.n {
			g.until = 0
		}
		in.Granted = true
		w.judge.dirty(i)
	case w.now < w.witness.opens:
		in.Err = "not yet"
	case holder >= 0 && holder != h.n:
		in.Holder = nodeName(holder)
	default:
		*g = entitlement{h.n, max(g.until, w.now+a.TTL)}
		in.Granted = true
		if holder < 0 {
			w.judge.entitled(h, i)
		}
	}
	return in
}

// restart has the witness forget everything; then it grants nothing until the grants of before have ended.
func (w *World) restartWitness() {
	clear(w.witness.grants)
	w.witness.opens = w.now + time.Duration(w.scenario.Guard.TTL)
}
