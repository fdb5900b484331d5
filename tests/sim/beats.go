package sim

import (
	"time"

	"github.com/vipward/vipward/core/node"
)

// crossDelay is what a heartbeat takes over the crosslink at most.
const crossDelay = 300 * time.Microsecond

// ear is what the process of a host has heard of another node since it began.
type ear struct {
	advert, beat time.Duration // the last ones; 0 for none
	back         time.Duration // when a heartbeat came after a long silence
	fencing
}

// heard is when anything was heard last; 0 for never.
func (e *ear) heard() time.Duration { return max(e.advert, e.beat) }

// recorded is a heartbeat that somebody has kept.
type recorded struct {
	to int
	in node.Beat
}

// maxRecorded is how many heartbeats of a machine's former runs are kept.
const maxRecorded = 8

func (w *World) named(name string) *host { return w.hosts[int(name[2]-'1')] }

// beat carries one heartbeat over its path.
func (w *World) beat(from *host, b node.BeatTo) {
	to := w.named(b.Peer)
	in := node.Beat{Peer: from.name(), Path: b.Path, Source: addresses(from.n, 0)[0], Payload: b.Payload}
	if b.Path == overCrosslink {
		in.Source = crossAddress(from.n)
	}
	if len(from.record) < maxRecorded && from.recordedIn != from.life {
		from.recordedIn = from.life
		from.record = append(from.record, recorded{to.n, in})
	}
	if b.Path == overCrosslink {
		w.after(w.some(from.n, ofDelay, crossDelay), func() {
			if w.crossed(from, to) {
				w.hearBeat(to, from, in)
			}
		})
		return
	}
	if !from.works(0) {
		return
	}
	if d, lost := w.travels(from.n, 0); !lost && w.segments[0].cut[from.n][to.n] == 0 {
		w.after(d, func() {
			if to.works(0) {
				w.hearBeat(to, from, in)
			}
		})
	}
}

func (w *World) hearBeat(to, from *host, in node.Beat) {
	to.hear(func() {
		e := &to.ears[from.n]
		if e.beat == 0 || w.now-e.beat > longSilence {
			e.back = w.now
		}
		e.beat = w.now
		e.over()
		to.step(in)
	})
}

// crossed tells whether the crosslink carries what one node sends to another.
func (w *World) crossed(from, to *host) bool {
	return from.powered() && to.powered() && w.cross[from.n][to.n] == 0
}

// beats tells whether heartbeats of a node come to another one, were both to run.
func (w *World) beats(from, to *host) bool {
	spec := w.scenario.Guard
	if spec == nil || spec.Paths == 0 {
		return false
	}
	return spec.Paths > 1 && w.crossed(from, to) || w.hears(0, to, from) && !w.segments[0].noisy()
}

// replay has somebody send heartbeats again that former runs of a node have sent, five times a second.
func (w *World) replay(f Fault) (end func()) {
	over := false
	var again func()
	turn := 0
	again = func() {
		if over {
			return
		}
		h := w.hosts[f.Node]
		if old := len(h.record) - 1; old > 0 { // the last one may be of the run of now
			r := h.record[turn%old]
			turn++
			if to := w.hosts[r.to]; !to.off {
				to.give(r.in)
			}
		}
		w.after(200*time.Millisecond, again)
	}
	again()
	return func() { over = true }
}
