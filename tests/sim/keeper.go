package sim

import (
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// keeper is the part of the process that applies wishes, as core/kernel does: it adds and renews before it removes, tries again what
// failed, puts back what others have removed, reports, and announces.
type keeper struct {
	h    *host
	wish *desired.State
	busy bool
	fast []desired.FastLease
	// hurries tells that the fast leases are about to be applied.
	hurries bool
	want    map[int]desired.Address
	has     map[int]desired.Address // as applied
	bad     map[int]*refused
	told    map[int]string // what was reported last
	announcer
}

// refused is an address that could not be added.
type refused struct {
	text  string
	delay time.Duration
	again time.Duration
}

// The back-off after a failure, and what a lease may be applied late without being cut by a second, as in core/kernel.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
	leaseSlack = 100 * time.Millisecond
)

func newKeeper(h *host) *keeper {
	return &keeper{
		h: h, has: map[int]desired.Address{}, bad: map[int]*refused{}, told: map[int]string{},
		announcer: announcer{h: h, bursts: map[int]*burst{}},
	}
}

// set takes a wish, which is applied in a moment; a later one takes its place.
func (k *keeper) set(s *desired.State) {
	k.wish = s
	if k.busy {
		return
	}
	k.busy = true
	k.h.soon(k.h.w.some(k.h.n, ofApply, maxApplyLate), func() {
		k.busy = false
		k.work()
	})
}

// flush applies at once, as the end of the daemon waits for it.
func (k *keeper) flush() {
	life := k.h.life
	if k.work(); k.h.life == life {
		k.fast = nil
		k.applyFast()
	}
}

// work compares the wish with what the kernel holds.
func (k *keeper) work() {
	if k.wish == nil {
		return
	}
	h, life := k.h, k.h.life
	k.want = make(map[int]desired.Address, len(k.wish.Addresses))
	report := node.Applied{Failed: map[desired.AddressKey]string{}}
	for _, a := range k.wish.Addresses {
		v := h.w.find(a.AddressKey)
		k.want[v] = a
		if k.add(v, a) {
			report.Repaired = append(report.Repaired, a.AddressKey)
		}
		if h.life != life {
			return
		}
	}
	for v := range h.held {
		if _, wanted := k.want[v]; !wanted {
			delete(k.bad, v)
			delete(k.has, v)
			if h.held[v].on && !contains(k.wish.Kept, h.w.key(v)) {
				h.drop(v, "it is given up")
				if h.act(); h.life != life {
					return
				}
			}
		}
	}
	k.report(report)
	k.announcer.set(k.wish.Announcements)
}

// add puts one address into the kernel or renews it, and tells whether somebody had removed it.
func (k *keeper) add(v int, a desired.Address) (repaired bool) {
	h := k.h
	was, known := k.has[v]
	held := h.held[v].on
	if known && held && was == a {
		return false
	}
	valid, ok := k.lifetime(a)
	if !ok {
		delete(k.bad, v)
		return false
	}
	if b := k.bad[v]; b != nil && h.w.now < b.again {
		return false
	}
	if text := h.refusal(v); text != "" && !held {
		k.refuse(v, text)
		return false
	}
	delete(k.bad, v)
	k.has[v] = a
	h.put(v, valid)
	h.act()
	return known && !held
}

// lifetime is what is left of the lease in whole seconds; 0 for ever.
func (k *keeper) lifetime(a desired.Address) (valid time.Duration, ok bool) {
	if a.Lease == 0 {
		return 0, true
	}
	left := a.Renewed.Add(a.Lease).Sub(k.h.read())
	valid = min(left+leaseSlack, a.Lease).Truncate(time.Second)
	return valid, valid > 0
}

func (k *keeper) refuse(v int, text string) {
	b := k.bad[v]
	if b == nil {
		b = &refused{}
		k.bad[v] = b
	}
	b.text, b.delay = text, min(max(2*b.delay, retryFirst), retryMost)
	b.again = k.h.w.now + b.delay
	delete(k.has, v)
	k.h.soon(b.delay, k.work)
}

// report tells the node of failures where they have changed, and of what was put back.
func (k *keeper) report(r node.Applied) {
	changed := len(r.Repaired) > 0 || len(k.bad) != len(k.told)
	for v, b := range k.bad {
		changed = changed || k.told[v] != b.text
		r.Failed[k.h.w.key(v)] = b.text
	}
	if !changed {
		return
	}
	clear(k.told)
	for v, b := range k.bad {
		k.told[v] = b.text
	}
	k.h.soon(k.h.w.some(k.h.n, ofApply, maxApplyLate), func() { k.h.step(r) })
}
