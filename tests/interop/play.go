package interop

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	// slack is what a loaded machine may add to any time that is asserted.
	slack = 1500 * time.Millisecond
	// moment is how long both may answer for the VIP in one move of a router that lives: our requests are 50 ms apart, and we
	// hold on for as long after a planned hand-over.
	moment = 200 * time.Millisecond
	// lastWord is how long two may advertise at the end of a mastership of ours: we say once that we have lost.
	lastWord = 50 * time.Millisecond
	// boot is how long a router may take until it listens.
	boot = time.Second
	// leaseUnit is the kernel's: the addresses of a daemon of ours that was killed stay for so long where the adverts are so
	// fast that the peer comes sooner.
	leaseUnit = 2 * time.Second
)

// game is one cell in play.
type game struct {
	*scenario.T
	cell
	wire
	net     *topology.Net
	watch   *probe.Watch
	peer    peer
	routers map[side]router.Router
	nodes   map[side]*topology.Node
	macs    map[side]string
	// spare is the time in which the rules allow two owners, and two masters.
	spare, sparing time.Duration
}

// play plays a cell.
func play(t *scenario.T, p peer, w wire, c cell) {
	g := &game{T: t, peer: p, cell: c, wire: w}
	g.build()
	g.start(c.first)
	g.becomes("alone", c.first, boot+g.down(c.first))
	g.start(c.first.other())
	if c.joined == c.first {
		time.Sleep(boot)
	} else {
		g.moves(c.joined)
		g.becomes("both up", c.joined, boot+g.down(c.joined))
	}
	g.stays("both up", c.joined, g.down(c.joined.other()))
	g.heeds()
	g.befall()
	g.judge()
}

// build plugs the network together, and watches it.
func (g *game) build() {
	n, err := topology.New()
	g.Must(err)
	g.Cleanup(func() { g.Must(n.Close()) })
	g.net = n
	g.nodes = map[side]*topology.Node{us: n.Node(topology.LB1), them: n.Node(topology.LB2)}
	if g.weAreHigher {
		g.nodes[us], g.nodes[them] = g.nodes[them], g.nodes[us]
	}
	if g.ipv6 {
		g.address6(n.Node(topology.Client))
		g.address6(g.nodes[us])
		g.address6(g.nodes[them])
	}
	if g.unicast {
		g.Must(n.Hub())
	}
	g.routers = map[side]router.Router{us: g.peer.ours(g.T, g.nodes[us]), them: g.peer.their(g.T, g.nodes[them])}
	g.macs = map[side]string{us: g.mac(us, g.vmac), them: g.mac(them, g.vmac || g.peer.vmac)}
	g.watch, err = probe.NewWatch(n.Node(topology.Client), g.vips()[len(g.vips())-1])
	g.Must(err)
	g.Background(func(ctx context.Context) error {
		g.watch.Run(ctx)
		return nil
	})
}

// address6 gives a node its addresses of IPv6 without the second that it takes to detect duplicates.
func (g *game) address6(n *topology.Node) {
	for _, s := range [][2]string{{"accept_dad", "0"}, {"accept_ra", "0"}, {"disable_ipv6", "1"}, {"disable_ipv6", "0"}} {
		g.Must(n.Sysctl("ipv6/conf/eth0/"+s[0], s[1]))
	}
	_, err := n.Output("ip", "-6", "address", "add", g.global(n).String()+"/64", "dev", "eth0", "nodad")
	g.Must(err)
}

func (g *game) global(n *topology.Node) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:77::%d", n.MAC[5]))
}

func (g *game) mac(s side, virtual bool) string {
	switch {
	case !virtual:
		return g.nodes[s].MAC.String()
	case g.ipv6:
		return fmt.Sprintf("00:00:5e:00:02:%02x", router.VRID)
	}
	return fmt.Sprintf("00:00:5e:00:01:%02x", router.VRID)
}

func (g *game) vips() []netip.Addr {
	if g.ipv6 {
		return []netip.Addr{netip.MustParseAddr("fe80::77:100"), netip.MustParseAddr("2001:db8:77::100")}
	}
	return []netip.Addr{topology.VIP}
}

func (g *game) start(s side) {
	settings := router.Settings{
		Version: g.version, Priority: g.priority(s), Interval: g.interval(), VIPs: g.vips(), Password: g.password,
		NoPreempt: g.patient == s, VMAC: g.vmac,
	}
	if g.unicast {
		settings.Source, settings.Peer = g.nodes[s].Addr, g.nodes[s.other()].Addr
		if g.ipv6 {
			settings.Source, settings.Peer = g.global(g.nodes[s]), g.global(g.nodes[s.other()])
			settings.MinTTL = g.peer.hops6
		}
	}
	g.routers[s].Start(settings)
}

func (g *game) priority(s side) int {
	if s == us {
		return g.ours
	}
	return g.theirs
}

// interval is that of the adverts: version 2 has whole seconds only.
func (g *game) interval() time.Duration {
	if g.version == 2 {
		return time.Second
	}
	return 200 * time.Millisecond
}

// skew and down are how long a side waits after a resignation, and after the last advert (RFC 9568 section 6.1).
func (g *game) skew(s side) time.Duration {
	return g.interval() * time.Duration(256-g.priority(s)) / 256
}

func (g *game) down(s side) time.Duration { return 3*g.interval() + g.skew(s) }

// befall has happen what the cell says.
func (g *game) befall() {
	if g.event == nothing {
		return
	}
	within := g.down(g.after)
	at := time.Now().Round(0)
	g.Logf("%s: %s", g.at, g.event)
	switch g.event {
	case stops:
		within = g.skew(g.after)
		g.moves(g.after)
		g.routers[g.at].Stop()
	case dark:
		g.Must(g.net.Dark(g.nodes[g.at].Name))
	case killed:
		g.left()
		g.routers[g.at].Kill()
	}
	g.becomes(string(g.event), g.after, within)
	if g.after != g.joined {
		g.Figure("takeover", g.takeover(at).Round(time.Millisecond))
	}
	if g.event != dark {
		g.stays(string(g.event), g.after, g.interval())
		return
	}
	if g.after == g.joined {
		time.Sleep(g.down(g.at)) // so that the other is master as well
	}
	g.moves(g.healed)
	g.spare, g.sparing = g.spare+g.interval(), g.interval()+slack
	g.Must(g.net.Heal(g.nodes[g.at].Name))
	if g.ours == g.theirs && g.healed == them && g.blind() {
		g.either()
	}
	g.becomes("healed", g.healed, g.down(g.healed))
	g.stays("healed", g.healed, g.down(g.healed.other()))
}

// moves allows for a move to that side from one that lives.
func (g *game) moves(to side) {
	g.spare += moment
	if to == them && g.blind() {
		g.spare += g.interval()
	}
}

// either waits for an owner where the peer does not keep to the rules of a tie.
func (g *game) either() {
	g.Eventually("healed: one of the two owns the VIP", 2*g.down(us)+slack, func() error {
		if g.owner(us) == nil {
			g.healed = us
			return nil
		}
		return g.owner(them)
	})
	g.Figure("either, as it cannot compare", g.healed)
}

// blind tells that theirs has that weakness here.
func (g *game) blind() bool { return g.ipv6 && g.peer.blind6 }

// left allows for the addresses that a killed router leaves: we do not until our lease is over, the others for ever.
func (g *game) left() {
	if _, ok := g.routers[g.at].(*router.Vipward); !ok {
		g.spare += time.Hour
	} else if g.down(g.after) < leaseUnit {
		g.spare += leaseUnit
	}
}

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
		if c.At.After(now.Add(-150 * time.Millisecond)) {
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
