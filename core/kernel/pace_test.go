package kernel

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
)

// outgoing is an announcer whose clock is in the hands of the test.
type outgoing struct {
	*announcer
	now    time.Time
	began  time.Time
	frames []sentFrame
}

// sentFrame is what went out when.
type sentFrame struct {
	at    time.Duration
	link  string
	frame string
}

func newOutgoing() *outgoing {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := &outgoing{now: began, began: began}
	o.announcer = newAnnouncer(func(l link, frame []byte) error {
		o.frames = append(o.frames, sentFrame{o.now.Sub(began), l.name, hex.EncodeToString(frame)})
		return nil
	})
	return o
}

// take has so many addresses of an interface wished and held, all at once.
func (o *outgoing) take(n int, name string, g desired.Garp) {
	var want []desired.Announcement
	for key, b := range o.bursts {
		want = append(want, desired.Announcement{AddressKey: key, Epoch: b.want.Epoch, Garp: b.want.Garp})
	}
	var keys []desired.AddressKey
	for i := range n {
		k := desired.AddressKey{Interface: name, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, name[len(name)-1], byte(i >> 8), byte(i)}), 32)}
		keys, want = append(keys, k), append(want, desired.Announcement{AddressKey: k, Epoch: 1, Garp: g})
	}
	o.set(o.now, want)
	for _, k := range keys {
		o.added(o.now, link{name: name, mac: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, k)
	}
}

// play works off what is due until a time, as the loop of the addresses does.
func (o *outgoing) play(until time.Duration) {
	for turns := 0; ; turns++ {
		o.run(o.now, announceAtOnce)
		next := o.next()
		if next.IsZero() || next.Sub(o.began) > until || turns > 1e6 {
			o.now = o.began.Add(until)
			return
		}
		if next.After(o.now) {
			o.now = next
		}
	}
}

// most is how many frames left an interface within a window of that length, at most.
func (o *outgoing) most(link string, window time.Duration) (most int) {
	var at []time.Duration
	for _, f := range o.frames {
		if f.link == link {
			at = append(at, f.at)
		}
	}
	for from, to := 0, 0; to < len(at); to++ {
		for at[to]-at[from] > window {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

func TestManyAddressesAreToldOfAtOnceAndThenEvenly(t *testing.T) {
	o := newOutgoing()
	g := desired.Garp{Repeat: 5, Delay: 5 * time.Second}
	o.take(200, "eth0", g)
	o.take(200, "eth1", g) // each interface has its own pace
	told := map[string]bool{}
	for _, f := range o.frames {
		told[f.frame] = true
	}
	if len(told) != 400 {
		t.Errorf("%d of 400 addresses were told of at once", len(told))
	}
	o.play(time.Minute)
	for _, name := range []string{"eth0", "eth1"} {
		for window, want := range map[time.Duration]int{
			0: 256, 10 * time.Millisecond: 266, 100 * time.Millisecond: 356, time.Second: 1000,
		} {
			if got := o.most(name, window); got > want {
				t.Errorf("%d frames left %s within %v, want at most %d", got, name, window, want)
			}
		}
	}
	count := map[string]int{}
	for _, f := range o.frames {
		count[f.frame]++
	}
	if len(count) != 800 || len(o.frames) != 4000 {
		t.Errorf("%d frames of %d kinds went out, want 4000 of 800: both forms of every address, five a burst", len(o.frames), len(count))
	}
	if last := o.frames[len(o.frames)-1].at; last > 5*time.Second+900*time.Millisecond {
		t.Errorf("the last went out after %v", last)
	}
}

func TestNoAddressIsRepeatedBeforeAllAreTold(t *testing.T) {
	o := newOutgoing()
	o.take(1000, "eth0", desired.Garp{Repeat: 3})
	o.play(time.Minute)
	first, repeated := map[string]bool{}, 0
	for _, f := range o.frames {
		address := f.frame[56:64] // the sender's in ARP
		if first[address] {
			repeated++
		} else if first[address] = true; repeated > 0 {
			t.Fatalf("%d frames were repeated before %s was told of", repeated, address)
		}
	}
	if len(o.frames) != 3000 {
		t.Errorf("%d frames went out, want 3000", len(o.frames))
	}
}

func TestARefreshThatThePaceKeepsBackDoesNotPileUp(t *testing.T) {
	o := newOutgoing()
	o.take(50, "eth0", desired.Garp{Repeat: 1, Interval: time.Second, Refresh: 10 * time.Second, RefreshRepeat: 2})
	o.play(10 * time.Minute)
	for key, b := range o.bursts {
		if len(b.due) > 3 {
			t.Errorf("%d frames of %v wait", len(b.due), key)
		}
	}
	if got := o.most("eth0", time.Second-1); got != 1 || len(o.frames) < 590 {
		t.Errorf("%d frames went out, %d within a second, want 600, and 1", len(o.frames), got)
	}
}

// The bound on the rate costs a node with few addresses nothing.
func TestFewAddressesDoNotWait(t *testing.T) {
	o := newOutgoing()
	o.take(20, "eth0", desired.Garp{Repeat: 5})
	o.play(time.Minute)
	at := map[time.Duration]int{}
	for _, f := range o.frames {
		at[f.at]++
	}
	want := map[time.Duration]int{0: 40, 20 * time.Millisecond: 20, 100 * time.Millisecond: 20, 400 * time.Millisecond: 20}
	if fmt.Sprint(at) != fmt.Sprint(want) {
		t.Errorf("frames went out at %v, want %v", at, want)
	}
}
