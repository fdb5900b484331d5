package kernel

import (
	"net/netip"
	"time"
)

const (
	// foldFor is how long the same machine's word about the same address is no news: one answer of a Linux host to a broadcast may
	// come several times, and an announcement comes in bursts.
	foldFor = 100 * time.Millisecond
	// glimpseMost bounds what is told of one address within glimpseWindow, whoever forges it.
	glimpseMost   = 20
	glimpseWindow = time.Second
)

// glimpses decides which sightings are told. The first one after a question always is.
type glimpses map[netip.Addr]*glimpse

// glimpse is what was told of one address.
type glimpse struct {
	asked bool // since the last one told
	mac   [6]byte
	at    time.Time
	since time.Time // when the window began
	told  int       // in the window
}

// ask notes a question.
func (g glimpses) ask(a netip.Addr) { g.of(a).asked = true }

func (g glimpses) of(a netip.Addr) *glimpse {
	one := g[a]
	if one == nil {
		one = &glimpse{}
		g[a] = one
	}
	return one
}

// pass tells whether a sighting is to be told, and, where not, whether that is for its number rather than for being no news.
func (g glimpses) pass(now time.Time, s sighting) (ok, flood bool) {
	one := g.of(s.address)
	if now.Sub(one.since) >= glimpseWindow {
		one.since, one.told = now, 0
	}
	switch {
	case one.asked:
	case one.mac == s.mac && now.Sub(one.at) < foldFor:
		return false, false
	case one.told >= glimpseMost:
		return false, true
	}
	one.asked, one.mac, one.at = false, s.mac, now
	one.told++
	return true, false
}
