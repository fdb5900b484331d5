package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/pluginhost"
)

// devices answer for the fencers of the tests: "dead" does not answer, "plugs" knows lb3 only, any other reads on.
type devices struct {
	mu     sync.Mutex
	calls  []string
	events []event.Event
	broken bool
}

func (d *devices) ask(_ context.Context, c pluginhost.FenceCall) pluginhost.Fenced {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, fmt.Sprintf("%s %s %s %v", c.Fencer.Name, c.Action, c.Node, c.DryRun))
	switch {
	case d.broken, c.Fencer.Name == "dead":
		return pluginhost.Fenced{Verdict: pluginhost.Unknown, Evidence: "no answer"}
	case c.Fencer.Name == "plugs" && c.Node != "lb3":
		return pluginhost.Fenced{Verdict: pluginhost.Unknown, Evidence: "no plug of that name"}
	case c.DryRun:
		return pluginhost.Fenced{Verdict: pluginhost.Unknown, Evidence: "dry run: reads on, and would be switched off"}
	}
	return pluginhost.Fenced{Verdict: pluginhost.Failed, Evidence: "reads on"}
}

func (d *devices) tell(e event.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// taken are the calls and the events since the last time.
func (d *devices) taken() (calls, events string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls = strings.Join(d.calls, "\n")
	for _, e := range d.events {
		events += fmt.Sprintf("%s %s %s\n", e.Severity, e.Code, e)
	}
	d.calls, d.events = nil, nil
	return calls, events
}

func configured(nodes []string, fencers ...string) *config.Config {
	c := &config.Config{Node: node.Config{Name: "lb1"}}
	for _, n := range nodes {
		c.Nodes = append(c.Nodes, config.Node{Name: n})
	}
	for _, f := range fencers {
		c.Fencers = append(c.Fencers, config.Fencer{Kind: "ipmi", Name: f, Timeout: time.Second})
	}
	return c
}

func TestFencersAreAskedEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &devices{}
		f := newFencers(d.ask, d.tell)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = f.run(ctx) }()
		synctest.Wait()

		f.Set(configured([]string{"lb1", "lb2"}, "power"))
		synctest.Wait()
		calls, events := d.taken()
		if calls != "power status lb2 false" || events != "info fencer.ready fencer power: unknown -> ready (reads on)\n" {
			t.Errorf("at the start: calls %s, events %s", calls, events)
		}
		f.Set(configured([]string{"lb1", "lb2"}, "power", "dead"))
		synctest.Wait()
		calls, events = d.taken()
		if calls != "dead status lb2 false" || events != "warning fencer.unreachable fencer dead: unknown -> unreachable (no answer)\n" {
			t.Errorf("after a reload only the new one is asked: calls %s, events %s", calls, events)
		}
		d.mu.Lock()
		d.broken = true
		d.mu.Unlock()
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		calls, events = d.taken()
		if strings.Count(calls, "status") != 2 || events != "warning fencer.unreachable fencer power: ready -> unreachable (no answer)\n" {
			t.Errorf("after five minutes: calls %s, events %s", calls, events)
		}
		if s := f.status(); len(s) != 2 || s[0].State != "unreachable" || s[0].Node != "lb2" || s[0].Checked == nil || s[0].Evidence != "no answer" {
			t.Errorf("status = %+v", s)
		}
		f.Set(configured([]string{"lb1", "lb2"}))
		if s := f.status(); len(s) != 0 {
			t.Errorf("without fencers status = %+v", s)
		}
	})
}

func TestAFencerIsAskedAboutTheNodesUntilItKnowsOne(t *testing.T) {
	d := &devices{}
	f := newFencers(d.ask, d.tell)
	f.Set(configured([]string{"lb1", "lb2", "lb3", "lb4"}, "plugs", "fresh"))
	if s := f.status(); s[0].State != "unknown" || s[0].Checked != nil || len(f.metrics()) != 0 {
		t.Errorf("before it was asked: %+v, %v", s, f.metrics())
	}
	f.probe(t.Context(), true)
	if s := f.status(); s[0].State != "ready" || s[0].Node != "lb3" {
		t.Errorf("status = %+v", s)
	}
	if m := f.metrics(); len(m) != 2 || !m[0].Up || m[0].Name != "plugs" {
		t.Errorf("metrics = %+v", m)
	}
	if others := othersOf(configured(nil)); len(others) != 1 || others[0] != "lb1" {
		t.Errorf("a node alone asks about %v, want itself", others)
	}
}

func TestAnOperatorAsksAFencer(t *testing.T) {
	pair, three := configured([]string{"lb1", "lb2"}, "power", "dead"), configured([]string{"lb1", "lb2", "lb3"}, "power", "plugs")
	for _, tt := range []struct {
		name    string
		config  *config.Config
		request control.FenceRequest
		want    string
		kind    error
	}{
		{"status", pair, control.FenceRequest{Fencer: "power", Action: "status"}, "lb2 failed reads on true", nil},
		{"status of a node by name", pair, control.FenceRequest{Fencer: "power", Action: "status", Node: "lb1"}, "lb1 failed reads on true", nil},
		{"status of one that does not answer", pair, control.FenceRequest{Fencer: "dead", Action: "status"}, "lb2 unknown no answer false", nil},
		{"test", pair, control.FenceRequest{Fencer: "power", Action: "test"}, "lb2 failed reads on true dry run: reads on, and would be switched off", nil},
		{"test of one that does not answer", pair, control.FenceRequest{Fencer: "dead", Action: "test"}, "lb2 unknown no answer false no answer", nil},
		{"a mistyped fencer", pair, control.FenceRequest{Fencer: "powr", Action: "test"}, `there is no fencer "powr"; did you mean "power"?`, control.ErrNotFound},
		{"a mistyped node", pair, control.FenceRequest{Fencer: "power", Node: "lb9"}, `there is no node "lb9"; did you mean "lb1"?`, control.ErrNotFound},
		{"no fencers", configured([]string{"lb1"}), control.FenceRequest{Fencer: "power"}, `there is no fencer "power": the configuration has no block fencer`, control.ErrNotFound},
		{"several other nodes", three, control.FenceRequest{Fencer: "power"}, "bad request: there are several other nodes; name one of [lb2 lb3]", control.ErrRequest},
	} {
		d := &devices{}
		f := newFencers(d.ask, d.tell)
		f.Set(tt.config)
		a, err := f.request(t.Context(), tt.request, tt.config)
		got := strings.TrimSpace(fmt.Sprintf("%s %s %s %v %s", a.Node, a.Verdict, a.Evidence, a.Ready, a.DryRun))
		if err != nil {
			got = err.Error()
		}
		if got != tt.want || !errors.Is(err, tt.kind) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		for _, call := range d.calls {
			if strings.Contains(call, " off ") && !strings.HasSuffix(call, " true") {
				t.Errorf("%s: the call %s has an effect", tt.name, call)
			}
		}
	}
}

func TestAnOperatorsQuestionCountsForTheState(t *testing.T) {
	d := &devices{}
	c := configured([]string{"lb1", "lb2", "lb3"}, "plugs")
	f := newFencers(d.ask, d.tell)
	f.Set(c)
	f.probe(t.Context(), true)
	if _, err := f.request(t.Context(), control.FenceRequest{Fencer: "plugs", Action: "status", Node: "lb2"}, c); err != nil {
		t.Fatal(err)
	}
	if s := f.status(); s[0].State != "ready" || s[0].Node != "lb3" {
		t.Errorf("a question about a node that the fencer does not know made it %+v", s)
	}
	d.broken = true
	if _, err := f.request(t.Context(), control.FenceRequest{Fencer: "plugs", Action: "status", Node: "lb3"}, c); err != nil {
		t.Fatal(err)
	}
	if s := f.status(); s[0].State != "unreachable" {
		t.Errorf("the fencer does not answer any more, and is %+v", s)
	}
}
