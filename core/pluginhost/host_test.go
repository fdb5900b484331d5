package pluginhost

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

type checkConfig = config.Check

// patience is how long a test waits for what must come; a slow machine needs it, a fast one does not notice.
const patience = 30 * time.Second

// world is a host with a record of what it reports.
type world struct {
	*Host
	t   *testing.T
	log *strings.Builder

	mu     sync.Mutex
	seen   map[string][]health.Observation
	events []event.Event
}

// newWorld makes a world that leaves no goroutine behind.
func newWorld(t *testing.T) *world {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	return newWorldParallel(t)
}

// newWorldParallel makes a world beside others, whose goroutines cannot be told from its own.
func newWorldParallel(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, seen: make(map[string][]health.Observation), log: &strings.Builder{}}
	above, err := os.MkdirTemp("", "vw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(above) })
	if err := os.Chmod(above, 0o755); err != nil { // users of plugins pass through it
		t.Fatal(err)
	}
	runDir := filepath.Join(above, "run")
	w.Host = New(Options{
		Dirs: []string{plugins}, RunDir: runDir, Logger: slog.New(slog.NewTextHandler(lockedWriter{w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(check string, o health.Observation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen[check] = append(w.seen[check], o)
		},
		Event: func(e event.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	})
	t.Cleanup(func() {
		began := time.Now()
		w.Close()
		if took := time.Since(began); took > closeTimeout+10*time.Second { // a disk that stands still takes its time
			t.Errorf("Close took %v", took)
		}
		if _, err := os.Stat(runDir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Close left %s: %v", runDir, err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", w.logged())
		}
	})
	return w
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// until waits for something that must become true.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.t.Fatalf("not within %v: %s; status %+v, events %v", patience, what, w.Status(), w.told())
}

func (w *world) observations(check string) []health.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen[check])
}

// told are the codes of the events so far.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var codes []string
	for _, e := range w.events {
		codes = append(codes, e.Code)
	}
	return codes
}

// observed waits for n more observations of a check.
func (w *world) observed(check string, n int) {
	w.t.Helper()
	have := len(w.observations(check))
	w.until(check+" is observed", func() bool { return len(w.observations(check)) >= have+n })
}

// allObserved waits for one more observation of each check.
func (w *world) allObserved(checks []config.Check) {
	w.t.Helper()
	have := make(map[string]int)
	for _, c := range checks {
		have[c.ID] = len(w.observations(c.ID))
	}
	w.until("all checks are observed", func() bool {
		return !slices.ContainsFunc(checks, func(c config.Check) bool { return len(w.observations(c.ID)) <= have[c.ID] })
	})
}

// pid is the process of a running plugin.
func (w *world) pid(name string) int {
	for _, s := range w.Status() {
		if s.Name == name && s.State == Running {
			return s.PID
		}
	}
	return 0
}

func (w *world) status(name string) Status {
	for _, s := range w.Status() {
		if s.Name == name {
			return s
		}
	}
	return Status{}
}

func chaosCheck(id string) config.Check {
	return config.Check{
		ID: id, Kind: "chaos", Name: id, Interval: 100 * time.Millisecond, Timeout: time.Second, Labels: map[string]string{"id": id},
	}
}

// chaos declares the plugin that misbehaves, with a fault; once is the file for a fault of the first life only.
func chaos(fault, once string) map[string]config.Plugin {
	return map[string]config.Plugin{"chaos": {
		User: "root", Writable: []string{"/"}, // for the file
		Env: map[string]string{"CHAOS": fault, "CHAOS_ONCE": once},
	}}
}

func once(t *testing.T) string { return filepath.Join(t.TempDir(), "once") }

// child is the process that a chaotic plugin has started, by its log.
func (w *world) child() int {
	w.t.Helper()
	_, line, ok := strings.Cut(w.logged(), "started ")
	if !ok {
		w.t.Fatal("the plugin has started no process")
	}
	pid, err := strconv.Atoi(line[:strings.IndexAny(line, "\" ")])
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(state), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestACheckOfTheHTTPPluginObservesItsTarget(t *testing.T) {
	var mu sync.Mutex
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
	}))
	defer server.Close()
	w := newWorld(t)
	w.Apply(nil, []config.Check{{
		ID: "web", Kind: "http", Name: "web", Config: json.RawMessage(`{"path":"/","status":["200"]}`),
		Target: netip.MustParseAddrPort(server.Listener.Addr().String()), Interval: 50 * time.Millisecond, Timeout: 5 * time.Second,
	}}, nil)
	w.observed("web", 3)
	if o := w.observations("web")[0]; o.Outcome != health.Pass || o.Reason != "" || o.Values["answer_seconds"] <= 0 {
		t.Errorf("first observation = %+v, want a pass with the time that it took", o)
	}
	mu.Lock()
	status = http.StatusTeapot
	mu.Unlock()
	w.until("a failure", func() bool {
		all := w.observations("web")
		last := all[len(all)-1]
		return last.Outcome == health.Fail && last.Reason == "GET /: status 418, want 200"
	})
	if s := w.Status(); len(s) != 1 || s[0].Kind != "checker" || s[0].State != Running || s[0].PID == 0 || s[0].Restarts != 0 {
		t.Errorf("Status = %+v, want one running checker", s)
	}
}

func TestApplyOfTheSameChangesNothing(t *testing.T) {
	w := newWorld(t)
	accepted := make(chan struct{}, 100)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
			accepted <- struct{}{}
		}
	}()
	check := config.Check{
		ID: withPhase(0, 500*time.Millisecond), Kind: "tcp", Name: "t", Target: netip.MustParseAddrPort(l.Addr().String()),
		Interval: time.Hour, Timeout: time.Second, Warmup: time.Second, Labels: map[string]string{"a": "b"},
	}
	w.Apply(nil, []config.Check{check}, nil)
	w.observed(check.ID, 1)
	<-accepted
	pid := w.pid("tcp")
	for range 3 { // an assignment made anew would run at once, not in an hour
		w.Apply(map[string]config.Plugin{}, []config.Check{check}, []config.Notifier{})
	}
	other := check
	other.Labels = nil
	other.ID = withPhase(700*time.Millisecond, time.Second) // so that check, made anew, would run before it
	w.Apply(nil, []config.Check{check, other}, nil)
	w.observed(other.ID, 1)
	<-accepted
	select {
	case <-accepted:
		t.Error("an unchanged check ran again after Apply")
	default:
	}
	if w.pid("tcp") != pid {
		t.Error("Apply of the same restarted the plugin")
	}
	check.Timeout *= 2
	w.Apply(nil, []config.Check{check, other}, nil)
	w.observed(check.ID, 1)
}

// withPhase is the ID of a check whose first run comes between two times after its assignment.
func withPhase(from, to time.Duration) string {
	for i := range 1000 {
		c := config.Check{ID: "check " + strconv.Itoa(i), Warmup: time.Second}
		if p := phase(&c); from <= p && p < to {
			return c.ID
		}
	}
	panic("the phases are not spread")
}

func TestFirstRunsAreSpreadOverTheWarmup(t *testing.T) {
	const checks, most = 1000, 10 * time.Minute
	var sum time.Duration
	for i := range checks {
		p := phase(&config.Check{ID: "check " + strconv.Itoa(i), Warmup: most})
		if p < 0 || p >= most {
			t.Fatalf("a first run comes after %v, within %v", p, most)
		}
		sum += p
	}
	if mean := sum / checks; mean < 4*most/10 || mean > 6*most/10 {
		t.Errorf("first runs come after %v in the mean, want about half of %v", mean, most)
	}
	if p := phase(&config.Check{ID: "a"}); p != 0 {
		t.Errorf("without a warm-up the first run comes after %v", p)
	}
}

func TestACheckThatIsTakenAwayIsObservedNoMoreAndAnUnusedPluginStops(t *testing.T) {
	w := newWorld(t)
	w.Apply(nil, []config.Check{chaosCheck("a"), chaosCheck("b")}, nil)
	w.observed("a", 1)
	w.observed("b", 1)
	pid := w.pid("chaos")
	w.Apply(nil, []config.Check{chaosCheck("a")}, nil)
	before := len(w.observations("b"))
	w.observed("a", 5)
	if after := len(w.observations("b")); after > before+1 { // one may have been on its way
		t.Errorf("b was observed %d times after it was taken away", after-before)
	}
	w.Apply(nil, nil, nil)
	w.until("the plugin ends", func() bool { return !alive(pid) })
	if s := w.Status(); len(s) != 0 {
		t.Errorf("Status = %+v, want nothing", s)
	}
	w.until("the event", func() bool { return slices.Equal(w.told(), []string{"plugin.started", "plugin.stopped"}) })
}

func TestAFaultyPluginIsReplacedAndInventsNothing(t *testing.T) {
	for _, tt := range []struct {
		name, fault, event, reason string
	}{
		{"one that panics", "crash", "plugin.exited", "exit status 2"},
		{"one that stands still", "stop", "plugin.hung", "hung: no answer to 3 pings"},
		{"one that answers no ping", "mute", "plugin.hung", "hung: no answer to 3 pings"},
		{"one whose checks hang", "stuck", "plugin.hung", "hung: more than half of its checks have not returned after their deadline, for 10 s"},
		{"one whose checks never begin to move", "dumb", "plugin.hung", "hung: no heartbeat of its checks for 5 s"},
		{"one whose checks stand still", "silent", "plugin.hung", "hung: no heartbeat of its checks for 5 s"},
		{"one that sends a huge message", "huge", "plugin.exited", "checks: grpc: received message larger than max"},
		{"one that ends before the handshake", "start-exit", "plugin.exited", "start plugin chaos: it ended before it said where it listens: exit status 3"},
		{"one that answers too late", "start-late", "plugin.exited", "start plugin chaos: ask what it offers: no answer within 5s"},
		{"one that prints something else first", "start-noise", "plugin.exited", `its first line on stdout is "hello from a library", not a handshake`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldParallel(t)
			w.Apply(chaos(tt.fault, once(t)), []config.Check{chaosCheck("a")}, nil)
			w.until("the event", func() bool { return slices.Contains(w.told(), tt.event) })
			w.until("it runs again", func() bool { return w.pid("chaos") != 0 && w.status("chaos").Restarts == 1 })
			w.observed("a", 3)
			for _, o := range w.observations("a") {
				if !plainPass(o) {
					t.Errorf("observation %+v, want passes only", o)
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			i := slices.IndexFunc(w.events, func(e event.Event) bool { return e.Code == tt.event })
			if e := w.events[i]; !strings.Contains(e.Reason, tt.reason) || e.Kind != event.Plugin || e.Subject != "chaos" {
				t.Errorf("event = %+v, want the reason %q", e, tt.reason)
			}
		})
	}
}

func TestAKilledPluginIsBackAtOnceWithAllItsChecks(t *testing.T) {
	w := newWorld(t)
	var checks []config.Check
	for i := range 300 {
		checks = append(checks, chaosCheck("c"+strconv.Itoa(i)))
	}
	w.Apply(nil, checks, nil)
	w.observed("c299", 1)
	for range 3 {
		old := w.pid("chaos")
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.until("another process", func() bool { pid := w.pid("chaos"); return pid != 0 && pid != old })
		w.allObserved(checks)
	}
	for _, c := range checks {
		for _, o := range w.observations(c.ID) {
			if o.Outcome != health.Pass {
				t.Fatalf("%s: observation %+v, want passes only", c.ID, o)
			}
		}
	}
	if s := w.status("chaos"); s.Restarts != 3 {
		t.Errorf("restarts = %d, want 3", s.Restarts)
	}
}

func TestResultsOfUnknownChecksAreDroppedAndCounted(t *testing.T) {
	w := newWorld(t)
	w.Apply(chaos("unknown-ids", ""), []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 3)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) != 1 {
		t.Errorf("observed %v, want a only", w.seen)
	}
	if dropped := w.status("chaos").Dropped; dropped < 20 {
		t.Errorf("dropped = %d, want 10 for each result of a", dropped)
	}
}

func TestAFloodOfResultsIsThrottled(t *testing.T) {
	w := newWorld(t)
	w.Apply(chaos("flood", ""), []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 100)
	before, began := len(w.observations("a")), time.Now()
	time.Sleep(2 * time.Second) // a rate is measured in real time
	rate := float64(len(w.observations("a"))-before) / time.Since(began).Seconds()
	if rate > 3*minRate {
		t.Errorf("%.0f results a second came through, want about %d", rate, minRate)
	}
}

func TestALongReasonIsCutBetweenCharacters(t *testing.T) {
	w := newWorld(t)
	w.Apply(chaos("long-reason", ""), []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 1)
	if r := w.observations("a")[0].Reason; r != strings.Repeat("é", 256) {
		t.Errorf("reason has %d bytes, want 512", len(r))
	}
}

func TestAPluginThatLogsTooMuchIsCutShort(t *testing.T) {
	w := newWorld(t)
	w.Apply(chaos("stderr-flood", ""), []config.Check{chaosCheck("a")}, nil)
	w.until("the report", func() bool {
		return strings.Contains(w.logged(), `msg="the plugin logs too much" plugin=chaos suppressed=`)
	})
	if n := strings.Count(w.logged(), "\n"); n > 2000 {
		t.Errorf("%d lines were logged", n)
	}
	if !strings.Contains(w.logged(), `level=WARN msg="line 0" plugin=chaos`) {
		t.Error("the first line is not in the log")
	}
}

func TestCloseIsBoundedWhateverThePluginDoes(t *testing.T) {
	for _, fault := range []string{"", "stubborn", "stop", "grandchild", "start-hang"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := newWorldParallel(t)
			w.Apply(chaos(fault, ""), []config.Check{chaosCheck("a")}, nil)
			if fault != "start-hang" {
				w.observed("a", 1)
			}
			pid := w.pid("chaos")
			began := time.Now()
			w.Close()
			if took := time.Since(began); took > closeTimeout {
				t.Errorf("Close took %v, want at most %v", took, closeTimeout)
			}
			if pid != 0 && alive(pid) {
				t.Error("the process lives on after Close")
			}
			if fault == "grandchild" { // out of its group: nobody's to kill but the test's
				_ = syscall.Kill(w.child(), syscall.SIGKILL)
			}
		})
	}
}

func TestAGrandchildThatHoldsThePipesDoesNotHideTheEndOfThePlugin(t *testing.T) {
	w := newWorld(t)
	w.Apply(chaos("grandchild", once(t)), []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 1)
	old, began := w.pid("chaos"), time.Now()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.until("another process", func() bool { pid := w.pid("chaos"); return pid != 0 && pid != old })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the end was noticed after %v", took)
	}
	_ = syscall.Kill(w.child(), syscall.SIGKILL)
}

func TestWhatAPluginStartedEndsWithIt(t *testing.T) {
	w := newWorld(t)
	w.Apply(chaos("child", once(t)), []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 1)
	child := w.child()
	if !alive(child) {
		t.Fatal("there is no child")
	}
	if err := syscall.Kill(w.pid("chaos"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.until("the child ends", func() bool { return !alive(child) })
}

func TestNoPluginSurvivesAKilledHost(t *testing.T) {
	host := exec.Command(os.Args[0])
	sockets := t.TempDir()
	if err := os.Chmod(filepath.Dir(sockets), 0o755); err != nil { // the plugins' user passes through it
		t.Fatal(err)
	}
	host.Env = append(os.Environ(), "PLUGINHOST_TEST_HOST="+plugins, "TMPDIR="+sockets)
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("the host says %q", lines.Text())
		}
		pids = append(pids, pid)
	}
	if len(pids) != 2 || !alive(pids[0]) || !alive(pids[1]) {
		t.Fatalf("plugins %v, want two that live", pids)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	for end := time.Now().Add(patience); alive(pids[0]) || alive(pids[1]); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("of the plugins %v some live on", pids)
		}
	}
}

func TestSchemaNamesWhatThereIs(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	schema, err := w.Schema(ctx, pluginv1.Kind_CHECKER, "http", config.Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(schema.GetAttributes(), func(a *pluginv1.Attribute) bool { return a.GetName() == "digest" }) {
		t.Errorf("the schema of http has no digest: %v", schema)
	}
	_, err = w.Schema(ctx, pluginv1.Kind_NOTIFIER, "http", config.Plugin{})
	if want := `plugin http has no notifier "http"; it has checker "http", witness "http"`; err == nil || err.Error() != want {
		t.Errorf("Schema of a wrong kind: %v, want %s", err, want)
	}
	_, err = w.Schema(ctx, pluginv1.Kind_CHECKER, "htp", config.Plugin{})
	var missing *config.MissingPlugin
	if !errors.As(err, &missing) || missing.Name != "htp" || !slices.Equal(missing.Found, []string{"chaos", "exec", "frozen", "http", "secret", "tcp"}) {
		t.Errorf("Schema of what is not there: %#v", err)
	}
	diagnostics, err := w.Validate(ctx, pluginv1.Kind_CHECKER, "http", config.Plugin{}, json.RawMessage(`{"status":["200","700"]}`))
	if err != nil || len(diagnostics) != 1 || diagnostics[0].GetPath()[1].GetIndex() != 1 {
		t.Errorf("Validate = %v, %v; want one diagnostic at status[1]", diagnostics, err)
	}
}

func TestAPluginThatASchemaWasAskedOfIsUsedByApply(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.Schema(ctx, pluginv1.Kind_CHECKER, "chaos", config.Plugin{}); err != nil {
		t.Fatal(err)
	}
	w.Apply(nil, []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 1)
	if told := w.told(); !slices.Equal(told, []string{"plugin.started"}) {
		t.Errorf("events %v, want one start", told)
	}
}

func TestAnExecutableIsVerified(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	writable := filepath.Join(dir, "writable")
	if err := os.WriteFile(writable, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(writable, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		decl       config.Plugin
	}{
		{"another digest", "and the configuration wants 00", config.Plugin{SHA256: "00"}},
		{"a file that everybody can write", "can be written by everybody", config.Plugin{Path: writable}},
		{"a file that is not there", "no plugin chaos: there is no file " + filepath.Join(dir, "none"), config.Plugin{Path: filepath.Join(dir, "none")}},
		{"a user that there is not", "unknown user nobody-at-all", config.Plugin{User: "nobody-at-all"}},
	} {
		if _, err := w.Schema(ctx, pluginv1.Kind_CHECKER, "chaos", tt.decl); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestNotifyRunsTheCommandAndTellsWhatBecameOfIt(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	notifier := func(command ...string) config.Notifier {
		text, _ := json.Marshal(map[string]any{"command": command})
		return config.Notifier{Kind: "exec", Name: "legacy", Config: text}
	}
	works := notifier("/bin/sh", "-c", `echo "$@" >> `+out, "notify")
	fails := notifier("/bin/sh", "-c", "echo no route >&2; exit 3")
	missing := notifier("/nowhere/notify.sh")
	w.Apply(nil, nil, []config.Notifier{works, fails, missing})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events := []event.Event{
		{Seq: 1, Time: time.Now(), Kind: event.Instance, Subject: "web", From: "BACKUP", To: "MASTER", Priority: 150},
		{Seq: 2, Time: time.Now(), Kind: event.RealServer, Subject: "10.0.0.1:80", Service: "web", To: "down", Priority: 1, Reason: "bad \xff"},
	}
	for _, tt := range []struct {
		name     string
		notifier config.Notifier
		want     Delivery
	}{
		{"a command that works", works, Delivery{Outcome: Delivered}},
		{"a command that fails", fails, Delivery{Outcome: Drop, Reason: "event 1: /bin/sh: exit status 3: no route\nevent 2: /bin/sh: exit status 3: no route"}},
		{"a command that is not there yet", missing, Delivery{Outcome: Retry, Reason: "stat /nowhere/notify.sh: no such file or directory"}},
	} {
		if got, err := w.Notify(ctx, tt.notifier, events, "key", 1); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
	text, _ := os.ReadFile(out)
	if want := "INSTANCE web MASTER 150\nRS web 10.0.0.1:80 DOWN 1\n"; string(text) != want {
		t.Errorf("the command saw %q, want %q", text, want)
	}
	if got, err := w.Notify(ctx, config.Notifier{Kind: "mail"}, events, "key", 1); err == nil || got.Outcome != Retry {
		t.Errorf("a notifier that is not in use: %+v, %v", got, err)
	}
}
