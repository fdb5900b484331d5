package interop

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
)

// takeover is the time from the last word of the old owner, its resignation if it said one, to the first of the new one.
func (g *game) takeover(event time.Time) time.Duration {
	var last time.Time
	for _, a := range g.watch.Wire().Adverts {
		switch {
		case g.side(a) != g.after && (a.At.Before(event) || a.Priority == 0 && g.event == stops && last.Before(event)):
			last = a.At
		case g.side(a) == g.after && a.At.After(event) && a.Priority > 0:
			return a.At.Sub(last)
		}
	}
	return -1
}

// side is who sent an advert. What does not come from an address of our node is theirs.
func (g *game) side(a probe.Advert) side {
	n := g.nodes[us]
	m := n.MAC
	local := netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	if slices.Contains([]netip.Addr{n.Addr, g.global(n), local}, a.Source) {
		return us
	}
	return them
}

// becomes waits until a side is the only owner.
func (g *game) becomes(when string, s side, within time.Duration) {
	g.Eventually(fmt.Sprintf("%s: %s own the VIP", when, s), within+g.interval()+slack, func() error { return g.owner(s) })
	g.owned(s)
}

// owned adds the owner to the figures, for the table.
func (g *game) owned(s side) { g.Figure("owner", string(s)) }

// stays waits and asserts that the owner is the same.
func (g *game) stays(when string, s side, long time.Duration) {
	began := time.Now().Round(0)
	time.Sleep(long)
	if err := g.owner(s); err != nil {
		g.Errorf("%s, %v later: %v", when, long, err)
	}
	for _, a := range g.watch.Wire().Adverts {
		if a.At.After(began) && g.side(a) != s && a.Priority > 0 {
			g.Errorf("%s: an advert of %s (%v, priority %d) though %s own the VIP", when, g.side(a), a.Source, a.Priority, s)
			return
		}
	}
}

// owner says what is wrong when not just that side has advertised lately, and answers for the VIP.
func (g *game) owner(s side) error {
	now, seen := time.Now().Round(0), g.watch.Wire()
	var masters, answers []string
	for _, a := range seen.Adverts {
		if a.At.After(now.Add(-g.interval()*3/2)) && a.Priority > 0 {
			masters = append(masters, string(g.side(a)))
		}
	}
	for _, c := range seen.Replies {
		if c.At.After(now.Add(-lately)) {
			answers = append(answers, c.MAC)
		}
	}
	masters, answers = unique(masters), unique(answers)
	if !slices.Equal(masters, []string{string(s)}) {
		return fmt.Errorf("the masters are %q, want %s", masters, s)
	}
	if !slices.Contains(answers, g.macs[s]) || len(answers) > 1 && g.spare < time.Hour {
		return fmt.Errorf("the VIP answers at %q, want %s at %s", answers, s, g.macs[s])
	}
	return nil
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// heeds asserts that our daemon thinks as the wire shows, and has discarded nothing of the peer.
func (g *game) heeds() {
	v, ok := g.routers[us].(*router.Vipward)
	if !ok || !v.Running() {
		return
	}
	s, err := v.Status()
	g.Must(err)
	var why []string
	for reason, n := range s.Counters.Discarded {
		if n > 0 {
			why = append(why, fmt.Sprintf("%d for %s", n, reason))
		}
	}
	if len(why) > 0 {
		g.Errorf("we have discarded adverts: %s", strings.Join(why, ", "))
	}
	owner := g.owner(us) == nil
	if master := s.State == "MASTER"; master != owner {
		g.Errorf("we say %s (%s), and own the VIP on the wire: %v", s.State, s.Reason, owner)
	}
	for _, a := range s.Addresses {
		if a.Held != owner {
			g.Errorf("we say held=%v of %s, and own the VIP on the wire: %v", a.Held, a.Address, owner)
		}
	}
}

// judge asserts what has to hold of the whole game.
func (g *game) judge() {
	g.heeds()
	w := g.watch.Wire()
	two, masters := w.TwoOwners(), w.TwoMasters(router.VRID, g.interval())
	g.Figure("two owners", two.Round(time.Millisecond))
	if two > g.spare {
		g.Errorf("two machines answered for the VIP for %v, want %v at most", two, g.spare)
	}
	if masters > g.sparing+lastWord {
		g.Errorf("two masters advertised for %v, want %v at most", masters, g.sparing+lastWord)
	}
	for _, a := range w.Adverts {
		if int(a.Version) != g.version || a.VRID != router.VRID {
			g.Errorf("an advert of %v has version %d and VRID %d", a.Source, a.Version, a.VRID)
			return
		}
	}
}

// announced asserts that a new owner has told everybody of the VIP.
func (g *game) announced(s side, since time.Time) {
	told := func(c probe.Claim) bool { return c.At.After(since) && c.MAC == g.macs[s] }
	g.Eventually(fmt.Sprintf("%s announce the VIP", s), g.interval()+slack, func() error {
		if !slices.ContainsFunc(g.watch.Wire().Gratuitous, told) {
			return fmt.Errorf("nothing is heard of the VIP at %s", g.macs[s])
		}
		return nil
	})
}

// holdsBack asserts that we do not take what a dead router still answers for: we say so, with its hardware address, and do not
// advertise.
func (g *game) holdsBack(within time.Duration) {
	v := g.routers[us].(*router.Vipward) // the oracle does not play this
	g.Eventually("we hold back", within+g.interval()+slack, func() error {
		s, err := v.Status()
		if err == nil && (s.State == "MASTER" || !strings.Contains(s.Reason, g.macs[them]+" answers for")) {
			err = fmt.Errorf("we are %s (%s)", s.State, s.Reason)
		}
		return err
	})
	g.owned(nobody)
	time.Sleep(g.down(us))
	for _, a := range g.watch.Wire().Adverts {
		if g.side(a) == us {
			g.Errorf("we have advertised with priority %d, though the VIP is answered for", a.Priority)
			return
		}
	}
}
