package nemesis

import (
	"slices"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// fault is one thing that happens to a pair whose master is lb1.
type fault struct {
	name string
	// with is what the configuration has besides, for one node; nil for nothing.
	with func(p *pair, node string) setup
	// only is the one interval of adverts at which it is played; 0 for each.
	only time.Duration
	// needs says what this machine lacks for it; nil for what every machine has.
	needs func() error
	// do lets it happen, undo ends it; none for what ends by itself. Between the two it lasts, or, where next is to take over, until
	// that is done.
	do, undo func(*pair)
	lasts    func(advert time.Duration) time.Duration
	next     string
	// alarms are the events that tell of it. Where the first ends the fault, it lasts a second longer than until then.
	alarms []alarm
	ended  bool
	// overlap is how long two machines may answer for the VIP meanwhile, on the client's segment.
	overlap func(advert time.Duration) time.Duration
	// silence is how long nobody may answer; none where it lasts as long as the fault, or is not the point.
	silence func(advert time.Duration) time.Duration
	// moves is how often the VIP may change its owner from the fault to the end of its healing. Where it may, or may not, whatever
	// silence there is must come of a move.
	moves int
	maybe bool
	// shown is what else must be true when it has lasted.
	shown func(*pair)
	// few is how many rounds one pair can play; 0 for any number.
	few int
	// oursOnly is set where keepalived has nothing to compare. Its passwords are of version 2 of VRRP, which has whole seconds only.
	oursOnly bool
	password bool
}

// alarm is an event of one node, whose reason contains a text and which tells of a change to a state, where those are named. What is
// told once a minute is told in one round of a pair.
type alarm struct {
	node, code, text, to string
	// within is how soon it must come; nil for any time while the fault lasts.
	within func(advert time.Duration) time.Duration
	seldom bool
}

// The alarms of an owner and of its backup.
var (
	tookOver   = []alarm{{node: topology.LB2, code: "instance.takeover"}}
	pathBroken = []alarm{
		{node: topology.LB2, code: "instance.advert_path_broken", within: missed},
		{node: topology.LB2, code: "instance.state", to: "HOLD", within: twice},
	}
	cutOff = []alarm{{node: topology.LB1, code: "instance.state", text: "cut off"}}
)

// missed is when three adverts have not come, and the skew is over: the last one may have come just before the fault.
func missed(advert time.Duration) time.Duration { return down(advert) + quick }

func twice(advert time.Duration) time.Duration { return 2 * down(advert) }

// fast is the shorter of the two intervals.
const fast = 100 * time.Millisecond

func down(advert time.Duration) time.Duration { return 3*advert + advert*(256-backup)/256 }

// lease is what the kernel may take to end the shortest lease: its seconds are whole, and it may be late.
const lease = 1800 * time.Millisecond

// takeover is when the peer has taken over from a node that is dead and whose VIP the kernel has ended.
func takeover(advert time.Duration) time.Duration { return max(down(advert), lease) + slack }

func never(time.Duration) time.Duration { return 0 }

// meeting is for how long two that both became master while the link was cut may both answer each time that it is not: until the first
// heartbeat, and the address is removed.
const meeting = 60 * time.Millisecond

// flaps is how often a link that flaps is cut.
const flaps = 8

// through is when what does not move the VIP has had the time to.
func through(advert time.Duration) time.Duration { return down(advert) + time.Second }

func settle(advert time.Duration) time.Duration {
	return takeover(advert) + time.Second
}

func of(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}

// faults is the table. What is lost over preemption, when the node with the higher priority is back, is measured apart.
func faults() []fault {
	return slices.Concat(deaths(), leased(), cuts(), mistakes(), fencings(), boots())
}

// stop is how long a short stop is.
const stop = 3 * time.Second

// quick is what a takeover may take beyond the down interval where no lease is waited for.
const quick = 150 * time.Millisecond

// deaths are ends and stops of processes.
func deaths() []fault {
	return slices.Concat(
		[]fault{{
			name: "SIGKILL of everything", do: (*pair).kill, undo: (*pair).boot, lasts: settle, next: topology.LB2,
			alarms: tookOver, overlap: never, silence: takeover, moves: 2,
		}},
		restarted(fault{name: "SIGKILL, started again at once", do: func(p *pair) { p.kill(); p.boot() }, lasts: settle}),
		restarted(fault{name: "SIGKILL of the daemon alone, which is started again", with: checked, do: (*pair).restart, lasts: settle}),
		restarted(fault{
			name: "SIGKILL of its guardian", do: func(p *pair) { p.killOne("--guardian") }, undo: (*pair).restart, lasts: through, oursOnly: true,
		}),
		[]fault{
			{
				name: "SIGKILL of a plugin", with: checked, do: func(p *pair) { p.killOne("vipward-plugin") }, lasts: through,
				overlap: never, silence: of(blip), moves: 0, oursOnly: true,
			},
			{name: "SIGSTOP for 3 s", do: (*pair).pause, undo: (*pair).resume, lasts: of(stop), overlap: never, silence: takeover, moves: 2},
			{
				name: "frozen by its cgroup for 3 s", needs: canFreeze, do: (*pair).freeze, undo: (*pair).thaw, lasts: of(stop),
				overlap: never, silence: takeover, moves: 2,
			},
			{name: "SIGSTOP for 60 s", do: (*pair).pause, undo: (*pair).resume, lasts: of(60 * time.Second), overlap: never, silence: takeover, moves: 2},
		})
}

// restarted is a daemon that is started again at once, as it is to be at each interval. With adverts each 100 ms the start may take
// longer than the down interval: then the peer takes over, and the VIP goes back by preemption.
func restarted(f fault) []fault {
	slow, late := f, f
	slow.only, slow.overlap, slow.silence = time.Second, never, of(blip)
	late.only, late.overlap, late.silence, late.moves, late.maybe = fast, of(handover), takeover, 2, true
	return []fault{slow, late}
}

// leased are deaths with a lease that ends before a peer with fast adverts takes over.
func leased() []fault {
	all := deaths()
	all = slices.DeleteFunc(all, func(f fault) bool { return f.moves == 0 || f.only != 0 })
	for i := range all {
		f := &all[i]
		f.name += ", lease = \"fast\""
		f.with = func(*pair, string) setup { return setup{instance: "  lease = \"fast\"\n"} }
		f.only, f.oursOnly = fast, true
		f.silence = func(advert time.Duration) time.Duration { return down(advert) + quick }
	}
	return all
}

// cutOffAfter is when a master whose references no longer answer has let go.
const cutOffAfter = 2 * time.Second

// cuts are faults of the network.
func cuts() []fault {
	return []fault{
		{
			name: "its adverts do not reach the peer", do: func(p *pair) { p.Must(p.NoVRRP(topology.LB1, topology.LB2)) }, undo: (*pair).heal,
			lasts: through, alarms: pathBroken, overlap: never, silence: of(blip), moves: 0,
		},
		{
			name: "the peer's adverts do not reach it", do: func(p *pair) { p.Must(p.NoVRRP(topology.LB2, topology.LB1)) }, undo: (*pair).heal,
			lasts: through, overlap: never, silence: of(blip), moves: 0,
		},
		{
			name: "adverts pass neither way", do: (*pair).noAdverts, undo: (*pair).heal, lasts: through,
			alarms: pathBroken, overlap: never, silence: of(blip), moves: 0,
		},
		{
			name: "it hears nothing", do: func(p *pair) { p.Must(p.Deaf(topology.LB1)) }, undo: (*pair).heal, lasts: settle, next: topology.LB2,
			alarms: cutOff, overlap: never, silence: of(cutOffAfter), shown: (*pair).isolated, moves: 2,
		},
		{
			name: "it is not heard", do: func(p *pair) { p.Must(p.Mute(topology.LB1)) }, undo: (*pair).heal, lasts: settle, next: topology.LB2,
			alarms: tookOver, overlap: never, silence: takeover, shown: (*pair).isolated, moves: 2,
		},
		{
			name: "its link carries nothing", do: func(p *pair) { p.Must(p.Dark(topology.LB1)) }, undo: (*pair).heal, lasts: settle, next: topology.LB2,
			alarms: tookOver, overlap: never, silence: takeover, shown: (*pair).isolated, moves: 2,
		},
		{
			name: "its carrier is lost", do: func(p *pair) { p.Must(p.Cut(topology.LB1)) }, undo: (*pair).heal, lasts: settle, next: topology.LB2,
			alarms: tookOver, overlap: never, silence: takeover, shown: (*pair).failed, moves: 2,
		},
		{name: "its link flaps each half second", do: (*pair).flap, undo: (*pair).heal, lasts: never, overlap: of(flaps * meeting), moves: 2*flaps + 1},
	}
}

// boots are starts: of both nodes, and of one that finds itself alone.
func boots() []fault {
	unseen := []alarm{{node: topology.LB2, code: "fence.blocked", seldom: true}}
	return []fault{
		{name: "both are killed and booted at once", do: (*pair).killBoth, undo: (*pair).bootBoth, lasts: of(lease), overlap: never, moves: 2},
		{
			name: "both are killed, the backup boots alone", with: fencing("best_effort"), do: (*pair).bootBackup, undo: (*pair).boot, lasts: settle,
			next: topology.LB2, overlap: never, shown: (*pair).unfenced, moves: 2,
		},
		{
			name: "both are killed, the backup boots alone, fencing required", with: fencing("required"), do: (*pair).bootBackup,
			undo: (*pair).boot, lasts: settle, alarms: unseen, overlap: never, shown: (*pair).unfenced, moves: 2, oursOnly: true,
		},
	}
}
