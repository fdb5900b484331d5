package kernel

import (
	"log/slog"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// keeper makes the table of addresses hold what is wished. It belongs to one goroutine, and blocks only in the table.
type keeper struct {
	table    table
	announce *announcer
	virtual  *virtual
	routes   *routes
	log      *slog.Logger

	want   map[desired.AddressKey]desired.Address
	kept   map[desired.AddressKey]bool // neither added nor removed
	held   map[desired.AddressKey]holding
	failed map[desired.AddressKey]*failure
	links  map[string]link // as last seen
	seen   map[string]int  // their numbers, as of the last look
	marks  bool            // the kernel keeps marks

	looked time.Time // the last look, zero for none
	lookAt time.Time // the next one

	changed  bool // since the last report
	repaired []desired.AddressKey
}

// holding is one address of ours that is on an interface.
type holding struct {
	desired.Address // as it was applied
	entry
	until   time.Time // the kernel removes it at about this time; zero for never
	applied bool      // false where it was found there
}

// failure is one address that could not be added or removed.
type failure struct {
	text    string
	retryAt time.Time
	delay   time.Duration
}

func newKeeper(t table, a *announcer, v *virtual, r *routes, log *slog.Logger) *keeper {
	return &keeper{
		table: t, announce: a, virtual: v, routes: r, log: log,
		want: map[desired.AddressKey]desired.Address{}, kept: map[desired.AddressKey]bool{}, held: map[desired.AddressKey]holding{},
		failed: map[desired.AddressKey]*failure{}, links: map[string]link{},
	}
}

// set takes a new wish and applies it. The first one begins with a look at what the kernel holds already.
func (k *keeper) set(now time.Time, w *desired.State, first bool) {
	clear(k.want)
	for _, a := range w.Addresses {
		k.want[a.AddressKey] = a
	}
	for key := range k.failed {
		if _, wanted := k.want[key]; !wanted {
			k.resolve(key) // it is to be removed, and that is tried at once
		}
	}
	clear(k.kept)
	for _, key := range w.Kept {
		k.kept[key] = true
	}
	k.virtual.set(w.VMACs)
	k.routes.set(w)
	k.announce.set(now, w.Announcements)
	if first {
		k.look(now)
		return
	}
	k.apply(now)
}

// work does what is due: a look, what failed before, announcements.
func (k *keeper) work(now time.Time) {
	switch {
	case !now.Before(k.lookAt):
		k.look(now)
	case k.retryDue(now):
		k.apply(now)
	}
	k.announce.run(now, announceAtOnce)
}

// next is when work is due again.
func (k *keeper) next() time.Time {
	next := k.lookAt
	for _, f := range k.failed {
		next = earlier(next, f.retryAt)
	}
	next = earlier(earlier(next, k.virtual.retryAt), k.routes.next())
	return earlier(next, k.announce.next())
}

// earlier is the earlier of two times, of which b may be zero for never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// lookSoon brings the next look forward, but not too close to the last one.
func (k *keeper) lookSoon(now time.Time) {
	at := k.looked.Add(lookGap)
	if at.Before(now) {
		at = now
	}
	k.lookAt = earlier(k.lookAt, at)
}

func (k *keeper) retryDue(now time.Time) bool {
	for _, at := range [...]time.Time{k.virtual.retryAt, k.routes.next()} {
		if !at.IsZero() && !now.Before(at) {
			return true
		}
	}
	for _, f := range k.failed {
		if !now.Before(f.retryAt) {
			return true
		}
	}
	return false
}

// look compares with the kernel itself, and then applies the wish.
func (k *keeper) look(now time.Time) {
	first := k.looked.IsZero()
	k.looked, k.lookAt = now, now.Add(lookEvery)
	entries, err := k.table.list()
	var links []link
	if err == nil {
		links, err = k.table.links()
	}
	if err != nil {
		k.log.Warn("the kernel's addresses could not be read; the next try is soon", "error", err)
		k.lookAt = now.Add(retryFirst)
		k.apply(now)
		return
	}
	k.hurry(now, links)
	clear(k.links)
	for _, l := range links {
		k.links[l.name] = l
	}
	k.virtual.look(k.links)
	if err := k.routes.look(k.links, first); err != nil {
		k.log.Warn("the kernel's routes and rules could not be read; the next try is soon", "error", err)
		k.lookAt = now.Add(retryFirst)
	}
	found := make(map[place]entry, len(entries))
	for _, e := range entries {
		found[e.place()] = e
		k.marks = k.marks || e.mark == mark
	}
	k.forgetLost(now, found)
	k.meetStrangers(found)
	k.apply(now)
}

// hurry has what failed tried at once where its interface has come, or was made again, since the last look.
func (k *keeper) hurry(now time.Time, links []link) {
	seen := make(map[string]int, len(links))
	for _, l := range links {
		seen[l.name] = l.index
	}
	for key, f := range k.failed {
		if index := seen[key.Interface]; index != 0 && index != k.seen[key.Interface] {
			f.retryAt = now
		}
	}
	k.seen = seen
}

// forgetLost drops what was held and is no longer there as it was left, so that apply puts it right. What went with its lease
// was not taken by anybody.
func (k *keeper) forgetLost(now time.Time, found map[place]entry) {
	for key, h := range k.held {
		e, there := found[h.place()]
		if there && !k.altered(h.entry, e) {
			continue
		}
		delete(k.held, key)
		if !there {
			k.forget(key)
		}
		_, wanted := k.want[key]
		switch {
		case wanted && !there && h.lapsed(now):
			k.log.Warn("a lease has run out; the address comes back with the next renewal", "address", key.Prefix, "interface", key.Interface)
		case wanted:
			k.repaired = append(k.repaired, key)
		}
	}
}

// altered tells whether somebody has changed an address.
func (k *keeper) altered(was, is entry) bool {
	return is.label != was.label || k.marks && is.mark != was.mark || (is.valid > 0) != (was.valid > 0)
}

// meetStrangers takes over the addresses that are there already, if they are wished for or bear our mark. Those that bear it
// and are not wished for are removed by apply, since they were left by a former run.
func (k *keeper) meetStrangers(found map[place]entry) {
	names := make(map[int]string, len(k.links))
	for _, l := range k.links {
		names[l.index] = l.name
	}
	for _, e := range found {
		key := desired.AddressKey{Interface: names[e.index], Prefix: e.prefix}
		_, wanted := k.want[key]
		if _, known := k.held[key]; !known && (wanted || k.kept[key] || e.mark == mark) {
			k.held[key] = holding{Address: desired.Address{AddressKey: key}, entry: e}
		}
	}
}

// report says what has happened since the last one, and whether anything has.
func (k *keeper) report() (node.Applied, bool) {
	if !k.changed && len(k.repaired) == 0 && !k.routes.changed && len(k.routes.repaired) == 0 {
		return node.Applied{}, false
	}
	r := node.Applied{Failed: map[desired.AddressKey]string{}}
	for key, f := range k.failed {
		if _, wanted := k.want[key]; wanted {
			r.Failed[key] = f.text
		}
	}
	for _, key := range k.repaired {
		if _, back := k.held[key]; back {
			r.Repaired = append(r.Repaired, key)
		}
	}
	slices.SortFunc(r.Repaired, compareKeys)
	r.FailedRoutes, r.RepairedRoutes = k.routes.report()
	k.changed, k.repaired = false, nil
	return r, true
}
