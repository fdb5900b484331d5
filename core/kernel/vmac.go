package kernel

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// vmacMark begins the alias (ip-link(8)) of an interface that this project has made. The rest of the alias says what the parent's
// settings were before, so that a later run can restore them as well.
const vmacMark = "vipward "

// vmacRetry is when an interface that could not be made is tried again.
const vmacRetry = time.Second

var errForeign = errors.New("there is one of that name that vipward has not made; remove it, or set vmac_interface to another name")

// virtual keeps the interfaces of virtual MAC addresses. It belongs to the goroutine of its keeper.
type virtual struct {
	table *rtnl
	log   *slog.Logger

	want    map[string]desired.VMAC
	made    map[string]desired.VMAC // as they were applied
	ours    map[string]link         // those in the kernel that bear the mark, as of the last look or change
	failed  map[string]string       // why one could not be made
	retryAt time.Time               // zero for nothing to try again
}

func newVirtual(t *rtnl, log *slog.Logger) *virtual {
	return &virtual{table: t, log: log, made: map[string]desired.VMAC{}, ours: map[string]link{}, failed: map[string]string{}}
}

func (v *virtual) set(want []desired.VMAC) {
	next := make(map[string]desired.VMAC, len(want))
	for _, w := range want {
		next[w.Name] = w
		if v.want[w.Name] != w {
			delete(v.failed, w.Name) // it is tried at once
		}
	}
	v.want = next
}

// look takes what the kernel has.
func (v *virtual) look(links map[string]link) {
	clear(v.ours)
	for name, l := range links {
		if strings.HasPrefix(l.alias, vmacMark) {
			v.ours[name] = l
		}
	}
	for name, m := range v.made {
		l, there := v.ours[name]
		if there && l.is(m, links[m.Parent].index) && l.raised() == m.Up {
			continue
		}
		delete(v.made, name)
		if _, wanted := v.want[name]; wanted {
			v.log.Warn("the interface of a virtual MAC address is not as it was left; it is put right", "interface", name)
		}
	}
	clear(v.failed)
}

// is tells whether the interface is what is wished, whether up or down.
func (l link) is(w desired.VMAC, parent int) bool {
	return l.macvlan == macvlanBridge && l.parent == parent && string(l.mac) == string(w.MAC[:])
}

// raise makes what is missing, and sets up what is to be up. It comes before the addresses are added.
func (v *virtual) raise(now time.Time) (changed []string) {
	if !v.retryAt.IsZero() && !now.Before(v.retryAt) {
		v.retryAt = time.Time{}
		clear(v.failed)
	}
	for _, name := range slices.Sorted(maps.Keys(v.want)) {
		w := v.want[name]
		m, made := v.made[name]
		if v.failed[name] != "" || made && sameVMAC(m, w) && (m.Up || !w.Up) {
			continue
		}
		changed = append(changed, name)
		if err := v.make(w); err != nil {
			v.fail(now, w, err)
		}
	}
	return changed
}

// sameVMAC compares all but whether they are up.
func sameVMAC(a, b desired.VMAC) bool {
	a.Up = b.Up
	return a == b
}

func (v *virtual) fail(now time.Time, w desired.VMAC, err error) {
	delete(v.made, w.Name)
	v.failed[w.Name] = fmt.Sprintf("make the interface %s of %v on %s: %v", w.Name, net.HardwareAddr(w.MAC[:]), w.Parent, err)
	v.retryAt = earlier(now.Add(vmacRetry), v.retryAt)
	v.log.Error("a virtual MAC address cannot be had; it is tried again", "error", v.failed[w.Name])
}

// make takes over what is there, or makes it.
func (v *virtual) make(w desired.VMAC) error {
	parent, err := v.table.link(w.Parent)
	if err != nil {
		return err
	}
	if len(parent.mac) == 0 {
		return errors.New("it is not like Ethernet")
	}
	l, err := v.table.link(w.Name)
	switch {
	case errors.Is(err, unix.ENODEV):
	case err != nil:
		return err
	case l.is(w, parent.index): // also where a former run did not come to mark it
	case !strings.HasPrefix(l.alias, vmacMark):
		return errForeign
	default:
		if err := v.table.deleteLink(l.index); err != nil {
			return err
		}
		l = link{}
	}
	if l.index == 0 {
		if err := v.table.addMACVLAN(w.Name, parent.index, w.MAC); err != nil {
			return err
		}
		if l, err = v.table.link(w.Name); err != nil {
			return err
		}
	}
	if err := v.prepare(l, parent); err != nil {
		return err
	}
	if w.Up && !l.raised() {
		if err := v.table.setUp(l.index, true); err != nil {
			return err
		}
	}
	w.Up = w.Up || l.raised()
	v.made[w.Name] = w
	return nil
}

// prepare marks the interface, and sets what it and its parent need.
func (v *virtual) prepare(l, parent link) error {
	before := v.before(parent)
	l.alias = vmacMark + before.String()
	if err := v.table.setAlias(l.index, l.alias); err != nil {
		return fmt.Errorf("mark it: %w", err)
	}
	v.ours[l.name] = l
	if err := v.table.setInet(l.index, ownSettings(allReversePath())); err != nil {
		return fmt.Errorf("set its parameters: %w", err)
	}
	if want := before.needed(); parent.settings != want {
		if err := v.table.setInet(parent.index, want.conf()); err != nil {
			return fmt.Errorf("set arp_ignore and arp_announce of %s: %w", parent.name, err)
		}
	}
	return v.table.quietIPv6(l)
}

// before are the settings that the parent had before the first of its virtual interfaces was made.
func (v *virtual) before(parent link) settings {
	for _, l := range v.ours {
		if s, err := parseSettings(strings.TrimPrefix(l.alias, vmacMark)); err == nil && l.parent == parent.index {
			return s
		}
	}
	return parent.settings
}

// lower sets down what is to be down, and removes what is no longer wished. It comes after the addresses were removed.
func (v *virtual) lower() {
	for _, name := range slices.Sorted(maps.Keys(v.made)) {
		m := v.made[name]
		if w, wanted := v.want[name]; !wanted || w.Up || !m.Up {
			continue
		}
		if err := v.table.setUp(v.ours[name].index, false); err != nil {
			v.log.Error("the interface of a virtual MAC address stays up", "interface", name, "error", err)
			continue
		}
		m.Up = false
		v.made[name] = m
	}
	for _, name := range slices.Sorted(maps.Keys(v.ours)) {
		if _, wanted := v.want[name]; !wanted {
			v.remove(v.ours[name])
		}
	}
}

// remove deletes an interface of ours. The last one of a parent gives it its settings back, where nobody has changed them since.
func (v *virtual) remove(l link) {
	if err := v.table.deleteLink(l.index); err != nil && !errors.Is(err, unix.ENODEV) {
		v.log.Error("the interface of a virtual MAC address could not be removed", "interface", l.name, "error", err)
		return
	}
	delete(v.ours, l.name)
	delete(v.made, l.name)
	for _, other := range v.ours {
		if other.parent == l.parent {
			return
		}
	}
	before, err := parseSettings(strings.TrimPrefix(l.alias, vmacMark))
	if err != nil {
		return // somebody has written something else
	}
	parent, err := v.table.linkAt(l.parent)
	if err == nil && parent.settings == before.needed() && before != before.needed() {
		err = v.table.setInet(parent.index, before.conf())
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		v.log.Warn("arp_ignore and arp_announce were not restored", "interface", parent.name, "want", before.String(), "error", err)
	}
}
