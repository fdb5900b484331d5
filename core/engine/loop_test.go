package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// recorder is the world around a loop.
type recorder struct {
	adverts []node.Advert
	wishes  []*desired.State
	events  []event.Event
	answers []node.Answer
}

func runLoop(t *testing.T) (*loop, *recorder, chan struct{}, chan error) {
	t.Helper()
	vip := netip.MustParsePrefix("10.77.0.100/32")
	n := node.New(node.Config{Name: "lb1", Instances: []node.Instance{{
		Name: "web", Interface: "eth0", Addresses: []node.VirtualAddress{{Prefix: vip, Interface: "eth0"}},
		VRRP: vrrp.Config{VRID: 51, Version: 3, Priority: 100, Interval: time.Second, Preempt: true, Addresses: []netip.Addr{vip.Addr()}},
	}}, Services: []node.Service{{
		Name: "web", RealServers: []node.RealServer{
			{Destination: desired.Destination{Address: netip.MustParseAddrPort("10.77.0.11:80"), Weight: 1}},
			{Destination: desired.Destination{Address: netip.MustParseAddrPort("10.77.0.12:80"), Weight: 1}},
		},
	}}})
	l, r := newLoop(n), &recorder{}
	l.send = func(all []node.Advert, _ func(node.Advert, error)) { r.adverts = append(r.adverts, all...) }
	l.beat, l.ask = func(node.BeatTo) {}, func(node.Ask) {}
	l.lease = func([]desired.FastLease) {}
	l.drain = func() {}
	l.desire = func(s *desired.State) { r.wishes = append(r.wishes, s) }
	l.tell = func(e []event.Event) { r.events = append(r.events, e...) }
	l.answer = func(a node.Answer) { r.answers = append(r.answers, a) }
	l.waited, l.stepped, l.woken = func(time.Duration) {}, func(time.Duration) {}, func(time.Duration) {}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- l.Run(context.Background(), stop) }()
	l.Hurry(node.Links{"eth0": {Index: 2, Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24")}}}, time.Now())
	l.Hurry(node.Start{}, time.Now())
	return l, r, stop, done
}

func TestLoopElectsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, stop, done := runLoop(t)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := l.Snapshot().Instances[0].State; got != vrrp.Master {
			t.Errorf("state %s after 10 s, want MASTER", got)
		}
		if len(r.adverts) != 7 {
			t.Errorf("%d adverts in 10 s, want 7: one each second from 3.6 s on", len(r.adverts))
		}
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if last := r.wishes[len(r.wishes)-1]; len(last.Addresses) != 0 {
			t.Errorf("the last wish still has %v", last.Addresses)
		}
		if last := r.adverts[len(r.adverts)-1]; last.Payload[2] != 0 {
			t.Errorf("the last advert has priority %d, want 0", last.Payload[2])
		}
	})
}

func TestLoopDoesItsPulseWhileNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, stop, done := runLoop(t)
		time.Sleep(time.Minute)
		before := l.progress.Load()
		time.Sleep(2 * pulse)
		synctest.Wait()
		if l.progress.Load() == before {
			t.Error("the loop made no progress")
		}
		close(stop)
		<-done
	})
}

func TestCallRunsInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, stop, done := runLoop(t)
		err := l.Call(t.Context(), func(now time.Time) node.Output {
			return l.node.Step(now, node.Failover{Instance: "nobody", ID: 7})
		})
		synctest.Wait()
		if err != nil || !slices.ContainsFunc(r.answers, func(a node.Answer) bool { return a.ID == 7 && a.Err != nil }) {
			t.Errorf("error %v, answers %+v", err, r.answers)
		}
		close(stop)
		<-done
	})
}

func TestFullInboxDropsAndCounts(t *testing.T) {
	l := newLoop(node.New(node.Config{}))
	for range routineSize + 3 {
		l.Add(node.Timeout{})
	}
	for range urgentSize + 2 {
		l.Hurry(node.Timeout{}, time.Time{})
	}
	if got := l.dropped.Load(); got != 5 {
		t.Errorf("%d dropped, want 5", got)
	}
}

// The node hears of each interface once, before anything else, and not of what fails in answer to that.
func TestWhatCannotBeSentIsTheNextInput(t *testing.T) {
	l := newLoop(node.New(node.Config{}))
	l.waited, l.stepped, l.woken = func(time.Duration) {}, func(time.Duration) {}, func(time.Duration) {}
	l.send = func(all []node.Advert, failed func(node.Advert, error)) {
		for _, a := range all {
			failed(a, fmt.Errorf("no buffer on %s", a.Interface))
		}
	}
	l.Hurry(node.Timeout{}, time.Now())
	failing := node.Output{Adverts: []node.Advert{{Interface: "eth0"}, {Interface: "eth1"}, {Interface: "eth0"}}}
	l.obey(failing)
	want := []node.Unsent{{Interface: "eth0", Reason: "no buffer on eth0"}, {Interface: "eth1", Reason: "no buffer on eth1"}}
	if !slices.Equal(l.unsent, want) {
		t.Errorf("the node hears %v, want %v", l.unsent, want)
	}
	var stop <-chan struct{}
	for n := range want {
		if _, err := l.next(t.Context(), &stop); err != nil {
			t.Fatal(err)
		}
		l.obey(failing)
		if left := len(want) - n - 1; len(l.unsent) != left || len(l.urgent) != 1 {
			t.Errorf("%d wait to be heard and %d urgent inputs, want %d and 1", len(l.unsent), len(l.urgent), left)
		}
	}
	if _, err := l.next(t.Context(), &stop); err != nil || len(l.urgent) != 0 {
		t.Errorf("the urgent input was not next: %v", err)
	}
	if l.obey(failing); len(l.unsent) != 2 {
		t.Errorf("%d wait to be heard, want 2", len(l.unsent))
	}
}

// A machine that wakes up finds its monotonic clock where it was, and its peer master.
func TestMasterStepsDownAfterASuspension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, stop, done := runLoop(t)
		var total atomic.Int64
		l.Call(t.Context(), func(time.Time) node.Output {
			l.suspended = func() time.Duration { return time.Duration(total.Load()) }
			l.slept = 0
			return node.Output{}
		})
		time.Sleep(10 * time.Second)
		total.Store(int64(2 * time.Second)) // too short for a peer to take over
		time.Sleep(time.Second)
		if got := l.Snapshot().Instances[0].State; got != vrrp.Master {
			t.Errorf("state %s after a suspension of 2 s, want MASTER", got)
		}
		total.Store(int64(time.Hour))
		sent := len(r.adverts)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := l.Snapshot().Instances[0].State; got != vrrp.Backup {
			t.Errorf("state %s after an hour's suspension, want BACKUP", got)
		}
		if len(r.adverts) != sent {
			t.Errorf("%d adverts were sent after it", len(r.adverts)-sent)
		}
		close(stop)
		<-done
	})
}

func TestTheOutageOfATakeover(t *testing.T) {
	takeover := func(claim, ms string) event.Event {
		return event.Event{Code: "instance.takeover", Attrs: map[string]string{"claim": claim, "silence_ms": ms}}
	}
	for _, c := range []struct {
		name string
		of   event.Event
		want time.Duration // 0 for none
	}{
		{"a dead master", takeover("silence", "361"), 361 * time.Millisecond},
		{"one that resigned", takeover("resigned", "50"), 50 * time.Millisecond},
		{"one that is outranked was there", takeover("rank", "900"), 0},
		{"the first one", takeover("silence", "0"), 0},
		{"another event", event.Event{Code: "instance.hold_ended", Attrs: map[string]string{"silence_ms": "361"}}, 0},
	} {
		if took, ok := outage(c.of); took != c.want && ok || ok != (c.want > 0) {
			t.Errorf("%s: %v %v, want %v", c.name, took, ok, c.want)
		}
	}
}
