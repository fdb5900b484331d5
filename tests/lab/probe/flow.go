package probe

import (
	"cmp"
	"slices"
	"time"
)

// Sample is one question to the VIP.
type Sample struct {
	// Sent is when it left.
	Sent time.Time
	// Received is when the answer came; zero for lost.
	Received time.Time
	// By is who answered, in its own words.
	By string
	// Err says why there was no answer, where that is known.
	Err string
}

// Answered tells whether an answer came.
func (s Sample) Answered() bool { return !s.Received.IsZero() }

// Flow is a series of questions in the order of their sending.
type Flow []Sample

// Between is the part of the flow that was sent in [from, to). A zero to means to the end.
func (f Flow) Between(from, to time.Time) Flow {
	var part Flow
	for _, s := range f {
		if !s.Sent.Before(from) && (to.IsZero() || s.Sent.Before(to)) {
			part = append(part, s)
		}
	}
	return part
}

// Lost lists the questions without an answer.
func (f Flow) Lost() Flow {
	var lost Flow
	for _, s := range f {
		if !s.Answered() {
			lost = append(lost, s)
		}
	}
	return lost
}

// By counts the answers of each who answered.
func (f Flow) By() map[string]int {
	n := map[string]int{}
	for _, s := range f {
		if s.Answered() {
			n[s.By]++
		}
	}
	return n
}

// Silence is the longest time without any answer, by the time of arrival, and when it began. The time before the first
// question and after the last one is no silence. It is the honest measure of an outage: an answer that was held up and
// came late is not lost, and yet nobody was served meanwhile.
func (f Flow) Silence() (longest time.Duration, since time.Time) {
	if len(f) == 0 {
		return 0, time.Time{}
	}
	arrivals := []time.Time{f[0].Sent}
	for _, s := range f {
		if s.Answered() {
			arrivals = append(arrivals, s.Received)
		}
	}
	slices.SortFunc(arrivals, time.Time.Compare)
	if end := f[len(f)-1].Sent; end.After(arrivals[len(arrivals)-1]) {
		arrivals = append(arrivals, end) // the end without an answer
	}
	for i := 1; i < len(arrivals); i++ {
		if d := arrivals[i].Sub(arrivals[i-1]); d > longest {
			longest, since = d, arrivals[i-1]
		}
	}
	return longest, since
}

// Turns lists who answered, each time that it changed, by the order of sending.
func (f Flow) Turns() []string {
	var turns []string
	for _, s := range f {
		if s.Answered() && (len(turns) == 0 || turns[len(turns)-1] != s.By) {
			turns = append(turns, s.By)
		}
	}
	return turns
}

func (f Flow) sorted() Flow {
	slices.SortFunc(f, func(a, b Sample) int { return cmp.Or(a.Sent.Compare(b.Sent), a.Received.Compare(b.Received)) })
	return f
}
