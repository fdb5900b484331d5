package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/desired"
)

const (
	// fastLook is how often the tables are looked at, since a reload of a firewall may have flushed them.
	fastLook = 500 * time.Millisecond
	// fastWarn is how often it is told that leases are renewed late.
	fastWarn = 10 * time.Second
	// fastTick is the least time that a lease is given: the kernel counts milliseconds, and 0 would be for ever.
	fastTick = time.Millisecond
)

// FastLeaseOptions are what [NewFastLeases] needs.
type FastLeaseOptions struct {
	// Logger gets what an operator should know besides the reports. Required.
	Logger *slog.Logger
	// Report is called by Run's goroutine with why the leases cannot be had, and with "" when they can again. It must not block.
	// Required.
	Report func(reason string)
}

// FastLeases ends VIPs by nftables, where the kernel's own lifetime of an address is too coarse: ARP, neighbour solicitations and
// packets for a VIP are dropped, and its own, unless it is in a set from which the kernel removes it in time. It touches two
// tables of its own and no other. A VIP that is not wished for is none of its business.
//
// What cannot be had leaves the VIPs to the lifetime of their addresses: they are never dropped because of it.
type FastLeases struct {
	opt  FastLeaseOptions
	wish *mailbox[[]desired.FastLease]
}

// NewFastLeases makes an applier that does nothing yet.
func NewFastLeases(opt FastLeaseOptions) *FastLeases {
	return &FastLeases{opt: opt, wish: newMailbox[[]desired.FastLease]()}
}

// Set replaces the wish, which it only reads. It never blocks. The kernel is not touched before the first call.
func (f *FastLeases) Set(leases []desired.FastLease) { f.wish.put(leases) }

// Wait returns when everything wished before it has been tried once.
func (f *FastLeases) Wait(ctx context.Context) error { return f.wish.wait(ctx) }

// Held lists the VIPs whose lease, of a former run, is not over yet.
func (f *FastLeases) Held() ([]netip.Addr, error) {
	table := &nftLeases{}
	defer table.close()
	return table.held()
}

// Run applies the wishes until ctx ends. The last one then stays in force, until its leases end.
func (f *FastLeases) Run(ctx context.Context) error {
	table := &nftLeases{}
	defer table.close()
	k := fastKeeper{table: table, log: f.opt.Logger}
	look := time.NewTicker(fastLook)
	defer look.Stop()
	told := ""
	for taken := uint64(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wish.changed:
			first := taken == 0
			var want []desired.FastLease
			want, taken = f.wish.take()
			k.set(time.Now(), want, first)
		case <-look.C:
			k.look(time.Now())
		}
		if k.failed != told {
			told = k.failed
			f.opt.Report(told)
		}
		if taken > 0 {
			f.wish.finish(taken)
		}
	}
}

// leases are the sets of the kernel. [nftLeases] are the real ones.
type leases interface {
	// replace makes the tables anew for these VIPs, in one transaction: those with a time to run are let through for so long, the
	// others are not. None leave no table.
	replace([]lease) error
	// renew lets VIPs through for another time, in one transaction. It fails where one is not let through, or there is no table.
	renew([]lease) error
	// intact tells whether the tables are as they were made for so many VIPs, apart from who is let through.
	intact(vips int) bool
	// any tells whether there is a table.
	any() bool
}

// lease is one VIP with what is left of its time; 0 for nothing.
type lease struct {
	addr netip.Addr
	left time.Duration
}

// fastKeeper makes the sets hold what is wished. It belongs to one goroutine, and blocks only in the sets.
type fastKeeper struct {
	table leases
	log   *slog.Logger

	want    []desired.FastLease
	held    map[netip.Addr]desired.FastLease // as applied
	made    bool                             // there may be tables of ours
	failed  string                           // why they are not as wished
	retryAt time.Time                        // after a failure
	late    int                              // renewals that came late
	warned  time.Time                        // when that was told of
}

// set takes a new wish and applies it. The first one replaces what a former run has left.
func (k *fastKeeper) set(now time.Time, want []desired.FastLease, first bool) {
	if first {
		k.made = k.table.any()
	}
	k.want = want
	if k.failed != "" && now.Before(k.retryAt) {
		return
	}
	if first || k.failed != "" || !k.same() {
		k.rebuild(now)
		return
	}
	k.renew(now)
}

// look puts the tables back where somebody has changed them. Until then the VIPs are reached as without them.
func (k *fastKeeper) look(now time.Time) {
	switch {
	case k.failed != "" && !now.Before(k.retryAt), k.failed == "" && len(k.want) > 0 && !k.table.intact(len(k.want)):
		k.rebuild(now)
	}
}

// same tells whether the tables are for the VIPs that are wished.
func (k *fastKeeper) same() bool {
	if len(k.want) != len(k.held) {
		return false
	}
	for _, w := range k.want {
		if _, held := k.held[w.Address]; !held {
			return false
		}
	}
	return true
}

// renew gives those a new time that were confirmed since. What the kernel may have ended already is not there to be renewed.
func (k *fastKeeper) renew(now time.Time) {
	var again []lease
	for _, w := range k.want {
		was := k.held[w.Address]
		if was == w {
			continue
		}
		if over := now.Sub(was.Renewed.Add(was.For)); over >= -2*fastTick {
			k.warn(now, w.Address, max(over, 0))
			k.rebuild(now)
			return
		}
		again = append(again, remaining(now, w))
	}
	if len(again) == 0 {
		return
	}
	for _, l := range again {
		if l.left == 0 { // taken back
			k.rebuild(now)
			return
		}
	}
	if err := k.table.renew(again); err != nil {
		k.log.Debug("the tables of the fast leases are made anew", "error", err)
		k.rebuild(now)
		return
	}
	k.keep()
}

// warn tells of a lease that was renewed late, now and then.
func (k *fastKeeper) warn(now time.Time, vip netip.Addr, late time.Duration) {
	if k.late++; !k.warned.IsZero() && now.Sub(k.warned) < fastWarn {
		return
	}
	k.log.Warn("a fast lease was renewed late, and its VIP was not reached meanwhile: the machine is too busy for these adverts, or a big ruleset of nftables was loaded",
		"address", vip, "late", late.Round(time.Millisecond), "so_far", k.late)
	k.warned = now
}

// rebuild makes the tables as wished, whatever there is.
func (k *fastKeeper) rebuild(now time.Time) {
	if !k.made && len(k.want) == 0 {
		k.keep()
		k.failed = ""
		return
	}
	all := make([]lease, len(k.want))
	for i, w := range k.want {
		all[i] = remaining(now, w)
	}
	err := k.table.replace(all)
	if err == nil {
		k.made, k.failed = len(all) > 0, ""
		k.keep()
		return
	}
	k.failed, k.retryAt = err.Error(), now.Add(fastLook)
	if k.made && len(all) > 0 && k.table.replace(nil) == nil { // else the VIPs would be dropped although they are held
		k.made = false
	}
}

// keep notes that the tables are as wished.
func (k *fastKeeper) keep() {
	k.held = make(map[netip.Addr]desired.FastLease, len(k.want))
	for _, w := range k.want {
		k.held[w.Address] = w
	}
}

// remaining is what is left of a lease now.
func remaining(now time.Time, w desired.FastLease) lease {
	left := w.Renewed.Add(w.For).Sub(now).Truncate(fastTick)
	return lease{w.Address, max(left, 0)}
}

func (l lease) String() string { return fmt.Sprintf("%v for %v", l.addr, l.left) }
