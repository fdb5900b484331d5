package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

const (
	// leaseSlack is how much later than its confirmation a lease may be applied without being cut by a whole second, the
	// kernel's unit. So much later it may end.
	leaseSlack = 100 * time.Millisecond
	// lapseSlack is how much earlier than its end the kernel may remove an address: it rounds by a fiftieth of a second
	// (ADDRCONF_TIMER_FUZZ_MINUS in the kernel's net/addrconf.h).
	lapseSlack = 50 * time.Millisecond
	// A failure is tried again after retryFirst, and then after twice the time of before, up to retryMost.
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

var errScope = errors.New("the scope is not global, site, link, host or a number up to 255")

// apply adds and renews first, those first whose lease ends first, and then removes. The interfaces of virtual MAC addresses come
// before the addresses and go after them; routes, which may need an address, come after them and go before them.
func (k *keeper) apply(now time.Time) {
	k.forgive()
	for _, name := range k.virtual.raise(now) {
		delete(k.links, name) // it may have been made again
	}
	var add []desired.Address
	var remove []desired.AddressKey
	if !k.complete() {
		add, remove = desired.DiffAddresses(slices.Collect(maps.Values(k.want)), slices.Collect(maps.Keys(k.held)))
	}
	due := slices.DeleteFunc(append(add, k.renewals()...), func(a desired.Address) bool { return !k.mayTry(now, a.AddressKey) })
	for some := range slices.Chunk(due, atOnce) {
		k.add(some)
	}
	k.routes.add(now)
	k.routes.remove()
	for _, key := range remove {
		if !k.kept[key] && k.mayTry(now, key) {
			k.remove(now, key)
		}
	}
	k.virtual.lower()
}

// complete tells whether just the wished addresses are held, as it mostly is.
func (k *keeper) complete() bool {
	for key := range k.want {
		if _, held := k.held[key]; !held {
			return false
		}
	}
	return len(k.want) == len(k.held)
}

// renewals are the addresses that are held, and not as they are wished; those first whose lease ends first.
func (k *keeper) renewals() []desired.Address {
	var renew []desired.Address
	for key, a := range k.want {
		if _, held := k.held[key]; held && !k.has(a) {
			renew = append(renew, a)
		}
	}
	slices.SortFunc(renew, func(a, b desired.Address) int {
		return cmp.Or(k.held[a.AddressKey].until.Compare(k.held[b.AddressKey].until), compareKeys(a.AddressKey, b.AddressKey))
	})
	return renew
}

func compareKeys(a, b desired.AddressKey) int {
	return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Prefix.Compare(b.Prefix))
}

func (k *keeper) mayTry(now time.Time, key desired.AddressKey) bool {
	f := k.failed[key]
	return f == nil || !now.Before(f.retryAt)
}

// has tells whether an address was applied as it is wished.
func (k *keeper) has(a desired.Address) bool {
	h, held := k.held[a.AddressKey]
	was := h.Address
	if a.Lease == 0 {
		was.Renewed = a.Renewed
	}
	return held && h.applied && was == a
}

// forgive forgets the failures of what is no longer to be done.
func (k *keeper) forgive() {
	for key := range k.failed {
		a, wanted := k.want[key]
		_, held := k.held[key]
		if wanted && k.has(a) || !wanted && !held {
			k.resolve(key)
		}
	}
}

func (k *keeper) resolve(key desired.AddressKey) {
	if k.failed[key] != nil {
		delete(k.failed, key)
		k.changed = true
	}
}

// add puts addresses on their interfaces, or renews them there. It takes the time anew for each few, since a lease must not be
// made longer by the time that the addresses before them took.
func (k *keeper) add(some []desired.Address) {
	now, entries := time.Now(), make([]entry, 0, len(some))
	some = slices.DeleteFunc(some, func(a desired.Address) bool {
		e, ok := k.prepare(now, a)
		if ok {
			entries = append(entries, e)
		}
		return !ok
	})
	for n, err := range k.table.replace(entries) {
		k.added(now, some[n], entries[n], err)
	}
}

// prepare is an address in the kernel's terms; not ok where it is not to be added now.
func (k *keeper) prepare(now time.Time, a desired.Address) (e entry, ok bool) {
	valid, ok := lifetime(now, a)
	if !ok {
		k.tooLate(now, a.AddressKey)
		return e, false
	}
	if h, held := k.held[a.AddressKey]; held && h.lapsed(now) {
		k.forget(a.AddressKey)
	}
	e, err := k.entry(a, valid)
	if err == nil {
		err = k.clear(a.AddressKey, e)
	}
	if err != nil {
		k.refused(now, a, err)
	}
	return e, err == nil
}

func (k *keeper) refused(now time.Time, a desired.Address, err error) {
	k.fail(now, a.AddressKey, fmt.Errorf("add %v to %s: %w", a.Prefix, a.Interface, err))
	delete(k.links, a.Interface) // it may have been made again
}

// added takes the kernel's answer about an address.
func (k *keeper) added(now time.Time, a desired.Address, e entry, err error) {
	if err != nil {
		k.refused(now, a, err)
		return
	}
	until := time.Time{}
	if e.valid > 0 {
		until = now.Add(e.valid)
	}
	_, held := k.held[a.AddressKey]
	if !held {
		k.promote(a)
		k.table.settle(e, localLimit)
	}
	k.held[a.AddressKey] = holding{Address: a, entry: e, until: until, applied: true}
	k.changed = k.changed || !held
	k.resolve(a.AddressKey)
	k.announce.added(now, k.links[a.Interface], a.AddressKey)
}

// promote sees to it that an address which is the first of its subnet on the interface takes no other along when it goes: neither
// a VIP nor an address of the host itself, which would be gone for good. It stays so, as systemd has it for all interfaces.
func (k *keeper) promote(a desired.Address) {
	l := k.links[a.Interface]
	if a.Prefix.Addr().Is6() || a.Prefix.IsSingleIP() || l.promotes {
		return
	}
	if err := k.table.promote(l.index); err != nil {
		k.log.Warn("promote_secondaries could not be set: a VIP that goes may take other addresses of its subnet along", "interface", a.Interface, "error", err)
		return
	}
	l.promotes = true
	k.links[a.Interface] = l
	k.log.Info("promote_secondaries was set, so that a VIP that goes takes no other address of its subnet along", "interface", a.Interface)
}

// tooLate leaves an address to the next renewal, since nothing is left of its lease. One that the kernel would keep for ever,
// because somebody has made it so, is removed.
func (k *keeper) tooLate(now time.Time, key desired.AddressKey) {
	k.resolve(key)
	if h, held := k.held[key]; held && h.valid == 0 {
		k.remove(now, key)
	}
}

// clear makes room for an address: the kernel can change neither the label nor the scope of one that is there.
func (k *keeper) clear(key desired.AddressKey, e entry) error {
	h, held := k.held[key]
	if !held || e.prefix.Addr().Is6() || h.label == e.label && h.scope == e.scope {
		return nil
	}
	k.forget(key)
	if err := k.table.remove(h.entry); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// forget drops what is no longer there.
func (k *keeper) forget(key desired.AddressKey) {
	delete(k.held, key)
	k.announce.lost(key)
}

// lapsed tells whether the kernel has, or may have, removed the address because its lease has run out.
func (h holding) lapsed(now time.Time) bool {
	return !h.until.IsZero() && !now.Before(h.until.Add(-lapseSlack))
}

// lifetime is what is left of the lease, in the kernel's whole seconds; 0 for ever. It is not ok where nothing is left.
func lifetime(now time.Time, a desired.Address) (valid time.Duration, ok bool) {
	if a.Lease == 0 {
		return 0, true
	}
	left := a.Renewed.Add(a.Lease).Sub(now)
	valid = min(left+leaseSlack, a.Lease).Truncate(time.Second)
	return valid, valid > 0
}

// entry is the address in the kernel's terms.
func (k *keeper) entry(a desired.Address, valid time.Duration) (entry, error) {
	if reason := k.virtual.failed[a.Interface]; reason != "" {
		return entry{}, errors.New(reason)
	}
	l, known := k.links[a.Interface]
	if !known {
		var err error
		if l, err = k.table.link(a.Interface); err != nil {
			return entry{}, err
		}
		k.links[a.Interface] = l
	}
	scope, err := parseScope(a.Scope)
	e := entry{index: l.index, prefix: a.Prefix, scope: scope, mark: mark, valid: valid}
	if a.Prefix.Addr().Is4() {
		e.label = cmp.Or(a.Label, a.Interface) // the kernel's default
	}
	return e, err
}

func parseScope(s string) (uint8, error) {
	switch s {
	case "", "global":
		return unix.RT_SCOPE_UNIVERSE, nil
	case "site":
		return unix.RT_SCOPE_SITE, nil
	case "link":
		return unix.RT_SCOPE_LINK, nil
	case "host":
		return unix.RT_SCOPE_HOST, nil
	}
	n, err := strconv.ParseUint(s, 0, 8)
	if err != nil {
		return 0, errScope
	}
	return uint8(n), nil
}

// remove takes one address off its interface. One that is gone already is removed.
func (k *keeper) remove(now time.Time, key desired.AddressKey) {
	err := k.table.remove(k.held[key].entry)
	if err != nil && !isGone(err) {
		err = fmt.Errorf("remove %v from %s: %w", key.Prefix, key.Interface, err)
		if k.failed[key] == nil {
			k.log.Error("an address that is given up is still held; it is tried again", "error", err)
		}
		k.fail(now, key, err)
		return
	}
	k.forget(key)
	k.resolve(key)
	k.changed = true
}

// isGone tells that there was nothing to remove: no such address, or no such interface.
func isGone(err error) bool { return errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) }

func (k *keeper) fail(now time.Time, key desired.AddressKey, err error) {
	f := k.failed[key]
	if f == nil {
		f = &failure{}
		k.failed[key] = f
	}
	k.changed = k.changed || f.text != err.Error()
	f.text = err.Error()
	f.delay = min(max(2*f.delay, retryFirst), retryMost)
	f.retryAt = now.Add(f.delay)
}
