package nemesis

import (
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// fault is one thing that happens to a pair whose master is lb1.
type fault struct {
	name string
	// do lets it happen, undo ends it; none for what ends by itself. Between the two it lasts.
	do, undo func(*pair)
	lasts    func(advert time.Duration) time.Duration
	// alarm is the event that tells of it; the zero value for none.
	alarm alarm
	// overlap is how long two machines may answer for the VIP meanwhile, on the client's segment.
	overlap func(advert time.Duration) time.Duration
	// silence is how long nobody may answer; none where it lasts as long as the fault, or is not the point.
	silence func(advert time.Duration) time.Duration
	// moves is how often the VIP may change its owner from the fault to the end of its healing.
	moves int
	// oursOnly is set where keepalived has nothing to compare.
	oursOnly bool
}

// alarm is an event of one node, whose reason contains a text.
type alarm struct{ node, code, text string }

// The alarms of an owner and of its backup.
var (
	tookOver   = alarm{topology.LB2, "instance.takeover", ""}
	pathBroken = alarm{topology.LB2, "instance.advert_path_broken", ""}
	cutOff     = alarm{topology.LB1, "instance.state", "cut off"}
	refused    = alarm{topology.LB1, "config.refused", ""}
	conflict   = alarm{topology.LB1, "address.conflict", "02:77:00:00:00:0b"} // of rs1
)

func down(advert time.Duration) time.Duration { return 3*advert + advert*(256-backup)/256 }

// lease is what the kernel may take to end the shortest lease: its seconds are whole, and it may be late.
const lease = 1800 * time.Millisecond

// takeover is when the peer has taken over from a node that is dead and whose VIP the kernel has ended.
func takeover(advert time.Duration) time.Duration { return max(down(advert), lease) + slack }

func never(time.Duration) time.Duration { return 0 }

// meeting is for how long two that both became master while the link was cut may both answer each time that it is not: until the next
// advert, which may fall into the next cut.
const meeting = 450 * time.Millisecond

// found is when a master has found out that a stranger answers, who never announced himself: it asks each ten seconds.
const found = 10500 * time.Millisecond

// flaps is how often a link that flaps is cut.
const flaps = 8

func settle(advert time.Duration) time.Duration {
	return takeover(advert) + time.Second
}

func of(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}

// faults is the table. What is lost over preemption, when the node with the higher priority is back, is measured apart.
func faults() []fault {
	return []fault{
		{
			name: "SIGKILL of everything", do: (*pair).kill, undo: (*pair).boot, alarm: tookOver, lasts: settle,
			overlap: never, silence: takeover, moves: 2,
		},
		{
			name: "SIGKILL, started again at once", do: func(p *pair) { p.kill(); p.boot() }, lasts: settle,
			overlap: never, silence: of(blip), moves: 0,
		},
		{name: "SIGSTOP for 3 s", do: (*pair).pause, undo: (*pair).resume, lasts: of(3 * time.Second), overlap: never, silence: takeover, moves: 2},
		{name: "SIGSTOP for 60 s", do: (*pair).pause, undo: (*pair).resume, lasts: of(60 * time.Second), overlap: never, silence: takeover, moves: 2},
		{
			name: "its adverts do not reach the peer", do: func(p *pair) { p.Must(p.NoVRRP(topology.LB1, topology.LB2)) }, undo: (*pair).heal,
			alarm: pathBroken, lasts: settle, overlap: never, silence: of(blip), moves: 0,
		},
		{
			name: "the peer's adverts do not reach it", do: func(p *pair) { p.Must(p.NoVRRP(topology.LB2, topology.LB1)) }, undo: (*pair).heal,
			lasts: settle, overlap: never, silence: of(blip), moves: 0,
		},
		{name: "adverts pass neither way", do: (*pair).noAdverts, undo: (*pair).heal, alarm: pathBroken, lasts: settle, overlap: never, silence: of(blip), moves: 0},
		{name: "it hears nothing", do: func(p *pair) { p.Must(p.Deaf(topology.LB1)) }, undo: (*pair).heal, alarm: cutOff, lasts: settle, overlap: never, moves: 2},
		{
			name: "it is not heard", do: func(p *pair) { p.Must(p.Mute(topology.LB1)) }, undo: (*pair).heal,
			alarm: tookOver, lasts: settle, overlap: never, silence: takeover, moves: 2,
		},
		{
			name: "its link carries nothing", do: func(p *pair) { p.Must(p.Dark(topology.LB1)) }, undo: (*pair).heal,
			alarm: tookOver, lasts: settle, overlap: never, silence: takeover, moves: 2,
		},
		{
			name: "its carrier is lost", do: func(p *pair) { p.Must(p.Cut(topology.LB1)) }, undo: (*pair).heal,
			alarm: tookOver, lasts: settle, overlap: never, silence: takeover, moves: 2,
		},
		{name: "its link flaps each half second", do: (*pair).flap, undo: (*pair).heal, lasts: never, overlap: of(flaps * meeting), moves: 2*flaps + 1},
		{
			name: "reload of a broken file", do: (*pair).breakFile, undo: (*pair).mendFile, alarm: refused, lasts: of(time.Second),
			overlap: never, silence: of(blip), moves: 0, oursOnly: true,
		},
		{
			name: "a stranger takes the VIP", do: (*pair).squat, undo: (*pair).evict, alarm: conflict, lasts: of(found),
			moves: 9, oursOnly: true,
		},
		{name: "both are killed and booted at once", do: (*pair).killBoth, undo: (*pair).bootBoth, lasts: of(lease), overlap: never, moves: 2},
		{name: "both are killed, the backup boots first", do: (*pair).killBoth, undo: (*pair).bootBackup, lasts: of(lease), overlap: never, moves: 3},
	}
}
