package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/pluginhost"
)

// range of fencers: "good" confirms after a second, "bad" fails, "hangs" answers when its time is over, "liar" confirms a dry run.
func answerOf(ctx context.Context, c pluginhost.FenceCall) pluginhost.Fenced {
	switch c.Fencer.Name {
	case "good":
		time.Sleep(time.Second)
		if c.DryRun {
			return pluginhost.Fenced{Verdict: pluginhost.Unknown, Evidence: "dry run: would switch"}
		}
		return pluginhost.Fenced{Verdict: pluginhost.Confirmed, Evidence: "reads off"}
	case "hangs":
		<-ctx.Done()
		return pluginhost.Fenced{Verdict: pluginhost.Unknown, Evidence: "no answer"}
	}
	return pluginhost.Fenced{Verdict: pluginhost.Failed, Evidence: "refused"}
}

func TestAnOrderIsCarriedOut(t *testing.T) {
	for _, tt := range []struct {
		fencers string
		dry     bool
		want    string
		took    time.Duration
	}{
		{"good", false, "OK good: reads off", time.Second},
		{"good good", false, "OK good: reads off; good: reads off", 2 * time.Second},
		{"bad good", false, "failed bad: refused", 0},
		{"good bad", false, "failed good: reads off; bad: refused", time.Second},
		{"hangs", false, "failed hangs: no answer", 10 * time.Second},
		{"good", true, "rehearsed good: dry run: would switch", time.Second},
		{"bad", true, "failed bad: refused", 0},
		{"gone", false, "failed there is no fencer gone any more", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := make(chan node.Fenced, 1)
			s := newShots(answerOf, func(r node.Fenced) { got <- r })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { _ = s.run(ctx) }()
			began := time.Now()
			s.Give(orderOf("lb2", tt.dry, strings.Fields(tt.fencers)...), known)
			r := <-got
			if text := resultText(r); text != tt.want || time.Since(began) != tt.took || r.Node != "lb2" || r.ID != 7 {
				t.Errorf("%s, dry %v: %s after %v, want %s after %v", tt.fencers, tt.dry, text, time.Since(began), tt.want, tt.took)
			}
		})
	}
}

func TestOrdersAboutOneNodeComeOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		began := time.Now()
		s := newShots(answerOf, func(r node.Fenced) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, fmt.Sprintf("%s %v", r.Node, time.Since(began)))
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.run(ctx) }()
		s.Give(orderOf("lb2", false, "good"), known)
		s.Give(orderOf("lb2", false, "good"), known)
		time.Sleep(500 * time.Millisecond)
		s.Give(orderOf("lb3", false, "good"), known)
		time.Sleep(time.Minute)
		mu.Lock()
		got := strings.Join(log, ", ")
		mu.Unlock()
		if want := "lb2 1s, lb3 1.5s, lb2 2s"; got != want {
			t.Errorf("they ended %s, want %s", got, want)
		}
		s.Give(orderOf("lb2", false, "hangs"), known)
		time.Sleep(time.Second)
		cancel()
		<-ended // what is under way is called off
	})
}

func TestAnOrderThatFindsNoRoomFails(t *testing.T) {
	var failed int
	s := newShots(answerOf, func(r node.Fenced) { failed++ })
	for range maxShots + 1 {
		s.Give(orderOf("lb2", false, "good"), known)
	}
	if failed != 1 || s.failed.Load() != 1 {
		t.Errorf("%d failed, counted %d; want 1", failed, s.failed.Load())
	}
}

var known = []config.Fencer{{Name: "good"}, {Name: "bad"}, {Name: "hangs"}}

func orderOf(name string, dry bool, fencers ...string) node.FenceOrder {
	return node.FenceOrder{Node: name, FenceOrder: guard.FenceOrder{ID: 7, Fencers: fencers, DryRun: dry, Limit: 10 * time.Second}}
}

func resultText(r node.Fenced) string {
	switch {
	case r.OK:
		return "OK " + r.Evidence
	case r.Rehearsed:
		return "rehearsed " + r.Evidence
	}
	return "failed " + r.Evidence
}
