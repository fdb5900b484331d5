package kernel

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// rig is an applier at work on a fake kernel, in virtual time.
type rig struct {
	*testing.T
	*fakeKernel
	*Addresses
	reports []node.Applied
}

// drive runs f with an applier in a bubble of virtual time.
func drive(t *testing.T, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, fakeKernel: newFakeKernel("eth0", "eth1")}
		r.Addresses = newAddresses(
			AddressOptions{Logger: quiet(), Report: func(a node.Applied) { r.by(func() { r.reports = append(r.reports, a) }) }},
			r.fakeKernel, r.fakeKernel,
		)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Addresses.Run(ctx) }()
		f(r)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// wish sets addresses, and waits until everything at this instant is done. Those with a lease are confirmed now.
func (r *rig) wish(want ...desired.Address) {
	for i := range want {
		if want[i].Lease > 0 {
			want[i].Renewed = time.Now()
		}
	}
	r.Set(&desired.State{Addresses: want})
	synctest.Wait()
}

// after lets time pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) holds(want string) {
	r.Helper()
	if got := r.has(); got != want {
		r.Errorf("the kernel holds %q, want %q", got, want)
	}
}

// forget empties the trace and the reports.
func (r *rig) forget() { r.by(func() { r.trace, r.reports = nil, nil }) }

// reported compares the last report, and forgets all of them.
func (r *rig) reported(failed, repaired string) {
	r.Helper()
	if len(r.reports) == 0 {
		r.Errorf("nothing was reported, want failed %q, repaired %q", failed, repaired)
		return
	}
	last := r.reports[len(r.reports)-1]
	r.by(func() { r.reports = nil })
	var f, p []string
	for k, reason := range maps.All(last.Failed) {
		f = append(f, k.Interface+" "+k.Prefix.String()+": "+reason)
	}
	for _, k := range last.Repaired {
		p = append(p, k.Interface+" "+k.Prefix.String())
	}
	if got := strings.Join(f, ", "); got != failed {
		r.Errorf("reported as failed: %q, want %q", got, failed)
	}
	if got := strings.Join(p, ", "); got != repaired {
		r.Errorf("reported as repaired: %q, want %q", got, repaired)
	}
}

func (r *rig) reportedNothing() {
	r.Helper()
	if len(r.reports) > 0 {
		r.Errorf("reported %+v, want nothing", r.reports)
	}
}

func address(iface, prefix string) desired.Address {
	return desired.Address{AddressKey: key(iface, prefix)}
}

func leased(iface, prefix string, d time.Duration) desired.Address {
	a := address(iface, prefix)
	a.Lease = d
	return a
}

func TestLifetime(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name  string
		lease time.Duration
		late  time.Duration // since the lease was confirmed
		want  time.Duration
		ok    bool
	}{
		{"no lease lasts for ever", 0, time.Hour, 0, true},
		{"at once, all of it", 3 * time.Second, 0, 3 * time.Second, true},
		{"100 ms late, all of it", 3 * time.Second, 100 * time.Millisecond, 3 * time.Second, true},
		{"later, whole seconds of what is left", 3 * time.Second, 101 * time.Millisecond, 2 * time.Second, true},
		{"1.5 s late", 3 * time.Second, 1500 * time.Millisecond, time.Second, true},
		{"too late", 3 * time.Second, 2101 * time.Millisecond, 0, false},
		{"long over", time.Second, time.Hour, 0, false},
		{"confirmed in the future: never more than the lease", 2 * time.Second, -time.Hour, 2 * time.Second, true},
	} {
		got, ok := lifetime(now, desired.Address{Lease: c.lease, Renewed: now.Add(-c.late)})
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: lifetime = %v, %v, want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestAddressesAddsBeforeItRemoves(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(address("eth0", "10.0.0.1/24"), leased("eth0", "10.0.0.2/32", 3*time.Second))
		r.expect(r.T, `
			0s list
			0s add 10.0.0.1/24 to eth0 for 0s
			0s add 10.0.0.2/32 to eth0 for 3s`)
		r.reported("", "")
		r.wish(address("eth1", "10.0.0.1/24"), leased("eth0", "10.0.0.2/32", 3*time.Second))
		r.expect(r.T, `
			0s add 10.0.0.1/24 to eth1 for 0s
			0s remove 10.0.0.1/24 from eth0`)
		r.holds("eth0 10.0.0.2/32, eth1 10.0.0.1/24")
		r.reported("", "")
	})
}

func TestAddressesRenewsWithOneRequest(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(leased("eth0", "10.0.0.1/24", time.Second), leased("eth0", "10.0.0.2/24", 0))
		r.expect(r.T, `
			0s list
			0s add 10.0.0.1/24 to eth0 for 1s
			0s add 10.0.0.2/24 to eth0 for 0s`)
		r.forget()
		r.after(500 * time.Millisecond)
		r.wish(leased("eth0", "10.0.0.1/24", time.Second), leased("eth0", "10.0.0.2/24", 0))
		r.expect(r.T, "500ms add 10.0.0.1/24 to eth0 for 1s")
		r.after(900 * time.Millisecond)
		r.holds("eth0 10.0.0.1/24, eth0 10.0.0.2/24")
		r.reportedNothing()
	})
}

func TestAddressesThatLapsedComeBackWithTheNextRenewalOnly(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(leased("eth0", "10.0.0.1/24", time.Second))
		r.forget()
		r.after(1100 * time.Millisecond)
		r.Drift()
		r.after(50 * time.Millisecond)
		r.holds("")
		r.reportedNothing() // nobody took it
		r.wish(leased("eth0", "10.0.0.1/24", time.Second))
		r.holds("eth0 10.0.0.1/24")
	})
}

func TestAddressesPutsBackWhatSomebodyRemoved(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(leased("eth0", "10.0.0.1/24", 5*time.Second), address("eth0", "10.0.0.2/24"))
		r.after(time.Second)
		r.forget()
		r.by(func() { r.addresses = nil })
		r.Drift()
		synctest.Wait()
		r.holds("eth0 10.0.0.1/24, eth0 10.0.0.2/24")
		r.reported("", "eth0 10.0.0.1/24, eth0 10.0.0.2/24")
		r.after(4 * time.Second)
		r.holds("eth0 10.0.0.2/24") // putting back does not make a lease longer
	})
}

func TestAddressesNoticesDriftWithoutNotification(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(address("eth0", "10.0.0.1/24"))
		r.by(func() { r.addresses = nil })
		r.after(lookEvery)
		r.holds("eth0 10.0.0.1/24")
	})
}

func TestAddressesUndoesWhatSomebodyChanged(t *testing.T) {
	for name, change := range map[string]func(*fakeAddress){
		"the lease was made endless": func(a *fakeAddress) { a.valid, a.ends = 0, time.Time{} },
		"the mark was taken away":    func(a *fakeAddress) { a.mark = 0 },
		"the label was changed":      func(a *fakeAddress) { a.label = "eth0:other" },
	} {
		t.Run(name, func(t *testing.T) {
			drive(t, func(r *rig) {
				r.wish(leased("eth0", "10.0.0.1/24", 5*time.Second))
				r.Drift() // from our own addition: shows that the kernel keeps marks
				r.after(time.Second)
				r.forget()
				r.by(func() { change(&r.addresses[0]) })
				r.Drift()
				synctest.Wait()
				r.reported("", "eth0 10.0.0.1/24")
				if a := r.addresses[0]; a.valid == 0 || a.mark != mark || a.label != "eth0" {
					t.Errorf("it is %+v", a)
				}
			})
		})
	}
}

func TestAddressMadeEndlessIsRemovedWhenItsLeaseIsOver(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(leased("eth0", "10.0.0.1/24", 5*time.Second))
		r.by(func() { r.addresses[0].valid, r.addresses[0].ends = 0, time.Time{} })
		r.after(6 * time.Second)
		r.Drift()
		synctest.Wait()
		r.holds("")
	})
}

func TestAddressesLooksAtMostEvery20Milliseconds(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(address("eth0", "10.0.0.1/24"))
		r.after(time.Second)
		r.forget()
		for range 30 {
			r.Drift()
			r.after(time.Millisecond)
		}
		r.expect(r.T, "1s list \n 1.02s list")
	})
}

func TestAddressesReportsFailuresAndTriesAgain(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(address("eth9", "10.0.0.1/24"))
		r.reported("eth9 10.0.0.1/24: add 10.0.0.1/24 to eth9: find interface eth9: no such device", "")
		r.after(time.Second)
		r.reportedNothing() // the same reason is told once
		r.by(func() { r.plug("eth9") })
		r.forget()
		r.after(time.Second)
		r.expect(r.T, "1.5s add 10.0.0.1/24 to eth9 for 0s") // 100, 300, 700 ms had failed
		r.reported("", "")
	})
}

func TestAddressesForgetsFailuresOfWhatIsNoLongerWished(t *testing.T) {
	drive(t, func(r *rig) {
		r.by(func() { r.refuse = unix.ENOMEM })
		r.wish(leased("eth0", "10.0.0.1/24", time.Second))
		r.reported("eth0 10.0.0.1/24: add 10.0.0.1/24 to eth0: cannot allocate memory", "")
		r.wish()
		r.reported("", "")
		r.forget()
		r.after(10 * time.Second)
		r.expect(r.T, "")
	})
}

func TestAddressThatCannotBeRemovedIsTriedAgain(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(address("eth0", "10.0.0.1/24"))
		r.by(func() { r.keep = unix.EPERM })
		r.wish()
		r.reported("", "") // it is not wished for, so the node need not know
		r.wish(address("eth0", "10.0.0.1/24"))
		r.forget()
		r.after(lookEvery)
		r.expect(r.T, "30s list") // it is there, and nothing is left to do
		r.wish()
		r.by(func() { r.keep = nil })
		r.after(retryFirst)
		r.holds("")
	})
}

func TestAddressesGivesUpFailedLeaseThatHasRunOut(t *testing.T) {
	drive(t, func(r *rig) {
		r.by(func() { r.refuse = unix.ENOMEM })
		r.wish(leased("eth0", "10.0.0.1/24", time.Second))
		r.after(20 * time.Second)
		r.reported("", "") // until it is renewed, there is nothing to add
		if len(r.trace) > 10 {
			r.Errorf("the kernel was asked %d times in 20 s", len(r.trace))
		}
	})
}

func TestAddressesMadeAgainInterfaceGetsItsAddressBack(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(address("eth1", "10.0.0.1/24"))
		r.by(func() { r.plugged[1].index, r.addresses = 7, nil })
		r.Drift()
		r.after(lookGap)
		r.holds("eth1 10.0.0.1/24")
	})
}

func TestAddressesRemovesWhatFormerRunLeftAndNothingElse(t *testing.T) {
	drive(t, func(r *rig) {
		for _, e := range []entry{
			{index: 1, prefix: netip.MustParsePrefix("10.0.0.1/24"), label: "eth0", mark: mark},
			{index: 1, prefix: netip.MustParsePrefix("10.0.0.2/24"), label: "eth0", mark: mark, valid: time.Minute},
			{index: 1, prefix: netip.MustParsePrefix("10.0.0.3/24"), label: "eth0"},
			{index: 1, prefix: netip.MustParsePrefix("10.0.0.4/24"), label: "eth0", valid: time.Hour, mark: 2},
			{index: 1, prefix: netip.MustParsePrefix("10.0.0.5/24"), label: "eth0", mark: mark},
		} {
			r.by(func() { r.addresses = append(r.addresses, fakeAddress{entry: e}) })
		}
		held, _, err := r.Held()
		if err != nil || len(held) != 3 {
			t.Errorf("Held = %v, %v, want the three with the mark", held, err)
		}
		r.forget()
		r.after(time.Minute)
		r.expect(t, "") // nothing is touched before the first wish
		r.wish(leased("eth0", "10.0.0.1/24", 3*time.Second))
		r.expect(t, `
			1m0s list
			1m0s add 10.0.0.1/24 to eth0 for 3s
			1m0s remove 10.0.0.2/24 from eth0
			1m0s remove 10.0.0.5/24 from eth0`)
	})
}

func TestTheAgeOfAnAddress(t *testing.T) {
	for _, c := range []struct {
		renewed uint32
		now     time.Duration
		want    time.Duration
	}{
		{100, 3 * time.Second, 2 * time.Second},
		{300, 3 * time.Second, 0},
		{301, 3 * time.Second, 0}, // its clock may be a tick ahead
		{1<<32 - 50, 1<<32*10*time.Millisecond + 500*time.Millisecond, time.Second},
	} {
		if got := (entry{renewed: c.renewed}).age(c.now); got != c.want {
			t.Errorf("renewed at %d, the age at %v is %v, want %v", c.renewed, c.now, got, c.want)
		}
	}
}

func TestAddressesThatAreKeptStayAsTheyAre(t *testing.T) {
	drive(t, func(r *rig) {
		r.by(func() {
			r.addresses = append(r.addresses, fakeAddress{entry: entry{index: 1, prefix: netip.MustParsePrefix("10.0.0.1/24"), label: "eth0", mark: mark}})
		})
		r.Set(&desired.State{Kept: []desired.AddressKey{key("eth0", "10.0.0.1/24")}})
		synctest.Wait()
		r.expect(t, "0s list")
		r.forget()
		r.wish()
		r.expect(t, "0s remove 10.0.0.1/24 from eth0")
	})
}

func TestAddressesChangesLabelByRemovingFirst(t *testing.T) {
	drive(t, func(r *rig) {
		r.wish(address("eth0", "10.0.0.1/24"))
		a := address("eth0", "10.0.0.1/24")
		a.Label = "eth0:0"
		r.forget()
		r.wish(a)
		r.expect(r.T, "0s remove 10.0.0.1/24 from eth0 \n 0s add 10.0.0.1/24 to eth0:0 for 0s")
	})
}

func TestAddressesOnKernelsWithoutMarks(t *testing.T) {
	drive(t, func(r *rig) {
		r.by(func() { r.noMarks = true })
		r.wish(leased("eth0", "10.0.0.1/24", time.Minute))
		r.forget()
		r.after(lookEvery)
		r.reportedNothing() // that the mark is missing is nobody's change
		held, _, err := r.Held()
		if err != nil || len(held) != 1 {
			t.Errorf("Held = %v, %v, want the leased one", held, err)
		}
		r.wish()
		r.holds("")
	})
}

func TestAddressesSurvivesFailedListing(t *testing.T) {
	drive(t, func(r *rig) {
		r.by(func() { r.failLists = 1 })
		r.wish(address("eth0", "10.0.0.1/24"))
		r.after(time.Second)
		r.expect(r.T, `
			0s list
			0s add 10.0.0.1/24 to eth0 for 0s
			100ms list`)
	})
}

func TestAddressesRefusesUnknownScope(t *testing.T) {
	drive(t, func(r *rig) {
		a := address("eth0", "10.0.0.1/24")
		a.Scope = "planet"
		r.wish(a)
		r.reported("eth0 10.0.0.1/24: add 10.0.0.1/24 to eth0: "+errScope.Error(), "")
	})
}

func TestWaitReturnsWhenTheLatestWishWasTried(t *testing.T) {
	drive(t, func(r *rig) {
		r.Set(&desired.State{Addresses: []desired.Address{address("eth0", "10.0.0.1/24")}})
		r.Set(&desired.State{})
		if err := r.Wait(r.Context()); err != nil {
			t.Error(err)
		}
		r.expect(t, "0s list") // the first wish was overtaken
	})
	synctest.Test(t, func(t *testing.T) {
		a := newAddresses(AddressOptions{}, nil, nil) // nobody runs it
		a.Set(&desired.State{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want the end of its context", err)
		}
	})
}
