package sdk

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

type outlet struct {
	Number int `vipward:"number,required" min:"1" doc:"The outlet."`
}

type fenceFunc = func(context.Context, FenceTarget, outlet) FenceResult

func newFences(f Fence[outlet]) *fences {
	s := &server{components: []Component{Fencer("pdu", f)}}
	return &fences{components: s.byName(pluginv1.Kind_FENCER), log: newLogger(io.Discard), busy: make(map[string]chan struct{})}
}

func fence(ctx context.Context, t *testing.T, f *fences, r *pluginv1.FenceRequest) (verdict, evidence string) {
	t.Helper()
	r.Component, r.Node = "pdu", "lb2"
	if r.ConfigJson == nil {
		r.ConfigJson = []byte(`{"number": 7}`)
	}
	a, err := f.Fence(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return a.GetVerdict().String(), a.GetEvidence()
}

func TestVerdictsOfAFencer(t *testing.T) {
	off := func(r FenceResult) fenceFunc {
		return func(context.Context, FenceTarget, outlet) FenceResult { return r }
	}
	tests := []struct {
		name              string
		off               fenceFunc
		config            string
		dry               bool
		verdict, evidence string
	}{
		{"what is confirmed with evidence is confirmed", off(Confirmed("outlet 7 reads off")), "", false, "CONFIRMED", "outlet 7 reads off"},
		{"what is confirmed without evidence is unknown", off(Confirmed(" ")), "", false, "UNKNOWN", "confirmed without evidence"},
		{"what is confirmed in a dry run is unknown", off(Confirmed("would switch outlet 7")), "", true, "UNKNOWN", "dry run: would switch"},
		{"a failure says why", off(Failed(errors.New("login refused"))), "", false, "FAILED", "login refused"},
		{"a failure without an error is unknown", off(Failed(nil)), "", false, "UNKNOWN", "without an error"},
		{"a result that was never made is unknown", off(FenceResult{}), "", false, "UNKNOWN", ""},
		{"a missing function is unknown", nil, "", false, "UNKNOWN", "no action off"},
		{"a panic is unknown", func(context.Context, FenceTarget, outlet) FenceResult { panic("oops") }, "", false, "UNKNOWN", "panic: oops"},
		{"a wrong configuration is unknown", off(Confirmed("off")), `{"number": 0}`, false, "UNKNOWN", "number"},
		{"no configuration is unknown", off(Confirmed("off")), `{`, false, "UNKNOWN", "not an object"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r := &pluginv1.FenceRequest{Action: pluginv1.FenceRequest_OFF, DryRun: c.dry}
			if c.config != "" {
				r.ConfigJson = []byte(c.config)
			}
			verdict, evidence := fence(t.Context(), t, newFences(Fence[outlet]{Off: c.off}), r)
			if verdict != c.verdict || !strings.Contains(evidence, c.evidence) {
				t.Errorf("Fence = %s %q, want %s %q", verdict, evidence, c.verdict, c.evidence)
			}
		})
	}
}

func TestEachActionHasItsFunction(t *testing.T) {
	say := func(s string) fenceFunc {
		return func(_ context.Context, target FenceTarget, c outlet) FenceResult {
			if target.Node != "lb2" || c.Number != 7 {
				return Failed(errors.New("wrong target or configuration"))
			}
			return Confirmed(s)
		}
	}
	f := newFences(Fence[outlet]{Off: say("OFF"), On: say("ON"), Status: say("STATUS")})
	for _, action := range []pluginv1.FenceRequest_Action{pluginv1.FenceRequest_OFF, pluginv1.FenceRequest_ON, pluginv1.FenceRequest_STATUS} {
		if verdict, evidence := fence(t.Context(), t, f, &pluginv1.FenceRequest{Action: action}); verdict != "CONFIRMED" || evidence != action.String() {
			t.Errorf("%v = %s %q", action, verdict, evidence)
		}
	}
	if verdict, _ := fence(t.Context(), t, f, &pluginv1.FenceRequest{Action: 99}); verdict != "UNKNOWN" {
		t.Errorf("an action of a later version is %s", verdict)
	}
}

func TestAFencerThatIgnoresItsDeadlineIsUnknownAndKeepsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		f := newFences(Fence[outlet]{Off: func(context.Context, FenceTarget, outlet) FenceResult {
			calls.Add(1)
			<-release
			return Confirmed("off at last")
		}})
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if verdict, _ := fence(ctx, t, f, &pluginv1.FenceRequest{Action: pluginv1.FenceRequest_OFF}); verdict != "UNKNOWN" {
				t.Errorf("after the deadline the verdict is %s", verdict)
			}
			cancel()
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls at a time, want 1", n)
		}
		close(release)
		synctest.Wait()
		if verdict, _ := fence(t.Context(), t, f, &pluginv1.FenceRequest{Action: pluginv1.FenceRequest_OFF}); verdict != "CONFIRMED" {
			t.Errorf("with the turn free the verdict is %s", verdict)
		}
	})
}

func TestAHostWithoutADeadlineGetsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFences(Fence[outlet]{Off: func(ctx context.Context, _ FenceTarget, _ outlet) FenceResult {
			<-ctx.Done()
			return Confirmed("too late")
		}})
		began := time.Now()
		verdict, _ := fence(context.Background(), t, f, &pluginv1.FenceRequest{Action: pluginv1.FenceRequest_OFF})
		if verdict != "UNKNOWN" || time.Since(began) != maxFence {
			t.Errorf("%s after %v", verdict, time.Since(began))
		}
	})
}
