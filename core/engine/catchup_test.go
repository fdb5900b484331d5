package engine

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// peerAdvert is an advert of the peer that came at an instant.
func peerAdvert(at time.Time) node.Receptions {
	src, vip := netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.100")
	dst := vrrp.Group(src)[0]
	a := vrrp.Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: []netip.Addr{vip}}
	return node.Receptions{{
		Interface: "eth0", Header: vrrp.Header{Source: src, Destination: dst, TTL: 255}, Payload: a.Append(nil, src, dst), At: at,
	}}
}

// A process that was asleep from just after one advert until just after its timer does not know it, for it is hardly late; the adverts
// that it has missed wait in the socket.
func TestWhatWaitsInTheSocketsIsReadBeforeATakeover(t *testing.T) {
	for name, in := range map[string]node.Input{"a timeout": nil, "a result": node.Observed{Check: "nobody's"}, "a heartbeat": node.Beat{Peer: "lb2"}} {
		for waits, want := range map[bool]vrrp.State{true: vrrp.Backup, false: vrrp.Master} {
			t.Run(name+" "+want.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { wakesLate(t, in, waits, want) })
			})
		}
	}
}

// wakesLate lets an input come 20 ms after the end of the down interval, 3,609 ms; none has the timer come.
func wakesLate(t *testing.T, in node.Input, waits bool, want vrrp.State) {
	l, _, stop, done := runLoop(t)
	began := time.Now()
	prepare := func(time.Time) node.Output {
		l.drain = func() {
			if waits {
				l.Hurry(node.Beat{Peer: "lb2"}, time.Now())
				l.Hurry(peerAdvert(began.Add(3*time.Second)), time.Now())
			}
		}
		return node.Output{}
	}
	asleep := func(time.Time) node.Output {
		time.Sleep(time.Until(began.Add(3629 * time.Millisecond)))
		if in != nil {
			l.Hurry(in, time.Now())
		}
		return node.Output{}
	}
	if err := l.Call(t.Context(), prepare); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3600 * time.Millisecond)
	if err := l.Call(t.Context(), asleep); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
	if got := l.Snapshot().Instances[0].State; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	close(stop)
	<-done
}
