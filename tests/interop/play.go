package interop

import (
	"context"
	"fmt"
	"net/netip"
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
	// lately is how far back an answer for the VIP counts for now: we ask each 50 ms.
	lately = 300 * time.Millisecond
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
		at := time.Now().Round(0)
		g.becomes("both up", c.joined, boot+g.down(c.joined))
		g.announced(c.joined, at)
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
		NoPreempt: g.patient == s, Unasked: g.unasked, VMAC: g.vmac,
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
	within := g.down(us)
	if g.after != nobody {
		within = g.down(g.after)
	}
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
	if g.after == nobody {
		g.holdsBack(within)
		return
	}
	g.becomes(string(g.event), g.after, within)
	if g.after != g.joined {
		g.Figure("takeover", g.takeover(at).Round(time.Millisecond))
		g.announced(g.after, at)
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

// either waits for an owner where the peer does not keep to the rules of a tie: both may have given way, and elect anew.
func (g *game) either() {
	time.Sleep(2 * g.down(us))
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
