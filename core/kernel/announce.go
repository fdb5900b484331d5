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
	pace   pace
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
	return &announcer{send: send, held: map[desired.AddressKey]link{}, bursts: map[desired.AddressKey]*burst{}, pace: pace{}}
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

// added says that an address is on its interface. If that is new, its burst begins: the first frame at once, and the rest when
// others that come with it have had their first.
func (a *announcer) added(now time.Time, l link, key desired.AddressKey) {
	_, was := a.held[key]
	a.held[key] = l
	if b := a.bursts[key]; b != nil && !was {
		b.start(now)
		a.sendOne(now, b)
	}
}

// lost says that an address is no longer there.
func (a *announcer) lost(key desired.AddressKey) {
	delete(a.held, key)
	if b := a.bursts[key]; b != nil {
		b.due, b.again = nil, time.Time{}
	}
}

// run sends what is due, at most so many frames: of each address one, before any has a second.
func (a *announcer) run(now time.Time, most int) {
	var due []*burst
	for _, b := range a.bursts {
		if !b.again.IsZero() && !now.Before(b.again) {
			b.repeat(now)
		}
		if len(b.due) > 0 && !now.Before(b.due[0]) {
			due = append(due, b)
		}
	}
	slices.SortFunc(due, func(x, y *burst) int {
		return cmp.Or(cmp.Compare(x.sent, y.sent), x.due[0].Compare(y.due[0]), compareKeys(x.want.AddressKey, y.want.AddressKey))
	})
	for before := 0; before != most; {
		before = most
		for _, b := range due {
			if most > 0 && a.sendOne(now, b) {
				most--
			}
		}
	}
}

// next is when run has something to do; zero for never.
func (a *announcer) next() time.Time {
	var next time.Time
	for _, b := range a.bursts {
		var first time.Time
		if len(b.due) > 0 {
			first = a.pace.wake(b.want.Interface, b.want.Interval, b.due[0])
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

// sendOne takes one frame off the plan that is due and that the pace allows, and says whether there was one. One that cannot be
// sent is given up: the later ones of the burst are there for that.
func (a *announcer) sendOne(now time.Time, b *burst) bool {
	if len(b.due) == 0 || now.Before(b.due[0]) || now.Before(a.pace.free(b.want.Interface, b.want.Interval)) {
		return false
	}
	b.due = b.due[1:]
	l := a.held[b.want.AddressKey]
	if len(l.mac) == 0 || l.flags&unix.IFF_NOARP != 0 {
		return true // nobody asks there for hardware addresses
	}
	if frame := b.frameFor(l); frame != nil {
		_ = a.send(l, frame) // counted by the sender
		a.pace.take(now, b.want.Interface, b.want.Interval)
	}
	return true
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

// repeat plans a refresh and the one after it. Where the pace has kept back all of the last one, it stands for this one.
func (b *burst) repeat(now time.Time) {
	b.refresh(now)
	if len(b.due) < b.want.Repeat+b.want.RefreshRepeat {
		b.plan(now, b.want.RefreshRepeat)
	}
}

// refresh says when the next one is.
func (b *burst) refresh(now time.Time) {
	b.again = time.Time{}
	if b.want.Refresh > 0 {
		b.again = now.Add(b.want.Refresh)
	}
}
