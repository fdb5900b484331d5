// Package nemesis does to a pair what its users fear, round after round, and counts what a client sees: for how long two machines
// answer for the VIP, and for how long nobody does. keepalived can take the place of vipward, in the same laboratory.
package nemesis

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	// slack is what a loaded machine may add to a time that is asserted.
	slack = 900 * time.Millisecond
	// blip is an outage that counts as none: an answer that was late on a loaded machine.
	blip = 150 * time.Millisecond
	// handover is how long both hold the VIP in a planned move, as the questions of the client show it.
	handover = 200 * time.Millisecond
)

// round is what a client saw of one fault.
type round struct {
	overlap, after time.Duration // two owners: while the fault lasted, and in its healing
	silence        time.Duration
	moves          int
	unheard        []string      // alarms that were not given, or too late
	grain, coarse  time.Duration // between two questions of the client who has the VIP: on average, and at worst
}

// play plays some rounds of a fault on one pair.
func play(t *scenario.T, pacer *probe.Pacer, g game) (all []round) {
	f, k, advert := g.fault, g.kind, g.advert
	p := newPair(t, f, k, advert, pacer)
	p.bootBoth()
	p.settled()
	time.Sleep(2 * advert) // the peer has met the master
	for range g.rounds {
		time.Sleep(200*time.Millisecond + rand.N(advert)) // the fault knows no beat
		r := p.round(f)
		all = append(all, r)
		if k == vipward {
			p.judge(f, r)
		}
	}
	if k == vipward && f.silence != nil {
		p.judgeSilence(f, all)
	}
	return all
}

// round measures the fault and its healing apart: the VIP may be held by two for a moment when its owner is back.
func (p *pair) round(f fault) (r round) {
	stop := p.measure()
	time.Sleep(200 * time.Millisecond)
	p.began = time.Now()
	f.do(p)
	p.last(f)
	during := stop()
	p.announced = len(slices.DeleteFunc(during.Wire.Gratuitous, func(c probe.Claim) bool { return c.MAC != p.Node(topology.LB1).MAC.String() }))
	if p.kind == vipward {
		if f.shown != nil {
			f.shown(p)
		}
		r.unheard = p.unheard(f) // before it is booted again
	}
	stop = p.measure()
	if f.undo != nil {
		f.undo(p)
	}
	p.settled()
	time.Sleep(2*p.advert + 200*time.Millisecond)
	healing := stop()
	r.overlap, r.after = during.Wire.TwoOwners(), healing.Wire.TwoOwners()
	r.silence, _ = during.UDP.Silence()
	r.moves = moves(during, healing)
	r.grain, r.coarse = during.Wire.Grain()
	p.Logf("%s: %+v", f.name, r)
	return r
}

// unheard are the alarms of a fault that were not given, or too late.
func (p *pair) unheard(f fault) (missing []string) {
	for _, a := range f.alarms {
		since := p.began
		if a.seldom {
			since = time.Time{}
		}
		told := p.told(a, since)
		switch {
		case len(told) == 0:
			missing = append(missing, fmt.Sprintf("%s has not told of %s %s%s", a.node, a.code, a.to, a.text))
		case a.within != nil && told[0].Sub(p.began) > a.within(p.advert):
			missing = append(missing, fmt.Sprintf("%s has told of %s %s%s after %v, want it within %v", a.node, a.code, a.to, a.text,
				told[0].Sub(p.began), a.within(p.advert)))
		}
	}
	return missing
}

// last waits until the fault is over: where the peer is to take over, until it has done so and has spoken twice.
func (p *pair) last(f fault) {
	end := time.Now().Add(f.lasts(p.advert))
	over := func(more time.Duration) { end = time.Now().Add(min(more, time.Until(end))) }
	for time.Now().Before(end) && (f.next != "" || f.ended) {
		if f.ended && len(p.told(f.alarms[0], p.began)) > 0 {
			over(time.Second)
			break
		}
		if names, err := p.owners(); f.next != "" && err == nil && slices.Equal(names, []string{f.next}) {
			over(2*p.advert + 200*time.Millisecond)
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Until(end))
}

// judgeSilence takes the median: that the machine itself stalls in one round says nothing.
func (p *pair) judgeSilence(f fault, all []round) {
	var d []time.Duration
	for _, r := range all {
		d = append(d, r.silence)
	}
	slices.Sort(d)
	if median, most := d[len(d)/2], f.silence(p.advert); median > most {
		p.Errorf("%s at %v: nobody answered for %v, allowed are %v", f.name, p.advert, d, most)
	}
}

// moves counts how often another answered for most of a while than before: for a moment in a move both may.
func moves(reports ...probe.Report) (n int) {
	const while = 300 * time.Millisecond
	last := ""
	for _, r := range reports {
		for flow := r.UDP; len(flow) > 0; {
			some := flow.Between(flow[0].Sent, flow[0].Sent.Add(while))
			flow = flow[len(some):]
			most, count := "", 0
			for by, c := range some.By() {
				if c > count || c == count && by < most {
					most, count = by, c
				}
			}
			if last != "" && most != "" && most != last {
				n++
			}
			last = cmp.Or(most, last)
		}
	}
	return n
}

func (p *pair) judge(f fault, r round) {
	if f.overlap != nil && r.overlap > f.overlap(p.advert) {
		p.Errorf("%s at %v: two machines answered for the VIP for %v, allowed are %v", f.name, p.advert, r.overlap, f.overlap(p.advert))
	}
	// Two that did not hear each other learn of it by the next heartbeat.
	if f.overlap != nil && r.after > handover {
		p.Errorf("%s at %v: two machines answered for the VIP for %v when it healed", f.name, p.advert, r.after)
	}
	for _, missing := range r.unheard {
		p.Errorf("%s at %v: %s", f.name, p.advert, missing)
	}
	if f.maybe && r.moves == 0 && r.silence > blip {
		p.Errorf("%s at %v: nobody answered for %v, and the VIP did not move", f.name, p.advert, r.silence)
	}
	if r.moves > f.moves {
		p.Errorf("%s at %v: the VIP moved %d times, allowed are %d", f.name, p.advert, r.moves, f.moves)
	}
}

// line names a row of the table.
func line(f fault, advert time.Duration) string {
	return fmt.Sprintf("%s, adverts each %v", f.name, advert)
}

// failure is what a scenario failed with, as one text.
func failure(r scenario.Result) string { return strings.Join(append(r.Failures, r.Log...), "\n") }
