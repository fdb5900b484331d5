package sim

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
)

// kernel is what a machine has whether or not the process lives: interfaces, and addresses with leases.
type kernel struct {
	w       *World
	h       *host
	links   []link
	held    []holding // by VIP
	bars    []bar     // by VIP
	refuses []int     // reasons to refuse an address, by instance
	choked  []int     // reasons to send no advert, by segment
	// unchoked is when the last of them ended.
	unchoked time.Duration
}

// link is the interface on one segment.
type link struct {
	index   int
	broken  int // reasons to have no carrier
	missing int // reasons not to be there
}

// holding is one VIP in the kernel.
type holding struct {
	on    bool
	since time.Duration // when it was added
	again time.Duration // when it was last renewed
	until time.Duration // the end of the lease; 0 for none
	put   int           // counts the additions and renewals
}

func newKernel(w *World, h *host) kernel {
	k := kernel{w: w, h: h, held: make([]holding, len(w.vips)), bars: make([]bar, len(w.vips)), refuses: make([]int, len(w.scenario.Instances)), choked: make([]int, w.scenario.Segments)}
	for s := range w.scenario.Segments {
		k.links = append(k.links, link{index: s + 2})
	}
	return k
}

// works tells whether packets come and go on the segment.
func (k *kernel) works(segment int) bool {
	l := k.links[segment]
	return l.missing == 0 && l.broken == 0 && k.h.powered()
}

// powered tells whether the machine runs at all.
func (h *host) powered() bool { return !h.off && h.asleep == 0 }

// answers tells whether the machine answers for a VIP, whoever asks.
func (k *kernel) answers(v int) bool {
	return k.held[v].on && k.works(k.w.vips[v].segment) && !k.barred(v)
}

// put adds an address or renews it; valid is 0 for ever.
func (k *kernel) put(v int, valid time.Duration) {
	a := &k.held[v]
	a.put++
	if !a.on {
		a.on, a.since = true, k.w.now
		k.w.tell("%s holds %s", k.h.name(), k.w.key(v).Prefix.Addr())
		k.w.judge.gained(k.h, v)
		k.w.changed(k.h, v)
	}
	a.until, a.again = 0, k.w.now
	if valid == 0 {
		return
	}
	k.endLease(v, k.w.now+k.h.clock.wait(valid))
}

// endLease has the lease of an address end at an instant, or a little later.
func (k *kernel) endLease(v int, until time.Duration) {
	a := &k.held[v]
	a.put++
	put := a.put
	a.until = until
	k.w.at(a.until+k.w.some(k.h.n, ofLease, maxLeaseLate), func() {
		if a := k.held[v]; a.on && a.put == put && k.h.asleep == 0 {
			k.w.judge.expired(k.h, v)
			k.drop(v, "its lease has ended")
			k.h.drift()
		}
	})
}

// drop takes an address away.
func (k *kernel) drop(v int, why string) {
	if a := &k.held[v]; a.on {
		a.on = false
		k.w.tell("%s loses %s: %s", k.h.name(), k.w.key(v).Prefix.Addr(), why)
		k.h.granted[k.w.vips[v].instance] = false
		k.w.judge.lost(k.h, v)
		k.w.changed(k.h, v)
	}
}

func (w *World) changed(h *host, v int) {
	if w.byHeld != nil {
		w.byHeld(h, v, h.held[v].on)
	}
}

// refusal is why an address cannot be added; empty for none.
func (k *kernel) refusal(v int) string {
	switch at := k.w.vips[v]; {
	case k.links[at.segment].missing > 0:
		return "no such device"
	case k.refuses[at.instance] > 0:
		return "operation not permitted"
	}
	return ""
}

// setCarrier and setLink change an interface, of which the process is told a little later.
func (k *kernel) setCarrier(segment, more int) {
	k.links[segment].broken += more
	k.told(segment)
}

func (k *kernel) setLink(segment, more int) {
	l := &k.links[segment]
	l.missing += more
	switch {
	case more > 0 && l.missing == 1:
		for v := range k.held {
			if k.w.vips[v].segment == segment {
				k.drop(v, "its interface is deleted")
			}
		}
	case l.missing == 0:
		l.index += 100
	}
	k.told(segment)
}

func (k *kernel) told(segment int) {
	k.w.tell("%s %s: missing %v, carrier %v", k.h.name(), segmentName(segment), k.links[segment].missing > 0, k.links[segment].broken == 0)
	k.w.judge.linked(k.h, segment)
	k.h.soon(10*time.Millisecond+k.w.some(k.h.n, ofApply, maxApplyLate), func() {
		k.h.step(k.h.linkState())
		k.h.drift()
	})
}

// drift tells the process, if there is one, that somebody has changed the addresses.
func (h *host) drift() {
	h.soon(20*time.Millisecond, func() { h.keeper.work() })
}

func (w *World) key(v int) desired.AddressKey {
	return w.scenario.vip(w.vips[v].instance, v%maxVIPs)
}

// find is the number of a VIP.
func (w *World) find(k desired.AddressKey) int { return w.byKey[k] }

// vipsOf are the VIPs that an instance may have, all those of the configuration and more.
func (w *World) vipsOf(instance int) []int {
	out := make([]int, maxVIPs)
	for k := range out {
		out[k] = instance*maxVIPs + k
	}
	return out
}

// owners are the hosts that answer for a VIP.
func (w *World) owners(v int) (out []*host) {
	for _, h := range w.hosts {
		if h.answers(v) {
			out = append(out, h)
		}
	}
	return out
}

func contains[T comparable](list []T, x T) bool { return slices.Contains(list, x) }
