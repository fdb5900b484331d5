package kernel

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// fakeKernel is a table of addresses in memory that behaves as Linux does: lifetimes end by the clock, a label cannot be
// changed, what is not there cannot be removed. It writes down what is asked of it, with the time since it was made.
type fakeKernel struct {
	mu        sync.Mutex
	start     time.Time
	plugged   []link
	addresses []fakeAddress
	noMarks   bool  // as kernels before 5.18
	failLists int   // so many listings fail
	refuse    error // to add
	keep      error // refuse to remove
	trace     []string
}

type fakeAddress struct {
	entry
	ends time.Time // zero for never
}

func newFakeKernel(names ...string) *fakeKernel {
	k := &fakeKernel{start: time.Now()}
	for _, name := range names {
		k.plug(name)
	}
	return k
}

// plug makes an interface.
func (k *fakeKernel) plug(name string) {
	n := byte(len(k.plugged) + 1)
	k.plugged = append(k.plugged, link{name: name, index: int(n), flags: unix.IFF_UP, mac: net.HardwareAddr{2, 0, 0, 0, 0, n}})
}

func (k *fakeKernel) note(format string, args ...any) {
	at := time.Since(k.start).Round(time.Millisecond)
	k.trace = append(k.trace, fmt.Sprintf("%6v ", at)+fmt.Sprintf(format, args...))
}

func (k *fakeKernel) expire() {
	k.addresses = slices.DeleteFunc(k.addresses, func(a fakeAddress) bool { return !a.ends.IsZero() && !time.Now().Before(a.ends) })
}

func (k *fakeKernel) find(p place) int {
	return slices.IndexFunc(k.addresses, func(a fakeAddress) bool { return a.place() == p })
}

func (k *fakeKernel) name(index int) string {
	for _, l := range k.plugged {
		if l.index == index {
			return l.name
		}
	}
	return ""
}

func (k *fakeKernel) link(name string) (link, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.plugged {
		if l.name == name {
			return l, nil
		}
	}
	return link{}, fmt.Errorf("find interface %s: %w", name, unix.ENODEV)
}

func (k *fakeKernel) links() ([]link, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.plugged), nil
}

func (k *fakeKernel) list() ([]entry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	k.note("list")
	if k.failLists > 0 {
		k.failLists--
		return nil, unix.ENOBUFS
	}
	var all []entry
	for _, a := range k.addresses {
		all = append(all, a.entry)
	}
	return all, nil
}

func (k *fakeKernel) replace(all []entry) []error {
	errs := make([]error, len(all))
	for n, e := range all {
		errs[n] = k.add(e)
	}
	return errs
}

func (k *fakeKernel) add(e entry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	k.note("add %v to %s for %v", e.prefix, e.label, e.valid)
	if k.refuse != nil {
		return k.refuse
	}
	if k.name(e.index) == "" {
		return unix.ENODEV
	}
	if k.noMarks {
		e.mark = 0
	}
	a := fakeAddress{entry: e}
	if e.valid > 0 {
		a.ends = time.Now().Add(e.valid)
	}
	if i := k.find(e.place()); i >= 0 {
		a.label, a.scope = k.addresses[i].label, k.addresses[i].scope
		k.addresses[i] = a
		return nil
	}
	k.addresses = append(k.addresses, a)
	return nil
}

func (k *fakeKernel) settle(entry, time.Duration) {}

func (k *fakeKernel) promote(int) error { return nil }

func (k *fakeKernel) remove(e entry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	k.note("remove %v from %s", e.prefix, k.name(e.index))
	if k.keep != nil {
		return k.keep
	}
	i := k.find(e.place())
	if i < 0 {
		return unix.EADDRNOTAVAIL
	}
	k.addresses = slices.Delete(k.addresses, i, i+1)
	return nil
}

// send takes a frame; only the last byte of the address that it announces is written down.
func (k *fakeKernel) send(index int, frame []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note("announce .%d on %s", frame[31], k.name(index))
	return nil
}

// has lists the addresses that are there now.
func (k *fakeKernel) has() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	var all []string
	for _, a := range k.addresses {
		all = append(all, fmt.Sprintf("%s %v", a.label, a.prefix))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// by is somebody else who changes the table.
func (k *fakeKernel) by(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// expect compares what was asked since the last call with one line for each request.
func (k *fakeKernel) expect(t *testing.T, want string) {
	t.Helper()
	k.mu.Lock()
	got := k.trace
	k.trace = nil
	k.mu.Unlock()
	var lines []string
	for l := range strings.Lines(want) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	if !slices.Equal(got, lines) {
		t.Errorf("the kernel was asked:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func key(iface, prefix string) desired.AddressKey {
	return desired.AddressKey{Interface: iface, Prefix: netip.MustParsePrefix(prefix)}
}
