package node

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/vrrp"
)

func keyed() Config {
	c := config()
	c.Instances[0].Tracks = nil
	c.Instances[0].VRRP.Auth.Keys = []vrrp.Key{{ID: 1, Secret: vrrp.Secret(strings.Repeat("k", 32))}}
	return c
}

// signedBy is an advert of the peer at that time.
func signedBy(c Config, at time.Time) Received {
	src := netip.MustParseAddr("10.77.0.2")
	dst := vrrp.Group(src)[0]
	v := c.Instances[0].VRRP
	a := vrrp.Advert{
		Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: v.Addresses, Key: v.Auth.Keys[0],
		Sequence: vrrp.Sequence(at.Unix() << 32),
	}
	return Received{Interface: "eth0", Header: vrrp.Header{Source: src, Destination: dst, TTL: 255}, Payload: a.Append(nil, src, dst)}
}

func TestARecordedAdvertIsNoBetterAfterARestart(t *testing.T) {
	first := start(t, keyed())
	recorded := signedBy(keyed(), first.now)
	first.give(recorded)
	first.wantState(vrrp.Backup)
	marks := first.node.Marks()
	want := []Mark{{Interface: "eth0", VRID: 51, Source: recorded.Header.Source, Sequence: uint64(first.now.Unix()) << 32}}
	if !slices.Equal(marks, want) {
		t.Fatalf("Marks = %+v, want %+v", marks, want)
	}

	for name, c := range map[string]struct {
		marks []Mark
		want  uint64
	}{
		"with the marks":                       {marks, 1},
		"without":                              {nil, 0},
		"with those of another virtual router": {[]Mark{{Interface: "eth0", VRID: 52, Source: marks[0].Source, Sequence: marks[0].Sequence}}, 0},
	} {
		r := &rig{t: t, now: first.now.Add(time.Second), node: New(keyed())}
		r.give(links(true))
		r.give(Start{Marks: c.marks})
		r.give(recorded)
		if got := r.node.instances[0].router.Counters().Discarded[vrrp.ReasonAuthReplay]; got != c.want {
			t.Errorf("%s: %d discarded as replayed, want %d", name, got, c.want)
		}
	}
}

// The clock may stand still or go back over a restart; the peer must not take the new adverts for old ones.
func TestOwnNumbersGoOnAfterARestart(t *testing.T) {
	r := start(t, keyed())
	r.wait(5 * time.Second)
	r.wantState(vrrp.Master)
	before := r.node.Marks()[0]
	again := &rig{t: t, now: r.now.Add(-2 * time.Second), node: New(keyed())}
	again.give(links(true))
	again.give(Start{Marks: r.node.Marks(), Held: []desired.AddressKey{r.node.wish(r.now).Addresses[0].AddressKey}})
	again.wantState(vrrp.Master)
	if after := again.node.Marks()[0]; after.Source != before.Source || after.Sequence <= before.Sequence {
		t.Errorf("the first number after the restart is %x, want one above %x", after.Sequence, before.Sequence)
	}
}
