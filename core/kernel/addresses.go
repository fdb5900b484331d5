package kernel

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

const (
	// lookEvery is how often the kernel is looked at although nobody told of a change.
	lookEvery = 30 * time.Second
	// lookGap is the least time between two looks that notifications ask for, so that a machine with thousands of changing
	// addresses does not keep this process busy.
	lookGap = 20 * time.Millisecond
	// announceAtOnce is how many frames go out before the mailbox is looked at again.
	announceAtOnce = 64
)

// AddressOptions are what [NewAddresses] needs.
type AddressOptions struct {
	// Logger gets what an operator should know besides the reports. Required.
	Logger *slog.Logger
	// Report is called by Run's goroutine after the addresses have changed, were repaired, or could not be held. It must not
	// block. Required.
	Report func(node.Applied)
}

// Addresses keeps the wished addresses on the interfaces and announces them, by gratuitous ARP or unsolicited
// neighbour advertisements. The interfaces are those
// of the network namespace of the thread that calls [NewAddresses].
//
// An address with a lease is installed with a lifetime that ends with the lease, so that the kernel removes it when this
// process no longer renews it. Addresses bear a mark (IFA_PROTO 118), by which a later run knows them.
type Addresses struct {
	opt    AddressOptions
	wish   *mailbox[*desired.State]
	drift  chan struct{}
	table  table
	rtnl   *rtnl // nil where there is no kernel
	sender sender
	close  func()

	announced, unannounced atomic.Uint64
}

// NewAddresses opens the sockets. Run must follow, for it closes them.
func NewAddresses(opt AddressOptions) (*Addresses, error) {
	r, err := dialRoute()
	if err != nil {
		return nil, err
	}
	p, err := openPacket()
	if err != nil {
		r.close()
		return nil, err
	}
	a := newAddresses(opt, r, p)
	a.rtnl = r
	a.close = func() {
		r.close()
		p.close()
	}
	return a, nil
}

func newAddresses(opt AddressOptions, t table, s sender) *Addresses {
	return &Addresses{
		opt: opt, wish: newMailbox[*desired.State](), drift: make(chan struct{}, 1), table: t, sender: s, close: func() {},
	}
}

// Set replaces the wish. It never blocks, and a wish that comes before the one before it was applied takes its place. Nothing
// in the kernel is touched before the first call.
//
// Of the state it takes the addresses with their announcements, the interfaces of virtual MAC addresses, routes and rules. It only
// reads it.
func (a *Addresses) Set(s *desired.State) { a.wish.put(s) }

// Drift asks for a look at the kernel, because somebody has changed something. It never blocks.
func (a *Addresses) Drift() { nudge(a.drift) }

// Wait returns when everything wished before it has been tried once.
func (a *Addresses) Wait(ctx context.Context) error { return a.wish.wait(ctx) }

// Announced counts the frames that were sent, and those that could not be.
func (a *Addresses) Announced() (sent, failed uint64) {
	return a.announced.Load(), a.unannounced.Load()
}

// Held lists the addresses that a former run has left: those that bear the mark, and those that have a lease and no mark,
// since kernels before 5.18 keep no marks; of the latter only those that the configuration names are meant. ages tells how long ago
// each was last renewed: never less than it was, and up to half a second more, since the kernel's clock begins later than ours.
func (a *Addresses) Held() (held []desired.AddressKey, ages map[desired.AddressKey]time.Duration, err error) {
	links, err := a.table.links()
	if err != nil {
		return nil, nil, err
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.index] = l.name
	}
	entries, err := a.table.list()
	if err != nil {
		return nil, nil, err
	}
	now, ages := sinceBoot(), map[desired.AddressKey]time.Duration{}
	for _, e := range entries {
		if e.mark == mark || e.mark == 0 && e.valid > 0 {
			key := desired.AddressKey{Interface: names[e.index], Prefix: e.prefix}
			held, ages[key] = append(held, key), e.age(now)
		}
	}
	return held, ages, nil
}

// sinceBoot is the time since the machine started, suspensions left out: that is what [entry.renewed] counts, too.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail (clock_gettime(2))
	return time.Duration(ts.Nano())
}

// age is how long ago the lifetime was set. The kernel's count begins anew every 497 days.
func (e entry) age(now time.Duration) time.Duration {
	const tick = 10 * time.Millisecond
	return max(time.Duration(int32(uint32(now/tick)-e.renewed))*tick, 0)
}

// Run applies the wishes until ctx ends. The last wish then stays in force, for as long as its leases run.
func (a *Addresses) Run(ctx context.Context) error {
	defer a.close()
	k := newKeeper(a.table, newAnnouncer(a.announce), newVirtual(a.rtnl, a.opt.Logger), newRoutes(a.rtnl, a.opt.Logger), a.opt.Logger)
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	watching := false
	taken := uint64(0) // the number of the wish in force, 0 before the first
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wish.changed:
			first := taken == 0
			var wish *desired.State
			wish, taken = a.wish.take()
			k.set(time.Now(), wish, first)
		case <-a.drift:
			k.lookSoon(time.Now())
		case <-timer.C:
		}
		if taken == 0 {
			continue
		}
		k.work(time.Now())
		if k.routes.used && !watching {
			watching = true
			if err := watchRoutes(ctx, a.Drift); err != nil {
				a.opt.Logger.Warn("routes and rules are looked at every 30s only", "error", err)
			}
		}
		a.report(k)
		a.wish.finish(taken)
		timer.Reset(time.Until(k.next()))
	}
}

// announce sends one frame, and counts it.
func (a *Addresses) announce(l link, frame []byte) error {
	err := a.sender.send(l.index, frame)
	if err != nil {
		a.unannounced.Add(1)
		return err
	}
	a.announced.Add(1)
	return nil
}

func (a *Addresses) report(k *keeper) {
	if r, ok := k.report(); ok {
		a.opt.Report(r)
	}
}

// table is the kernel's table of addresses. [rtnl] is the real one.
type table interface {
	link(name string) (link, error)
	links() ([]link, error)
	list() ([]entry, error)
	replace([]entry) []error
	settle(entry, time.Duration)
	promote(index int) error
	remove(entry) error
}

// sender puts Ethernet frames on interfaces. [packetSocket] is the real one.
type sender interface {
	send(index int, frame []byte) error
}
