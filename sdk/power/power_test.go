package power_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
)

// outlet is a device with faults.
type outlet struct {
	mu       sync.Mutex
	state    power.State
	switched []power.State
	closed   int

	lies    bool          // says that it switched, and does not
	after   int           // readings until a switch shows
	err     error         // of Switch, which switches all the same unless it lies
	readErr error         // of Read
	ready   error         // of Ready
	hang    bool          // Read returns with the context only
	stuck   bool          // Switch returns with the context only
	reboot  bool          //
	poll    time.Duration // default 10 ms
}

type config struct{}

func (o *outlet) read(ctx context.Context) (power.State, error) {
	if o.hang {
		<-ctx.Done()
		return "", ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.after > 0 {
		o.after--
		return power.On, nil
	}
	return o.state, o.readErr
}

func (o *outlet) turn(ctx context.Context, to power.State) error {
	if o.stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.switched = append(o.switched, to)
	if !o.lies {
		o.state = to
	}
	return o.err
}

func (o *outlet) test(t *testing.T) plugintest.FencerTest {
	return plugintest.Fencer(t, "outlet", power.Fence(func(context.Context, sdk.FenceTarget, config) (*power.Device, error) {
		return &power.Device{
			Name: "outlet 7", Read: o.read, Switch: o.turn, Poll: max(o.poll, 10*time.Millisecond), Reboot: o.reboot,
			Ready: func(context.Context, power.State) error { return o.ready },
			Close: func() { o.closed++ },
		}, nil
	})).Timeout(time.Minute)
}

func TestWhatIsConfirmedWasReadBack(t *testing.T) {
	o := &outlet{state: power.On, after: 3}
	o.test(t).Off().Confirmed("outlet 7 reads off")
	o.test(t).Status().Confirmed("outlet 7 reads off")
	o.test(t).Off().Confirmed("outlet 7 reads off")
	o.test(t).On().Confirmed("outlet 7 reads on")
	o.test(t).Status().Failed("outlet 7 reads on")
	if o.closed != 5 {
		t.Errorf("the device was closed %d times, want once for each call", o.closed)
	}
}

func TestTheDeviceThatLies(t *testing.T) {
	t.Parallel()
	o := &outlet{state: power.On, lies: true}
	o.test(t).Timeout(5 * time.Second).Off().Failed("outlet 7 was switched off without an error, and still reads on after")
}

func TestTheErrorOfASwitch(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection broke")
	for _, tt := range []struct {
		name   string
		outlet *outlet
		want   func(plugintest.FencerResult)
	}{
		{"it happened all the same", &outlet{state: power.On, err: broken}, func(r plugintest.FencerResult) {
			r.Confirmed("reads off, although switching it ended with: the connection broke")
		}},
		{"it did not happen", &outlet{state: power.On, err: broken, lies: true}, func(r plugintest.FencerResult) {
			r.Failed("outlet 7 reads on: the connection broke")
		}},
		{"nobody can tell", &outlet{err: broken, readErr: errors.New("no route")}, func(r plugintest.FencerResult) {
			r.Unknown("the connection broke; then: no route")
		}},
		{"it reads neither on nor off", &outlet{state: "dim", lies: true}, func(r plugintest.FencerResult) {
			r.Unknown(`outlet 7 reads "dim", which is neither on nor off`)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want(tt.outlet.test(t).Timeout(5 * time.Second).Off())
		})
	}
}

func TestARefusalIsNotWaitedFor(t *testing.T) {
	o := &outlet{state: power.On, lies: true, err: power.Refused(errors.New("no such right"))}
	began := time.Now()
	o.test(t).Timeout(time.Minute).Off().Failed("outlet 7 reads on: no such right")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, although the device said no", took)
	}
	o = &outlet{state: power.On, err: errors.New("wrong password"), readErr: power.Refused(errors.New("wrong password"))}
	o.test(t).Timeout(time.Minute).Off().Unknown("wrong password")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, although the device let nobody in", took)
	}
	if power.Refused(nil) != nil {
		t.Error("no error became a refusal")
	}
}

func TestTheDeviceThatHangs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		outlet *outlet
		want   func(plugintest.FencerTest)
	}{
		{"its status", &outlet{hang: true}, func(f plugintest.FencerTest) { f.Status().Unknown("outlet 7 did not answer in time") }},
		{"all of it", &outlet{hang: true}, func(f plugintest.FencerTest) { f.Off().Unknown("outlet 7 did not answer in time") }},
		{"its switch, which does nothing", &outlet{state: power.On, stuck: true}, func(f plugintest.FencerTest) {
			f.Off().Failed("outlet 7 reads on: context deadline exceeded")
		}},
		{"its switch, which does all the same", &outlet{state: power.Off, stuck: true}, func(f plugintest.FencerTest) {
			f.Off().Confirmed("reads off, although")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want(tt.outlet.test(t).Timeout(5 * time.Second))
		})
	}
}

func TestAReadingThatIsCutOffLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	o := &outlet{state: power.On, lies: true, poll: time.Hour}
	o.test(t).Timeout(5 * time.Second).Off().Failed("still reads on")
}

func TestTheReasonOfAReadingThatIsCutOffIsThatOfTheOneBefore(t *testing.T) {
	t.Parallel()
	reads := 0
	f := power.Fence(func(context.Context, sdk.FenceTarget, config) (*power.Device, error) {
		return &power.Device{
			Name: "outlet 7", Poll: 10 * time.Millisecond, Switch: func(context.Context, power.State) error { return nil },
			Read: func(ctx context.Context) (power.State, error) {
				if reads++; reads == 1 {
					return "", errors.New("no plug 7")
				}
				<-ctx.Done()
				return "", ctx.Err()
			},
		}, nil
	})
	plugintest.Fencer(t, "outlet", f).Timeout(5 * time.Second).Off().Unknown("no plug 7")
}

func TestARebootConfirmsThatItWasOff(t *testing.T) {
	o := &outlet{state: power.On, reboot: true}
	o.test(t).Off().Confirmed("outlet 7 reads off, and was switched on again")
	if o.state != power.On {
		t.Errorf("the outlet is %s", o.state)
	}
	o = &outlet{state: power.On, reboot: true, err: errors.New("busy")}
	o.test(t).Off().Confirmed("outlet 7 reads off, and could not be switched on again: busy")
}

func TestADryRunSwitchesNothing(t *testing.T) {
	o := &outlet{state: power.On, reboot: true}
	o.test(t).DryRun().Off().Unknown("dry run: outlet 7 reads on, and would be switched off")
	o.test(t).DryRun().On().Unknown("dry run: outlet 7 reads on, and would be switched on")
	o.ready = errors.New("the user may not switch")
	o.test(t).DryRun().Off().Unknown("the user may not switch")
	o.ready, o.readErr = nil, errors.New("wrong password")
	o.test(t).DryRun().Off().Unknown("wrong password")
	if len(o.switched) > 0 {
		t.Errorf("the outlet was switched %v", o.switched)
	}
}

func TestADeviceThatCannotBeOpenedIsUnknown(t *testing.T) {
	f := power.Fence(func(context.Context, sdk.FenceTarget, config) (*power.Device, error) {
		return nil, errors.New("no route")
	})
	plugintest.Fencer(t, "outlet", f).Off().Unknown("no route")
}

func TestConformance(t *testing.T) {
	(&outlet{state: power.On}).test(t).Conformance()
}
