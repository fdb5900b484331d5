package kernel

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// announced wishes one address with its announcement.
func (r *rig) announced(epoch uint64, g desired.Garp) {
	k := key("eth0", "10.0.0.1/24")
	r.Set(&desired.State{Addresses: []desired.Address{{AddressKey: k}}, Announcements: []desired.Announcement{{AddressKey: k, Epoch: epoch, Garp: g}}})
	synctest.Wait()
}

func TestBurstIsSpreadAndRepeatedAfterTheDelay(t *testing.T) {
	drive(t, func(r *rig) {
		r.announced(1, desired.Garp{Delay: 5 * time.Second, Repeat: 5, RefreshRepeat: 1})
		r.after(20 * time.Second)
		r.expect(t, `
			0s list
			0s add 10.0.0.1/24 to eth0 for 0s
			0s announce .1 on eth0
			0s announce .1 on eth0
			20ms announce .1 on eth0
			100ms announce .1 on eth0
			400ms announce .1 on eth0
			5s announce .1 on eth0
			5s announce .1 on eth0
			5.02s announce .1 on eth0
			5.1s announce .1 on eth0
			5.4s announce .1 on eth0`)
		if sent, failed := r.Announced(); sent != 10 || failed != 0 {
			t.Errorf("counted %d sent and %d failed, want 10 and 0", sent, failed)
		}
	})
}

func TestBurstKeepsItsIntervalAndIsRefreshed(t *testing.T) {
	drive(t, func(r *rig) {
		r.announced(1, desired.Garp{Repeat: 3, Interval: 50 * time.Millisecond, Refresh: 10 * time.Second, RefreshRepeat: 2})
		r.after(21 * time.Second)
		r.expect(t, `
			0s list
			0s add 10.0.0.1/24 to eth0 for 0s
			0s announce .1 on eth0
			50ms announce .1 on eth0
			100ms announce .1 on eth0
			10s announce .1 on eth0
			10.05s announce .1 on eth0
			20s announce .1 on eth0
			20.05s announce .1 on eth0`)
	})
}

func TestNewEpochBeginsNewBurstAndTheSameOneNone(t *testing.T) {
	drive(t, func(r *rig) {
		g := desired.Garp{Repeat: 1}
		r.announced(1, g)
		r.forget()
		r.announced(1, g)
		r.expect(t, "")
		r.announced(2, g)
		r.expect(t, "0s announce .1 on eth0")
	})
}

func TestRenewalIsNotAnnounced(t *testing.T) {
	drive(t, func(r *rig) {
		a := leased("eth0", "10.0.0.1/24", time.Second)
		for range 2 {
			a.Renewed = time.Now()
			r.Set(&desired.State{Addresses: []desired.Address{a}, Announcements: []desired.Announcement{{AddressKey: a.AddressKey, Epoch: 1, Garp: desired.Garp{Repeat: 1}}}})
			r.after(250 * time.Millisecond)
		}
		r.expect(t, `
			0s list
			0s add 10.0.0.1/24 to eth0 for 1s
			0s announce .1 on eth0
			250ms add 10.0.0.1/24 to eth0 for 1s`)
	})
}

func TestGivingUpCancelsTheRestOfTheBurst(t *testing.T) {
	drive(t, func(r *rig) {
		r.announced(1, desired.Garp{Repeat: 5, Delay: time.Second, Refresh: time.Second, RefreshRepeat: 1})
		r.after(50 * time.Millisecond)
		r.forget()
		r.wish()
		r.after(10 * time.Second)
		r.expect(t, "50ms remove 10.0.0.1/24 from eth0")
	})
}

func TestAddressThatCouldNotBeAddedIsAnnouncedOnlyWhenItCould(t *testing.T) {
	drive(t, func(r *rig) {
		r.by(func() { r.refuse = unix.ENOMEM })
		r.announced(1, desired.Garp{Repeat: 1})
		r.expect(t, "0s list \n 0s add 10.0.0.1/24 to eth0 for 0s")
		r.by(func() { r.refuse = nil })
		r.after(100 * time.Millisecond)
		r.expect(t, "100ms add 10.0.0.1/24 to eth0 for 0s \n 100ms announce .1 on eth0")
	})
}

func TestAddressThatWasGivenUpIsNotAnnouncedBeforeItIsBack(t *testing.T) {
	drive(t, func(r *rig) {
		r.announced(1, desired.Garp{Repeat: 1})
		r.wish()
		r.by(func() { r.refuse = unix.ENOMEM })
		r.forget()
		r.announced(2, desired.Garp{Repeat: 1})
		r.expect(t, "0s add 10.0.0.1/24 to eth0 for 0s")
	})
}

func TestAdoptedAndRepairedAddressesAreAnnounced(t *testing.T) {
	drive(t, func(r *rig) {
		e := entry{index: 1, prefix: netip.MustParsePrefix("10.0.0.1/24"), label: "eth0", mark: mark}
		r.by(func() { r.addresses = []fakeAddress{{entry: e}} })
		r.announced(1, desired.Garp{Repeat: 1})
		r.after(time.Second)
		r.by(func() { r.addresses = nil })
		r.Drift()
		r.after(time.Second)
		r.expect(t, `
			0s list
			0s add 10.0.0.1/24 to eth0 for 0s
			0s announce .1 on eth0
			1s list
			1s add 10.0.0.1/24 to eth0 for 0s
			1s announce .1 on eth0`)
	})
}

func TestInterfacesWithoutARPAreSpared(t *testing.T) {
	drive(t, func(r *rig) {
		r.by(func() { r.plugged[0].flags |= unix.IFF_NOARP })
		r.announced(1, desired.Garp{Repeat: 5})
		r.expect(t, "0s list \n 0s add 10.0.0.1/24 to eth0 for 0s")
	})
}

// TestManyAnnouncementsDoNotDelayTheMailbox makes a thousand bursts due at once and gives everything up in their midst.
func TestManyAnnouncementsDoNotDelayTheMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		a := newAnnouncer(func(link, []byte) error { sent++; return nil })
		var want []desired.Announcement
		for i := range 1000 {
			k := desired.AddressKey{Interface: "eth0", Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)}
			want = append(want, desired.Announcement{AddressKey: k, Garp: desired.Garp{Repeat: 1}})
			a.added(time.Now(), link{mac: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, k)
		}
		a.set(time.Now(), want)
		a.run(time.Now(), announceAtOnce)
		if sent != announceAtOnce {
			t.Errorf("%d frames went out in one turn, want %d", sent, announceAtOnce)
		}
		if !a.next().Equal(time.Now()) {
			t.Error("the rest is not due at once")
		}
	})
}

// Two addresses of one interface share its interval, and each is told before any is repeated.
func TestIntervalHoldsForTheWholeInterface(t *testing.T) {
	drive(t, func(r *rig) {
		var s desired.State
		for _, p := range []string{"10.0.0.1/32", "10.0.0.2/32"} {
			s.Addresses = append(s.Addresses, address("eth0", p))
			s.Announcements = append(s.Announcements, desired.Announcement{
				AddressKey: key("eth0", p), Epoch: 1, Garp: desired.Garp{Repeat: 2, Interval: 50 * time.Millisecond},
			})
		}
		s.Addresses = append(s.Addresses, address("eth1", "10.0.0.3/32"))
		s.Announcements = append(s.Announcements, desired.Announcement{
			AddressKey: key("eth1", "10.0.0.3/32"), Epoch: 1, Garp: desired.Garp{Repeat: 1, Interval: 50 * time.Millisecond},
		})
		r.Set(&s)
		r.after(time.Second)
		r.expect(t, `
			0s list
			0s add 10.0.0.1/32 to eth0 for 0s
			0s add 10.0.0.2/32 to eth0 for 0s
			0s add 10.0.0.3/32 to eth1 for 0s
			0s announce .1 on eth0
			0s announce .3 on eth1
			50ms announce .2 on eth0
			100ms announce .1 on eth0
			150ms announce .2 on eth0`)
	})
}
