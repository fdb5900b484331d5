// Package power makes a fencer of a device that switches power and says how it reads: a controller, an outlet, a hypervisor. It
// holds what all such fencers have in common: a switch is not believed before it has been read back, a dry run switches
// nothing, and what cannot be read is unknown. It is not for fencers that take something else away than power.
package power

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vipward/vipward/sdk"
)

// State is how a device reads.
type State string

// The states. Whatever else a device may say is an error of [Device.Read].
const (
	On  State = "on"
	Off State = "off"
)

// Device is one power switch, as it is for one call.
type Device struct {
	// Name is what the evidence calls it: "outlet 7 of 10.9.0.9".
	Name string
	// Read asks how the device reads now, and changes nothing.
	Read func(context.Context) (State, error)
	// Switch asks for a state. An error does not mean that nothing happened: see [Refused].
	Switch func(context.Context, State) error
	// Ready tells what would keep a switch to this state from working, besides that the device cannot be read. Nil for nothing.
	Ready func(context.Context, State) error
	// Close ends the call. Nil for nothing to end.
	Close func()
	// Poll is the pause between two readings. Default 1 s.
	Poll time.Duration
	// Reads says how the device reads, for the evidence. Nil for NAME reads STATE.
	Reads func(State) string
	// Reboot has the power given back once the device has read off.
	Reboot bool
}

// refusal is an error that asking again does not mend.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Refused marks an error that asking again does not mend: the device said no, to the password or to what was asked. After that
// of [Device.Switch] the device is read once, and not waited for; that of [Device.Read] is the last. A nil error stays nil.
func Refused(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{err}
}

// Fence makes the functions of a fencer. open makes the device for one call, and may reach it; an error is unknown.
func Fence[C any](open func(context.Context, sdk.FenceTarget, C) (*Device, error)) sdk.Fence[C] {
	call := func(do func(context.Context, sdk.FenceTarget, *Device) sdk.FenceResult) func(context.Context, sdk.FenceTarget, C) sdk.FenceResult {
		return func(ctx context.Context, t sdk.FenceTarget, c C) sdk.FenceResult {
			ctx, cancel := early(ctx)
			defer cancel()
			d, err := open(ctx, t, c)
			if err != nil {
				return sdk.Unknown(err)
			}
			if d.Close != nil {
				defer d.Close()
			}
			return do(ctx, t, d)
		}
	}
	to := func(want State) func(context.Context, sdk.FenceTarget, *Device) sdk.FenceResult {
		return func(ctx context.Context, t sdk.FenceTarget, d *Device) sdk.FenceResult {
			if t.DryRun {
				return d.rehearse(ctx, want)
			}
			return d.switchTo(ctx, want)
		}
	}
	status := func(ctx context.Context, _ sdk.FenceTarget, d *Device) sdk.FenceResult { return d.status(ctx) }
	return sdk.Fence[C]{Off: call(to(Off)), On: call(to(On)), Status: call(status)}
}

// early ends a little before the deadline of the call, so that there is time to say why.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/10, 500*time.Millisecond)))
}

// reads is how the device reads, in words.
func (d *Device) reads(s State) string {
	if d.Reads != nil {
		return d.Reads(s)
	}
	return fmt.Sprintf("%s reads %s", d.Name, s)
}

func (d *Device) status(ctx context.Context) sdk.FenceResult {
	state, err := d.read(ctx)
	switch {
	case err != nil:
		return sdk.Unknown(err)
	case state != Off:
		return sdk.Failed(errors.New(d.reads(state)))
	}
	return sdk.Confirmed(d.reads(Off))
}

// rehearse does everything but the switching.
func (d *Device) rehearse(ctx context.Context, want State) sdk.FenceResult {
	state, err := d.read(ctx)
	if err == nil && d.Ready != nil {
		err = d.Ready(ctx, want)
	}
	if err == nil && want == Off && d.Reboot && d.Ready != nil {
		err = d.Ready(ctx, On)
	}
	if err != nil {
		return sdk.Unknown(err)
	}
	return sdk.Confirmed(fmt.Sprintf("%s, and would be switched %s", d.reads(state), want))
}

// read is Read with words for the end of the time.
func (d *Device) read(ctx context.Context) (State, error) {
	state, err := d.Read(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", fmt.Errorf("%s did not answer in time: %w", d.Name, err)
	case err != nil:
		return "", err
	case state != On && state != Off:
		return "", fmt.Errorf("%s reads %q, which is neither on nor off", d.Name, state)
	}
	return state, nil
}

// switchTo switches, and confirms only what is read back. What switching says decides nothing but how long to wait.
func (d *Device) switchTo(ctx context.Context, want State) sdk.FenceResult {
	began := time.Now()
	half, cancel := context.WithDeadline(ctx, middle(ctx))
	failed := d.Switch(half, want)
	cancel() // the other half is for reading
	state, err := d.await(ctx, want, errors.As(failed, new(*refusal)))
	switch took := time.Since(began).Round(100 * time.Millisecond); {
	case err != nil:
		return sdk.Unknown(both(failed, err))
	case state == want && want == Off && d.Reboot:
		return sdk.Confirmed(d.reads(Off) + d.again(ctx))
	case state == want && failed != nil:
		return sdk.Confirmed(fmt.Sprintf("%s, although switching it ended with: %v", d.reads(want), failed))
	case state == want:
		return sdk.Confirmed(d.reads(want))
	case failed != nil:
		return sdk.Failed(fmt.Errorf("%s: %w", d.reads(state), failed))
	default:
		return sdk.Failed(fmt.Errorf("%s was switched %s without an error, and still reads %s after %v", d.Name, want, state, took))
	}
}

// both are two errors in one line, or one where they say the same.
func both(first, second error) error {
	if first == nil || first.Error() == second.Error() {
		return second
	}
	return fmt.Errorf("%w; then: %w", first, second)
}

// again gives the power back after it was off, and says what came of it: that it was off stays true.
func (d *Device) again(ctx context.Context) string {
	if err := d.Switch(ctx, On); err != nil {
		return fmt.Sprintf(", and could not be switched on again: %v", err)
	}
	return ", and was switched on again"
}

// middle is the instant at which half of the time is over.
func middle(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Now().Add(time.Minute)
	}
	return time.Now().Add(time.Until(deadline) / 2)
}

// await reads until the device reads as wanted, or until the time is over; once only with once. What came of the last reading that
// was not cut off counts.
func (d *Device) await(ctx context.Context, want State, once bool) (State, error) {
	poll := d.Poll
	if poll <= 0 {
		poll = time.Second
	}
	var last State
	var why error // instead of a state
	for {
		state, err := d.read(ctx)
		if ctx.Err() != nil && err != nil && (last != "" || why != nil) {
			return last, why
		}
		last, why = state, err
		if last == want || once || ctx.Err() != nil || errors.As(why, new(*refusal)) {
			return last, why
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return last, why
		}
	}
}
