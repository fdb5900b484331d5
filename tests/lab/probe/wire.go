package probe

import (
	"net/netip"
	"slices"
	"time"
)

// Wire is what was seen on the wire: who claims the VIP, and who says that it is master.
type Wire struct {
	// Asks are the instants of our own questions for the VIP, ARP requests or neighbour solicitations, in order.
	Asks []time.Time
	// Replies are the answers to such questions.
	Replies []Claim
	// Gratuitous are the announcements of the VIP that nobody asked for.
	Gratuitous []Claim
	// Adverts are those of VRRP, all versions.
	Adverts []Advert
}

// Claim is an ARP frame or a neighbour advertisement in which somebody says that the VIP is at its hardware address.
type Claim struct {
	At  time.Time
	MAC string
}

// Advert is one VRRP advert.
type Advert struct {
	At       time.Time
	Source   netip.Addr
	VRID     uint8
	Version  uint8
	Priority uint8
}

// TwoOwners is the time in which more than one machine answered for the VIP: each of our requests that two hardware
// addresses answered before the next request counts as the time to that next request.
func (w Wire) TwoOwners() time.Duration {
	var sum time.Duration
	for i := 0; i+1 < len(w.Asks); i++ {
		if len(w.owners(w.Asks[i], w.Asks[i+1])) > 1 {
			sum += w.Asks[i+1].Sub(w.Asks[i])
		}
	}
	return sum
}

// Grain is the time between two questions, on average and at worst: that of [Wire.TwoOwners].
func (w Wire) Grain() (average, worst time.Duration) {
	n := len(w.Asks) - 1
	if n < 1 {
		return 0, 0
	}
	for i := range n {
		worst = max(worst, w.Asks[i+1].Sub(w.Asks[i]))
	}
	return w.Asks[n].Sub(w.Asks[0]) / time.Duration(n), worst
}

// owners lists the hardware addresses that answered for the VIP in [from, to).
func (w Wire) owners(from, to time.Time) []string {
	var macs []string
	first, _ := slices.BinarySearchFunc(w.Replies, from, func(c Claim, t time.Time) int { return c.At.Compare(t) })
	for _, c := range w.Replies[first:] {
		if !c.At.Before(to) {
			break
		}
		if !slices.Contains(macs, c.MAC) {
			macs = append(macs, c.MAC)
		}
	}
	return macs
}

// reign is a time in which one router advertised without a pause and without resigning.
type reign struct {
	source   netip.Addr
	from, to time.Time
}

// TwoMasters is the time in which two routers of one VRID advertised in parallel. Interval is that of the adverts. A router
// whose adverts paused for three intervals, or that resigned with priority 0, has ended its reign.
func (w Wire) TwoMasters(vrid uint8, interval time.Duration) time.Duration {
	var all []reign
	open := map[netip.Addr]int{} // the running reign of a source, as its index in all
	for _, a := range w.Adverts {
		i, reigns := open[a.Source]
		switch {
		case a.VRID != vrid:
		case a.Priority == 0:
			delete(open, a.Source)
		case reigns && a.At.Sub(all[i].to) <= 3*interval:
			all[i].to = a.At
		default:
			open[a.Source] = len(all)
			all = append(all, reign{a.Source, a.At, a.At})
		}
	}
	return overlap(all)
}

func overlap(all []reign) time.Duration {
	var sum time.Duration
	for i, a := range all {
		for _, b := range all[i+1:] {
			from, to := a.from, a.to
			if b.from.After(from) {
				from = b.from
			}
			if b.to.Before(to) {
				to = b.to
			}
			if a.source != b.source && to.After(from) {
				sum += to.Sub(from)
			}
		}
	}
	return sum
}
