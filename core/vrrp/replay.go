package vrrp

import (
	"net/netip"
	"time"
)

// maxMarks bounds the senders that are remembered. A mark is made only for what has a valid signature.
const maxMarks = 16

// againMost is how often the clock of a sender may be set back while it is wrong.
const againMost = 8

// Mark is the highest sequence number that one sender has used, so that its adverts cannot be sent again by somebody else.
type Mark struct {
	// Source of the sender; the own address for what this router has sent.
	Source netip.Addr
	// Sequence is the highest number.
	Sequence Sequence
}

// mark is what is known of the numbers of one sender.
type mark struct {
	source netip.Addr
	// last is the highest number within the time window, 0 for none.
	last Sequence
	// stale is the highest one outside of it, while its clock or the own one is wrong; 0 for none.
	stale Sequence
	heard time.Time
	again uint8 // how often it began anew outside of the window
}

// marks are those of all senders.
type marks []*mark

func (m *marks) of(src netip.Addr) *mark {
	var oldest int
	for k, one := range *m {
		if one.source == src {
			return one
		}
		if one.heard.Before((*m)[oldest].heard) {
			oldest = k
		}
	}
	one := &mark{source: src}
	if len(*m) < maxMarks {
		*m = append(*m, one)
	} else {
		(*m)[oldest] = one
	}
	return one
}

// fresh takes a number within the time window; it is false for one that was used before.
func (m *mark) fresh(now time.Time, seq Sequence) bool {
	if m.last != 0 && !seq.after(m.last) {
		return false
	}
	m.last, m.stale, m.heard, m.again = seq, 0, now, 0
	return true
}

// alive takes a number outside of the time window and tells whether it proves that its sender is there now: the number must go
// on from the last one. One that begins anew below what is known, as it does when a clock is set back, proves nothing before
// a second one follows it: an old advert that somebody sends again stays alone. Whoever has recorded several can begin anew
// againMost times, until the sender's clock is right again.
func (m *mark) alive(now time.Time, seq Sequence) bool {
	began := m.stale != 0
	switch {
	case !began || seq.after(m.stale):
	case seq != m.stale && m.again < againMost:
		m.again++
		m.stale = seq // the clock was set back once more
		return false
	default:
		return false
	}
	m.stale, m.heard = seq, now
	return began || m.last == 0 || seq.after(m.last)
}

// nextSequence numbers one more advert: the clock, but above what was used before. Where the clock was set back by more than
// the window, which makes the old numbers useless, it begins anew.
func (r *Router) nextSequence(now time.Time) Sequence {
	seq := sequenceAt(now)
	if !seq.after(r.numbered) && r.numbered.ahead(now) <= r.cfg.window() {
		seq = r.numbered + 1
	}
	r.numbered = seq
	return seq
}

// Marks are the sequence numbers that must survive a restart; empty without authentication.
func (r *Router) Marks() []Mark {
	if !r.cfg.Auth.enabled() {
		return nil
	}
	var out []Mark
	if r.numbered != 0 && r.cfg.Source.IsValid() {
		out = append(out, Mark{r.cfg.Source, r.numbered})
	}
	for _, m := range r.marks {
		if m.last != 0 && m.source != r.cfg.Source {
			out = append(out, Mark{m.source, m.last})
		}
	}
	return out
}

// Remember takes the marks of a former run. It is called before [Start], as soon as the own address is known.
func (r *Router) Remember(marks []Mark) {
	for _, m := range marks {
		if m.Source == r.cfg.Source {
			r.numbered = m.Sequence
		} else if one := r.marks.of(m.Source); one.last == 0 || m.Sequence.after(one.last) {
			one.last = m.Sequence
		}
	}
}
