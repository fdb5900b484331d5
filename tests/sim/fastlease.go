package sim

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// maxFastLate is what nftables may be late in ending a fast lease: its ticks are of 10 ms at most.
const maxFastLate = 10 * time.Millisecond

// bar is what nftables does with one VIP that has a fast lease: it lets nobody through any more when that is over.
type bar struct {
	listed bool // in the tables of this machine; they are made beside the address, and who dies in between has its lifetime alone
	open   bool
	until  time.Duration
	put    int // counts the changes
}

// barred tells whether packets for a VIP are dropped.
func (k *kernel) barred(v int) bool { return k.bars[v].listed && !k.bars[v].open }

// let lets a VIP through for a time, or not any more; what is not listed is none of the tables' business.
func (k *kernel) let(v int, listed bool, left time.Duration) {
	b, before, ended := &k.bars[v], k.answers(v), k.bars[v].until
	b.put++
	b.listed, b.open = listed, listed && left > 0
	if b.open {
		k.endFast(v, k.w.now+k.h.clock.wait(left))
	}
	switch after := k.answers(v); {
	case after && !before:
		k.w.tell("%s answers for %s again", k.h.name(), k.w.key(v).Prefix.Addr())
		k.w.judge.answersAgain(k.h, v, ended)
	case before && !after:
		k.shut(v)
	}
}

// endFast has a fast lease end at an instant, or a little later.
func (k *kernel) endFast(v int, until time.Duration) {
	b := &k.bars[v]
	b.put++
	put := b.put
	b.until = until
	k.w.at(b.until+k.w.some(k.h.n, ofApply, maxFastLate), func() {
		if b := &k.bars[v]; b.put == put && k.h.asleep == 0 {
			b.open = false
			k.shut(v)
		}
	})
}

// shut is the end of a fast lease.
func (k *kernel) shut(v int) {
	if !k.held[v].on {
		return
	}
	k.w.tell("%s does not answer for %s any more: its fast lease has ended", k.h.name(), k.w.key(v).Prefix.Addr())
	k.w.judge.expired(k.h, v)
	k.w.judge.lost(k.h, v)
}

// lease takes a wish for fast leases, as core/kernel does: in a moment, the latest one.
func (k *keeper) lease(leases []desired.FastLease) {
	k.fast = slices.Clone(leases)
	if k.hurries {
		return
	}
	k.hurries = true
	k.h.soon(k.h.w.some(k.h.n, ofApply, maxApplyLate), func() {
		k.hurries = false
		k.applyFast()
	})
}

// applyFast has the tables hold what is wished for, and nothing else.
func (k *keeper) applyFast() {
	h := k.h
	want := map[int]time.Duration{}
	for _, l := range k.fast {
		want[h.w.byAddr[l.Address]] = max(l.Renewed.Add(l.For).Sub(h.read()).Truncate(time.Millisecond), 0)
	}
	for v := range h.bars {
		left, listed := want[v]
		if listed || h.bars[v].listed {
			h.let(v, listed, left)
		}
	}
}

// fastLeft are the VIPs of a former run whose fast lease still runs.
func (h *host) fastLeft(start *node.Start) {
	for v, b := range h.bars {
		if b.listed && b.open {
			start.Leased = append(start.Leased, h.w.key(v).Prefix.Addr())
		}
	}
}
