package sim

import (
	"time"

	"github.com/vipward/vipward/core/desired"
)

// announcer sends the announcements of the addresses that are held: a burst for each new epoch, and another one after a delay.
type announcer struct {
	h      *host
	bursts map[int]*burst
}

type burst struct {
	epoch uint64
	held  bool // when it was looked at last
	count int  // counts the bursts, so that an old one ends
}

// spread is when the frames of a burst go out, as in core/kernel.
var spread = [...]time.Duration{0, 0, 20 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond}

func (a *announcer) set(want []desired.Announcement) {
	h, life := a.h, a.h.life
	wanted := make(map[int]bool, len(want))
	for _, n := range want {
		v := h.w.find(n.AddressKey)
		wanted[v] = true
		b := a.bursts[v]
		if b == nil {
			b = &burst{}
			a.bursts[v] = b
		}
		held := h.held[v].on
		begin := held && (!b.held || b.epoch != n.Epoch)
		b.held = held
		if !held {
			b.count++
		}
		if !begin {
			continue
		}
		b.epoch = n.Epoch
		b.count++
		a.start(v, b, n.Garp)
		if h.life != life {
			return
		}
	}
	for v, b := range a.bursts {
		if !wanted[v] {
			b.count++
			delete(a.bursts, v)
		}
	}
}

// start sends the first frame at once, and plans the others.
func (a *announcer) start(v int, b *burst, g desired.Garp) {
	count := b.count
	send := func() {
		if b.count == count && a.h.held[v].on {
			a.h.w.announce(a.h, v)
			a.h.act()
		}
	}
	for _, from := range []time.Duration{0, g.Delay} {
		for n := range g.Repeat {
			switch d := from + spread[n%len(spread)]; {
			case d == 0 && n == 0:
				send()
			case from > 0 || n == 0 || d > 0:
				a.h.soon(d, send)
			}
		}
	}
}
