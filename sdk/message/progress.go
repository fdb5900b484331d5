package message

import (
	"context"
	"sync"

	"github.com/vipward/vipward/sdk"
)

// Progress remembers how far a delivery has come that tells of one event after the other, so that an attempt that fails half-way
// is taken up where it ended. The zero value is ready; a configuration keeps it from its Open on.
type Progress struct {
	mu   sync.Mutex
	key  string
	done int
}

// Each calls tell for the events of a delivery in their order, without those that an attempt before has told of. It ends at the
// first error that is to be tried again. What tell drops, by [sdk.Drop], is passed over; the first such error comes back in the end.
func (p *Progress) Each(ctx context.Context, events []sdk.Event, tell func(sdk.Event) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := sdk.DeliveryOf(ctx).Key
	if key == "" || key != p.key || p.done >= len(events) {
		p.key, p.done = key, 0
	}
	var dropped error
	for _, e := range events[p.done:] {
		err := tell(e)
		if err != nil && !sdk.Dropped(err) {
			return err
		}
		if dropped == nil {
			dropped = err
		}
		p.done++
	}
	return dropped
}
