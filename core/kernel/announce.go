package kernel

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// spread says when the announcements of a burst go out that has no interval of its own: two at once, then ever fewer, so that
// a lost frame, or one of the former owner that came later, is put right within half a second. A burst of more than these
// goes round again: ten are four at once, two after 20 ms, and so on.
func spread(n int) time.Duration {
	return [...]time.Duration{0, 0, 20 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond}[n%5]
}

// announcer plans and sends the announcements of the addresses that are held. It belongs to one goroutine.
type announcer struct {
	send   func(link, []byte) error
	held   map[desired.AddressKey]link
	bursts map[desired.AddressKey]*burst
	free   map[string]time.Time // by interface, when the next frame of a burst with an interval may go out
}

// burst is the announcing of one address.
type burst struct {
	want  desired.Announcement
	due   []time.Time // of the frames to send, in order
	again time.Time   // the next refresh; zero for none
	sent  int         // frames of this burst
	frame [2][]byte   // of both forms, in turn
	made  link        // that they are made for
}

func newAnnouncer(send func(link, []byte) error) *announcer {
	return &announcer{send: send, held: map[desired.AddressKey]link{}, bursts: map[desired.AddressKey]*burst{}, free: map[string]time.Time{}}
}

// set replaces the wish. A new epoch of an address that is held begins a new burst; what is no longer wished is cancelled.
func (a *announcer) set(now time.Time, want []desired.Announcement) {
	next := make(map[desired.AddressKey]*burst, len(want))
	for _, w := range want {
		b, known := a.bursts[w.AddressKey]
		if !known {
			b = &burst{}
		}
		was := b.want
		b.want = w
		next[w.AddressKey] = b
		switch _, held := a.held[w.AddressKey]; {
		case held && (!known || w.Epoch != was.Epoch):
			b.start(now)
		case held && w.Refresh != was.Refresh:
			b.refresh(now)
		}
	}
	a.bursts = next
}

// added says that an address is on its interface. If that is new, its burst begins at once.
func (a *announcer) added(now time.Time, l link, key desired.AddressKey) {
	_, was := a.held[key]
	a.held[key] = l
	if b := a.bursts[key]; b != nil && !was {
		b.start(now)
		a.flush(now, b, b.want.Repeat)
	}
}

// lost says that an address is no longer there.
func (a *announcer) lost(key desired.AddressKey) {
	delete(a.held, key)
	if b := a.bursts[key]; b != nil {
		b.due, b.again = nil, time.Time{}
	}
}

// run sends what is due, at most so many frames.
func (a *announcer) run(now time.Time, most int) {
	var due []*burst
	for _, b := range a.bursts {
		if !b.again.IsZero() && !now.Before(b.again) {
			b.refresh(now)
			b.plan(now, b.want.RefreshRepeat)
		}
		if len(b.due) > 0 && !now.Before(b.due[0]) {
			due = append(due, b)
		}
	}
	slices.SortFunc(due, func(x, y *burst) int {
		return cmp.Or(x.due[0].Compare(y.due[0]), compareKeys(x.want.AddressKey, y.want.AddressKey))
	})
	for _, b := range due {
		most -= a.flush(now, b, most)
	}
}

// wait is when the interface of a burst is free for its next frame; zero for now.
func (a *announcer) wait(b *burst) time.Time {
	if b.want.Interval == 0 {
		return time.Time{}
	}
	return a.free[b.want.Interface]
}

// next is when run has something to do; zero for never.
func (a *announcer) next() time.Time {
	var next time.Time
	for _, b := range a.bursts {
		first := b.first()
		if at := a.wait(b); !first.IsZero() && first.Before(at) {
			first = at
		}
		for _, t := range [...]time.Time{first, b.again} {
			if next.IsZero() {
				next = t
			}
			next = earlier(next, t)
		}
	}
	return next
}

// flush sends at most so many frames that are due, and says how many it took off the plan. One that cannot be sent is given
// up: the later ones of the burst are there for that.
func (a *announcer) flush(now time.Time, b *burst, most int) int {
	n := 0
	for n < most && len(b.due) > 0 && !now.Before(b.due[0]) && !now.Before(a.wait(b)) {
		b.due = b.due[1:]
		n++
		l := a.held[b.want.AddressKey]
		if len(l.mac) == 0 || l.flags&unix.IFF_NOARP != 0 {
			continue // nobody asks there for hardware addresses
		}
		if frame := b.frameFor(l); frame != nil {
			_ = a.send(l, frame) // counted by the sender
			a.free[b.want.Interface] = now.Add(b.want.Interval)
		}
	}
	return n
}

// frameFor is the frame to send, made once for each hardware address.
func (b *burst) frameFor(l link) []byte {
	if b.frame[0] == nil || !bytes.Equal(b.made.mac, l.mac) || b.made.forwards != l.forwards {
		frame, err := announcements(l, b.want.Prefix.Addr())
		if err != nil {
			return nil // it takes any six bytes and any address, so this is never reached
		}
		b.made, b.frame = l, frame
	}
	b.sent++
	return b.frame[(b.sent-1)%len(b.frame)]
}

// announcements are the frames that tell everybody on the link where an address is now. Of IPv4 there are two, and they go out in
// turn: some switches and hosts learn from requests only, and some from answers only.
func announcements(l link, vip netip.Addr) (both [2][]byte, err error) {
	for k := range both {
		switch {
		case vip.Is6():
			both[k], err = unsolicited(l.mac, vip, l.forwards)
		case k == 0:
			both[k], err = gratuitous(l.mac, vip)
		default:
			both[k], err = unasked(l.mac, vip)
		}
		if err != nil {
			return both, err
		}
	}
	return both, nil
}

func (b *burst) first() time.Time {
	if len(b.due) == 0 {
		return time.Time{}
	}
	return b.due[0]
}

// start plans the bursts of an address that is new here.
func (b *burst) start(now time.Time) {
	b.due = nil
	b.plan(now, b.want.Repeat)
	if b.want.Delay > 0 {
		b.plan(now.Add(b.want.Delay), b.want.Repeat)
	}
	b.refresh(now)
}

// plan adds a burst, which begins with a request.
func (b *burst) plan(at time.Time, repeat int) {
	b.sent = 0
	for n := range repeat {
		d := spread(n)
		if b.want.Interval > 0 {
			d = time.Duration(n) * b.want.Interval
		}
		b.due = append(b.due, at.Add(d))
	}
	slices.SortFunc(b.due, time.Time.Compare)
}

func (b *burst) refresh(now time.Time) {
	b.again = time.Time{}
	if b.want.Refresh > 0 {
		b.again = now.Add(b.want.Refresh)
	}
}
