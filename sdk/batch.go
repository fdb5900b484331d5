package sdk

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

const (
	batchDelay   = 50 * time.Millisecond // how long a result waits for company, unless it changes something
	beatInterval = time.Second
	maxBatch     = 256     // results in one event: with the longest reasons and values about half of what the host takes
	maxPending   = 1 << 14 // results that wait for a host that does not read
)

// batch gathers results into events. It belongs to the loop of one scheduler.
type batch struct {
	pending []*pluginv1.Result
	flush   time.Time // when pending is due; zero for nothing pending
	beat    time.Time // when the next heartbeat is due
	dropped uint64
}

// add takes a result; a changed one makes all that is pending due at once.
func (b *batch) add(now time.Time, r *pluginv1.Result, changed bool) {
	if len(b.pending) == maxPending {
		b.pending[0] = nil
		b.pending = b.pending[1:]
		b.dropped++
	}
	b.pending = append(b.pending, r)
	switch {
	case changed:
		b.flush = now
	case b.flush.IsZero():
		b.flush = now.Add(batchDelay)
	}
}

// due is when event will have something to send.
func (b *batch) due() time.Time {
	if !b.flush.IsZero() && b.flush.Before(b.beat) {
		return b.flush
	}
	return b.beat
}

// event is what is to be sent now; nil for nothing. It stays in the batch until sent is called with it.
func (b *batch) event(now time.Time, heartbeat func() *pluginv1.Heartbeat) *pluginv1.CheckerEvent {
	if b.due().After(now) {
		return nil
	}
	e := &pluginv1.CheckerEvent{Results: b.pending[:min(len(b.pending), maxBatch)]}
	if !b.beat.After(now) {
		e.Heartbeat = heartbeat()
	}
	return e
}

// sent takes what was sent out of the batch.
func (b *batch) sent(now time.Time, e *pluginv1.CheckerEvent) {
	b.pending = b.pending[len(e.GetResults()):]
	if len(b.pending) == 0 {
		b.pending, b.flush = nil, time.Time{}
	}
	if e.GetHeartbeat() != nil {
		b.beat = now.Add(beatInterval)
	}
}

func durationProto(d time.Duration) *durationpb.Duration { return durationpb.New(d) }
func timestampProto(t time.Time) *timestamppb.Timestamp  { return timestamppb.New(t) }
