package kernel

import (
	"context"
	"sync"
)

// mailbox hands the latest value of any number of writers to one reader, and tells when the reader has dealt with it.
type mailbox[T any] struct {
	changed chan struct{} // holds one token while a value waits

	mu       sync.Mutex
	value    T
	puts     uint64        // values put so far
	done     uint64        // the last value dealt with, and all before it
	finished chan struct{} // closed and replaced when done grows
}

func newMailbox[T any]() *mailbox[T] {
	return &mailbox[T]{changed: make(chan struct{}, 1), finished: make(chan struct{})}
}

// put replaces the value. It never blocks.
func (m *mailbox[T]) put(v T) {
	m.mu.Lock()
	m.value = v
	m.puts++
	m.mu.Unlock()
	nudge(m.changed)
}

// take returns the latest value and its number, for finish.
func (m *mailbox[T]) take() (T, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.value, m.puts
}

// finish says that the value of this number has been dealt with. It may be said again.
func (m *mailbox[T]) finish(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done == number {
		return
	}
	m.done = number
	close(m.finished)
	m.finished = make(chan struct{})
}

// wait returns when everything put before it has been dealt with.
func (m *mailbox[T]) wait(ctx context.Context) error {
	m.mu.Lock()
	number := m.puts
	for m.done < number {
		finished := m.finished
		m.mu.Unlock()
		select {
		case <-finished:
		case <-ctx.Done():
			return ctx.Err()
		}
		m.mu.Lock()
	}
	m.mu.Unlock()
	return nil
}

// nudge leaves one token in a channel of capacity one.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
