package probe

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

var one, two = netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.2")

// adverts makes those of one router with one priority at the given seconds.
func adverts(source netip.Addr, priority uint8, seconds ...float64) []Advert {
	var list []Advert
	for _, s := range seconds {
		list = append(list, Advert{At: at(int(s * 1000)), Source: source, VRID: 51, Version: 3, Priority: priority})
	}
	return list
}

func wire(groups ...[]Advert) Wire {
	all := slices.Concat(groups...)
	slices.SortFunc(all, func(a, b Advert) int { return a.At.Compare(b.At) })
	return Wire{Adverts: all}
}

func TestTwoMasters(t *testing.T) {
	for name, tc := range map[string]struct {
		wire Wire
		want time.Duration
	}{
		"one master":                 {wire(adverts(one, 150, 0, 1, 2, 3)), 0},
		"one after the other":        {wire(adverts(one, 150, 0, 1), adverts(two, 100, 4.6, 5.6)), 0},
		"side by side for two turns": {wire(adverts(one, 150, 0, 1, 2, 3), adverts(two, 100, 0.5, 1.5, 2.5)), 2 * time.Second},
		"resigned and back within three intervals": {
			wire(adverts(one, 150, 0, 1), adverts(one, 0, 1.2), adverts(two, 100, 1.8), adverts(one, 150, 2.4, 3.4)), 0,
		},
		"another virtual router beside it": {
			wire(adverts(one, 150, 0, 1, 2), []Advert{{At: at(500), Source: two, VRID: 52, Priority: 9}, {At: at(1500), Source: two, VRID: 52, Priority: 9}}), 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.wire.TwoMasters(51, time.Second); got != tc.want {
				t.Errorf("TwoMasters = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTwoOwners(t *testing.T) {
	asks := []time.Time{at(0), at(50), at(100), at(150)}
	for name, tc := range map[string]struct {
		replies []Claim
		want    time.Duration
	}{
		"nobody answers":                     {nil, 0},
		"one answers each time":              {[]Claim{{at(1), "a"}, {at(51), "a"}, {at(101), "a"}}, 0},
		"it moves between two requests":      {[]Claim{{at(1), "a"}, {at(51), "b"}, {at(101), "b"}}, 0},
		"two answer the same request":        {[]Claim{{at(51), "a"}, {at(52), "b"}, {at(101), "b"}}, 50 * time.Millisecond},
		"one answers the same request twice": {[]Claim{{at(51), "a"}, {at(52), "a"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Wire{Asks: asks, Replies: tc.replies}).TwoOwners(); got != tc.want {
				t.Errorf("TwoOwners = %v, want %v", got, tc.want)
			}
		})
	}
}
