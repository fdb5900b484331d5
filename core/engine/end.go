package engine

import (
	"context"
	"errors"
	"time"
)

// The bounds of the parts of a shutdown. systemd's own time-out must be longer than their sum and the hand-over.
const (
	applyLimit = 3 * time.Second
	flushLimit = 5 * time.Second
)

// end finishes after the last step of the node: the kernel holds nothing of ours any more, and the notifiers have heard of it.
func (e *engine) end(ctx context.Context) error {
	notify(e.log, stateStopping)
	e.verdicts.keep(e.loop.node.Verdicts(), time.Now())
	e.marks.keep(e.loop.node.Marks())
	if err := e.memory.keep(e.loop.node.Memory()); err != nil {
		e.log.Error("what must outlive a restart cannot be kept: maintenance, and who was fenced", "error", err)
	}
	applied, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	err := e.addresses.Wait(applied)
	e.leases.Set(nil) // not before: what has no lease any more would be answered for again
	err = errors.Join(err, e.leases.Wait(applied), e.services.Wait(applied), e.refusals.Wait(applied), e.markings.Wait(applied),
		e.probing.Wait(applied))
	if err != nil {
		e.log.Error("not everything could be removed; leases end what is left of the addresses", "error", err)
	}
	flushed, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	if err := e.outbox.Flush(flushed); err != nil {
		e.log.Warn("some notifications were not delivered", "error", err)
	}
	e.log.Info("stopped")
	return nil
}
