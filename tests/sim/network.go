package sim

import (
	"time"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// clients is how many other machines each segment has. They only listen to announcements, and believe the last one: as nobody asks
// anew, a cache that is wrong stays so until it is put right.
const clients = 2

// segment is one link with what disturbs it.
type segment struct {
	// cut counts, by sender and receiver, what keeps packets from getting through. The clients come after the nodes.
	cut [][]int
	// filtered counts the same for adverts alone, between nodes.
	filtered [][]int
	// dead counts what has each reference silent.
	dead [maxReferences]int
	// loss and duplicates, in percent, and further delay: of each fault in force.
	loss, duplicates []int
	delay            []time.Duration
	bursts           []burstLoss
	caches           [clients][]cache // by VIP

	shaken, chaos time.Duration // when it changed last, and when the noise did
}

// burstLoss loses everything for the first part of each period.
type burstLoss struct{ lost, period time.Duration }

// cache is what a client believes of one VIP.
type cache struct {
	owner int           // -1 for nobody yet
	since time.Duration // when it has changed
	// teller is who has last sent it an announcement that only chance could keep from it, and told when.
	teller int
	told   time.Duration
}

func newSegment(nodes, vips int) *segment {
	s := &segment{}
	for range nodes + clients {
		s.cut = append(s.cut, make([]int, nodes+clients))
	}
	for range nodes {
		s.filtered = append(s.filtered, make([]int, nodes))
	}
	for c := range s.caches {
		s.caches[c] = make([]cache, vips)
		for v := range s.caches[c] {
			s.caches[c][v].owner = -1
		}
	}
	return s
}

// noisy tells whether packets may be lost by chance, or late beyond what is normal.
func (s *segment) noisy() bool { return len(s.loss)+len(s.bursts)+len(s.delay) > 0 }

// worst is the largest of the values; 0 for none.
func worst[T int | time.Duration](list []T) (most T) {
	for _, x := range list {
		most = max(most, x)
	}
	return most
}

// hears tells whether packets of a get to b, and both take part.
func (w *World) hears(s int, to, from *host) bool {
	return w.segments[s].cut[from.n][to.n] == 0 && from.works(s) && to.works(s)
}

// travels is how long a packet takes, and whether it gets lost by chance.
func (w *World) travels(from, s int) (d time.Duration, lost bool) {
	seg := w.segments[s]
	d = w.some(from, ofDelay, time.Duration(w.scenario.Delay)) + w.some(from, ofDelay, worst(seg.delay))
	lost = w.percent(from, ofLoss, worst(seg.loss))
	for _, b := range seg.bursts {
		lost = lost || w.now%b.period < b.lost
	}
	return d, lost
}

// send puts one advert on its segment.
func (w *World) send(from *host, a node.Advert) {
	s := segmentOf(a.Interface)
	w.judge.sent(from, s, a)
	if w.packets {
		w.tell("%s sends VRID %d priority %d on %s", from.name(), a.Payload[1], a.Payload[2], a.Interface)
	}
	if !from.works(s) {
		return
	}
	in := node.Received{
		Interface: a.Interface, Payload: a.Payload, Header: vrrp.Header{Source: a.Source, Destination: a.Destination, TTL: 255},
	}
	for _, to := range w.hosts {
		own := addresses(to.n, s)
		if to == from || !a.Destination.IsMulticast() && !contains(own[:], a.Destination) {
			continue
		}
		copies := 1 + b2i(w.percent(from.n, ofDuplicate, worst(w.segments[s].duplicates)))
		for range copies {
			if d, lost := w.travels(from.n, s); !lost && w.adverts(s, to, from) {
				w.deliver(to, from, s, d, in)
			}
		}
	}
}

// adverts tells whether nothing keeps the adverts of a node from another one.
func (w *World) adverts(s int, to, from *host) bool {
	seg := w.segments[s]
	return seg.cut[from.n][to.n] == 0 && seg.filtered[from.n][to.n] == 0 && from.choked[s] == 0
}

func (w *World) deliver(to, from *host, s int, d time.Duration, in node.Received) {
	w.after(d, func() {
		if !to.works(s) {
			return
		}
		to.hear(func() {
			to.ears[from.n].advert = w.now
			to.ears[from.n].over()
			to.step(in)
		})
	})
}

// announce tells the clients of a segment where a VIP is.
func (w *World) announce(from *host, v int) {
	s := w.vips[v].segment
	w.judge.announced(from, v)
	if w.packets {
		w.tell("%s announces %s", from.name(), w.key(v).Prefix.Addr())
	}
	if !from.works(s) {
		return
	}
	w.overhear(from, v)
	for c := range clients {
		d, lost := w.travels(from.n, s)
		if lost || w.segments[s].cut[from.n][len(w.hosts)+c] > 0 {
			continue
		}
		w.after(d, func() {
			if e := &w.segments[s].caches[c][v]; e.owner != from.n {
				e.owner, e.since = from.n, w.now
				w.judge.dirty(w.vips[v].instance)
			}
		})
	}
}
