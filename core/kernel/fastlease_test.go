package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/desired"
)

// fakeLeases notes what is asked of it, and fails as it is told.
type fakeLeases struct {
	trace    []string
	fail     error // of each replacement that is not one by nothing
	refuse   error // of renewals
	damaged  bool
	leftOver bool
}

func (f *fakeLeases) replace(all []lease) error {
	f.trace = append(f.trace, fmt.Sprint("replace ", all))
	if len(all) == 0 {
		return nil
	}
	return f.fail
}

func (f *fakeLeases) renew(all []lease) error {
	f.trace = append(f.trace, fmt.Sprint("renew ", all))
	return f.refuse
}

func (f *fakeLeases) intact(int) bool { return !f.damaged }
func (f *fakeLeases) any() bool       { return f.leftOver }

// leasing drives a keeper in virtual time.
type leasing struct {
	*testing.T
	fakeLeases
	fastKeeper
}

func withLeases(t *testing.T, f func(l *leasing)) {
	synctest.Test(t, func(t *testing.T) {
		l := &leasing{T: t}
		l.fastKeeper = fastKeeper{table: &l.fakeLeases, log: quiet()}
		f(l)
	})
}

func confirmed(addr string, ago time.Duration) desired.FastLease {
	return desired.FastLease{Address: netip.MustParseAddr(addr), For: 280 * time.Millisecond, Renewed: time.Now().Add(-ago)}
}

func (l *leasing) wish(first bool, want ...desired.FastLease) {
	l.set(time.Now(), want, first)
}

func (l *leasing) expect(want ...string) {
	l.Helper()
	if got := strings.Join(l.trace, "; "); got != strings.Join(want, "; ") {
		l.Errorf("it did %q, want %q", got, want)
	}
	l.trace = nil
}

func TestAFastLeaseIsRenewedForWhatIsLeftOfIt(t *testing.T) {
	withLeases(t, func(l *leasing) {
		l.wish(true)
		l.expect() // nothing is touched for nothing
		l.wish(false, confirmed("10.0.0.1", 0))
		l.expect("replace [10.0.0.1 for 280ms]")
		time.Sleep(100 * time.Millisecond)
		same := confirmed("10.0.0.1", 3*time.Millisecond)
		l.wish(false, same)
		l.expect("renew [10.0.0.1 for 277ms]") // however late it is applied
		l.wish(false, same)
		l.expect()
		l.wish(false, same, confirmed("10.0.0.2", 0))
		l.expect("replace [10.0.0.1 for 277ms 10.0.0.2 for 280ms]")
		l.wish(false, same)
		l.expect("replace [10.0.0.1 for 277ms]")
		l.wish(false)
		l.expect("replace []")
	})
}

func TestWhatCannotBeRenewedIsMadeAnew(t *testing.T) {
	withLeases(t, func(l *leasing) {
		l.wish(true, confirmed("10.0.0.1", 0))
		l.expect("replace [10.0.0.1 for 280ms]")
		time.Sleep(300 * time.Millisecond) // the kernel has ended it
		l.wish(false, confirmed("10.0.0.1", 0))
		l.expect("replace [10.0.0.1 for 280ms]")
		l.wish(false, confirmed("10.0.0.1", 290*time.Millisecond)) // what has confirmed it could not be sent
		l.expect("replace [10.0.0.1 for 0s]")
		l.wish(false, confirmed("10.0.0.1", 0))
		l.expect("replace [10.0.0.1 for 280ms]")
		l.refuse = errors.New("no such table")
		time.Sleep(time.Millisecond)
		l.wish(false, confirmed("10.0.0.1", 0))
		l.expect("renew [10.0.0.1 for 280ms]", "replace [10.0.0.1 for 280ms]")
		l.look(time.Now())
		l.expect()
		l.damaged = true
		l.look(time.Now())
		l.expect("replace [10.0.0.1 for 280ms]")
	})
}

// A VIP is never dropped because its lease cannot be had: what there was goes.
func TestWhereThereAreNoFastLeasesNothingIsDropped(t *testing.T) {
	withLeases(t, func(l *leasing) {
		l.leftOver, l.fail = true, errors.New("operation not supported")
		l.wish(true, confirmed("10.0.0.1", 0))
		l.expect("replace [10.0.0.1 for 280ms]", "replace []")
		if l.failed != "operation not supported" {
			t.Errorf("it says %q", l.failed)
		}
		time.Sleep(100 * time.Millisecond)
		l.wish(false, confirmed("10.0.0.1", 0))
		l.expect() // it is not tried with each advert
		l.fail = nil
		time.Sleep(fastLook)
		l.look(time.Now())
		l.expect("replace [10.0.0.1 for 0s]")
		if l.failed != "" {
			t.Errorf("it still says %q", l.failed)
		}
	})
}
