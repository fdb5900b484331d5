package engine

import (
	"context"
	"net"
	"sync"

	"github.com/vipward/vipward/core/control"
)

// readOnly is the listener of the block `listen`, which a reload may move to another address.
type readOnly struct {
	mu   sync.Mutex
	next net.Listener  // opened, not served yet
	wake chan struct{} // told that next has changed, or that there is none any more
}

func newReadOnly() *readOnly { return &readOnly{wake: make(chan struct{}, 1)} }

// prepare opens the address; nil where it is empty. Nothing else changes before [readOnly.use].
func (r *readOnly) prepare(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	return control.Listen(address)
}

// use puts a listener in the place of the one before; nil for none.
func (r *readOnly) use(l net.Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
	r.next = l
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// close drops a listener that nobody serves yet.
func (r *readOnly) close() {
	if r.next != nil {
		_ = r.next.Close() // nobody has used it
	}
}

func (r *readOnly) take() net.Listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.next
	r.next = nil
	return l
}

// run serves whatever listener is in force, until ctx ends.
func (r *readOnly) run(ctx context.Context, s *control.Server) error {
	stop, failed := func() {}, make(chan error, 1)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-r.wake:
		}
		stop()
		l := r.take()
		if l == nil {
			stop = func() {}
			continue
		}
		serving, cancel := context.WithCancel(ctx)
		stop = cancel
		go func() {
			if err := s.RunReadOnly(serving, l); err != nil && serving.Err() == nil {
				failed <- err
			}
		}()
	}
}
