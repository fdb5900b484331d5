package sim

import "time"

// item is something that happens at an instant.
type item struct {
	at  time.Duration
	seq uint64
	f   func()
}

func (a item) before(b item) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// queue is a heap of items, ordered by time and, at one instant, by age. It is container/heap without the boxing, which took half
// of the simulation's time.
type queue []item

func (q *queue) push(it item) {
	*q = append(*q, it)
	h := *q
	for k := len(h) - 1; k > 0; {
		up := (k - 1) / 2
		if !h[k].before(h[up]) {
			break
		}
		h[k], h[up] = h[up], h[k]
		k = up
	}
}

func (q *queue) pop() item {
	h := *q
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h[last] = item{}
	h = h[:last]
	*q = h
	for k := 0; ; {
		least := 2*k + 1
		if least >= last {
			return first
		}
		if other := least + 1; other < last && h[other].before(h[least]) {
			least = other
		}
		if !h[least].before(h[k]) {
			return first
		}
		h[k], h[least] = h[least], h[k]
		k = least
	}
}
