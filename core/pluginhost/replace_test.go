package pluginhost

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/health"
)

func reload(t *testing.T, w *world, name string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	return w.Reload(ctx, name)
}

func TestAReloadReplacesTheProcessWithoutAGap(t *testing.T) {
	w := newWorld(t)
	var checks []config.Check
	for i := range 100 {
		checks = append(checks, chaosCheck("c"+strconv.Itoa(i)))
	}
	w.Apply(nil, checks, nil)
	w.allObserved(checks)
	old := w.pid("chaos")
	if err := reload(t, w, "chaos"); err != nil {
		t.Fatal(err)
	}
	if pid := w.pid("chaos"); pid == 0 || pid == old {
		t.Errorf("process %d runs, before it was %d", pid, old)
	}
	w.allObserved(checks)
	w.until("the old process ends", func() bool { return !alive(old) })
	if s := w.status("chaos"); s.State != Running || s.Restarts != 0 {
		t.Errorf("status %+v, want a running plugin without restarts", s)
	}
	w.until("the event", func() bool { return slices.Equal(w.told(), []string{"plugin.started", "plugin.reloaded"}) })
	if err := reload(t, w, "chaos"); err != nil {
		t.Errorf("a second reload: %v", err)
	}
}

func TestAReloadThatFailsLeavesTheOldProcess(t *testing.T) {
	for _, tt := range []struct{ name, fault, want string }{
		{"one that does not start", "start-exit", "the new one failed: it ended before it said where it listens: exit status 3"},
		{"one that has no results", "lame", "the new one failed: it has a result of 0 of 2 checks after 5s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldParallel(t)
			healthy := once(t) // while it is there, a new process has no fault
			if err := os.WriteFile(healthy, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			w.Apply(chaos(tt.fault, healthy), []config.Check{chaosCheck("a"), chaosCheck("b")}, nil)
			w.observed("a", 1)
			old := w.pid("chaos")
			if err := os.Remove(healthy); err != nil {
				t.Fatal(err)
			}
			err := reload(t, w, "chaos")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("reload: %v, want %q", err, tt.want)
			}
			w.observed("a", 3)
			if pid := w.pid("chaos"); pid != old {
				t.Errorf("process %d runs, want the old one, %d", pid, old)
			}
			if told := w.told(); !slices.Equal(told, []string{"plugin.started"}) {
				t.Errorf("events %v, want the start only", told)
			}
		})
	}
}

func TestAReloadOfWhatIsNotInUseNamesWhatIs(t *testing.T) {
	w := newWorld(t)
	w.Apply(nil, []config.Check{chaosCheck("a")}, nil)
	var unknown *UnknownPlugin
	if err := reload(t, w, "chaso"); !errors.As(err, &unknown) || !slices.Equal(unknown.InUse, []string{"chaos"}) {
		t.Errorf("reload: %v, want one that names chaos", err)
	}
}

func TestATrippedPluginIsStartedByAReload(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t)
	w.o.Dirs = []string{dir}
	w.Apply(nil, []config.Check{chaosCheck("a")}, nil)
	w.until("it trips", func() bool { return w.status("chaos").State == Tripped })
	if s := w.status("chaos"); s.Restarts != maxDeaths || s.Reason != "start plugin chaos: no plugin chaos" {
		t.Errorf("status %+v, want the reason after %d starts", s, maxDeaths)
	}
	if err := reload(t, w, "chaos"); err == nil || !strings.Contains(err.Error(), "no plugin chaos") {
		t.Errorf("reload of what is not there: %v", err)
	}
	if err := os.Symlink(filepath.Join(plugins, "vipward-plugin-chaos"), filepath.Join(dir, "vipward-plugin-chaos")); err != nil {
		t.Fatal(err)
	}
	if err := reload(t, w, "chaos"); err != nil {
		t.Error(err)
	}
	w.observed("a", 1)
	if told := strings.Join(w.told(), " "); told != "plugin.exited plugin.tripped plugin.started" {
		t.Errorf("events %s", told)
	}
}

func TestTheBreaker(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1000+int64(s), 0) }
	t.Run("five deaths within two minutes trip it, and it tries once a minute for ever", func(t *testing.T) {
		b := breaker{}
		for i := range 4 {
			if d := b.died(at(i), 0); d > 2*time.Second || b.tripped {
				t.Fatalf("death %d: %v, tripped %v", i+1, d, b.tripped)
			}
		}
		for i := range 1000 {
			if d := b.died(at(4+60*i), time.Second); d != time.Minute || !b.tripped {
				t.Fatalf("death %d: %v, tripped %v", i+5, d, b.tripped)
			}
		}
	})
	t.Run("deaths that are further apart only make it slower", func(t *testing.T) {
		b := breaker{}
		for i := range 10 {
			b.died(at(31*i), 0)
		}
		if b.tripped {
			t.Error("it trips at four deaths in two minutes")
		}
	})
	t.Run("a minute of work is forgiven everything", func(t *testing.T) {
		b := breaker{}
		for i := range 7 {
			b.died(at(i), 0)
		}
		if d := b.died(at(100), steadyRun); d != 0 || b.tripped {
			t.Errorf("%v, tripped %v", d, b.tripped)
		}
	})
}

// TestObservationsKeepTheirOrderInAReplacement is about two processes that both observe, without any of them.
func TestObservationsKeepTheirOrderInAReplacement(t *testing.T) {
	var seen []string
	h := New(Options{Observe: func(check string, o health.Observation) { seen = append(seen, check+" "+o.Reason) }})
	p := newProcess(h, config.Plugin{Name: "chaos"})
	defer p.cancel()
	p.want(wishesOf(nil, []config.Check{chaosCheck("a"), chaosCheck("b"), chaosCheck("c")}, nil)["chaos"])
	runs := map[string]*run{}
	for _, r := range p.wish.runs {
		runs[r.check.ID] = r
	}
	old, next := &session{process: p}, &session{process: p}
	say := func(s *session, check, what string) {
		p.deliver(s, []finding{{runs[check], health.Observation{Reason: what}}})
	}
	p.succeed(nil, old)
	say(old, "a", "old 1")
	say(next, "a", "new 1")
	say(next, "b", "new 1")
	say(next, "b", "new 2")
	say(old, "a", "old 2")
	if !p.succeed(old, next) {
		t.Fatal("the old process is not replaced")
	}
	say(old, "a", "old 3")
	say(old, "c", "old 3")
	say(next, "a", "new 3")
	want := []string{"a old 1", "a old 2", "b new 2", "a new 3"}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("observations (-want +got):\n%s", d)
	}
	if p.succeed(old, &session{process: p}) {
		t.Error("a process that does not speak any more is replaced")
	}
}

func TestWhetherANewProcessIsGoodEnough(t *testing.T) {
	p := newProcess(New(Options{}), config.Plugin{Name: "chaos"})
	defer p.cancel()
	p.want(wishesOf(nil, []config.Check{chaosCheck("a"), chaosCheck("b"), chaosCheck("c")}, nil)["chaos"])
	runs := map[string]*run{}
	for _, r := range p.wish.runs {
		runs[r.check.ID] = r
	}
	old, next := &session{process: p}, &session{process: p}
	p.succeed(nil, old)
	p.deliver(old, []finding{{runs["a"], health.Observation{Outcome: health.Pass}}})
	p.deliver(old, []finding{{runs["b"], health.Observation{Outcome: health.Error}}})
	for check, r := range runs {
		p.deliver(next, []finding{{r, health.Observation{Outcome: health.Error, Reason: "no " + check}}})
	}
	ready, total, reason := p.results(next)
	if ready != 2 || total != 3 || reason != "; a could not be made: no a" {
		t.Errorf("results = %d of %d%s; want 2 of 3, for only a could be made before", ready, total, reason)
	}
}

func TestEqualChecksAreMadeOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var accepted atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			c.Close()
		}
	}()
	check := func(id string, interval time.Duration) config.Check {
		return config.Check{
			ID: id, Kind: "tcp", Name: "service " + id, Target: netip.MustParseAddrPort(l.Addr().String()), Interval: interval, Timeout: 5 * time.Second,
		}
	}
	w := newWorld(t)
	w.Apply(nil, []config.Check{check("a", time.Hour), check("b", time.Hour), check("c", 2*time.Hour)}, nil)
	for _, id := range []string{"a", "b", "c"} {
		w.until(id+" is observed", func() bool { return len(w.observations(id)) == 1 })
	}
	if n := accepted.Load(); n != 2 {
		t.Errorf("the target was checked %d times, want once for a and b, and once for c", n)
	}
	w.Apply(nil, []config.Check{check("b", time.Hour), check("c", 2*time.Hour), check("d", time.Hour)}, nil)
	w.until("d hears what b has found", func() bool { return len(w.observations("d")) == 1 })
	if n := accepted.Load(); n != 2 || len(w.observations("b")) != 1 {
		t.Errorf("the target was checked %d times, b observed %d times; want no new run", n, len(w.observations("b")))
	}
}
