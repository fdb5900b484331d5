package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
)

// TestClientScripts runs the sessions below testdata/client. A small daemon answers at $SOCKET: it is master of "web", backup
// of "db", and master of "lone", whose peer does not answer. A page lies at $PAGE. Besides testscript's commands there is
// `code`, as in TestScripts.
func TestClientScripts(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(servePage))
	t.Cleanup(page.Close) // after the scripts, which run side by side
	testscript.Run(t, testscript.Params{
		Dir: "testdata/client",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PAGE", page.URL)
			e.Setenv("SOCKET", filepath.Join(e.WorkDir, "s"))
			return startDaemon(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": func(ts *testscript.TestScript, _ bool, args []string) { expectCode(ts, args[0], args[1:]) },
		},
	})
}

func servePage(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/index.html":
		_, _ = io.WriteString(w, "hello from "+strings.Split(r.Host, ":")[0]+"\n")
	case "/moved":
		http.Redirect(w, r, "/index.html", http.StatusFound)
	case "/long":
		_, _ = w.Write(make([]byte, maxPage+1))
	case "/slow":
		<-r.Context().Done()
	default:
		http.NotFound(w, r)
	}
}

// startDaemon serves the control socket until the script ends.
func startDaemon(e *testscript.Env) error {
	l, err := control.ListenSocket(e.Getenv("SOCKET"))
	if err != nil {
		return err
	}
	ring := &control.Ring{}
	for n, ago := range []time.Duration{time.Hour, time.Minute} {
		ring.Append(event.Event{
			Seq: uint64(n + 1), Time: time.Now().Add(-ago), Node: "lb1", Code: "instance.state", Severity: event.Info,
			Kind: event.Instance, Subject: "web", From: "BACKUP", To: "MASTER", Reason: fmt.Sprintf("%s ago", ago),
		})
	}
	s := control.NewServer(control.Options{
		API: small{started: time.Now()}, Events: ring, Metrics: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	e.Defer(func() {
		cancel()
		if err := <-done; err != nil {
			e.T().Log("the daemon ended: ", err)
		}
	})
	return nil
}

// small is a daemon without a node.
type small struct{ started time.Time }

func (d small) Progress() time.Time { return time.Now() }

func (d small) Status() control.Status {
	now := time.Now()
	since := now.Add(-192 * time.Second)
	weight, age := -60, int64(43)
	s := control.Render(nil, control.Extra{Version: "1.2.3", Hash: "9f3c5ab1d2e4f60718", Started: d.started, Now: now})
	s.Node, s.Ready = "lb1", true
	for id, name := range []string{"web", "db", "lone"} {
		i := control.Instance{
			Name: name, Interface: "eth0", Family: "ipv4", VirtualRouterID: 51 + id, Version: 3, State: "MASTER", Since: since,
			Reason: "advert timer expired", Priority: 150, EffectivePriority: 90, AdvertIntervalMS: 1000, Preempt: true,
			Addresses: []control.Address{{Address: netip.MustParsePrefix("10.99.0.100/24"), Interface: "eth0", Held: true, LeaseMS: 2400}},
			Master:    control.Master{Address: "10.99.0.11", Priority: 90, LastAdvertMS: &age},
			Tracks:    []control.Track{{Name: "checker.local", State: "down", Weight: &weight, Reason: "status 503"}},
			Counters:  control.Counters{AdvertsSent: 60, AdvertsReceived: 2, BecameMaster: 1, Discarded: map[string]uint64{"checksum": 3, "ttl": 0}},
		}
		if name == "db" {
			i.State, i.Reason, i.Yielded, i.EffectivePriority = "BACKUP", "handed over", true, 150
			i.Addresses[0].Held, i.Addresses[0].LeaseMS = false, 0
			i.Master = control.Master{Address: "10.99.0.12", Priority: 100, LastAdvertMS: &age}
			i.Tracks[0].State, i.Tracks[0].Stale = "up", true
		}
		s.Instances = append(s.Instances, i)
	}
	s.Services = []control.Service{{
		Name: "web", Address: netip.MustParseAddrPort("10.99.0.100:80"), Protocol: "tcp", Scheduler: "rr", Forward: "dr", Up: true,
		RealServers: []control.RealServer{
			{Address: netip.MustParseAddrPort("10.99.0.21:80"), State: "up", Since: since, Weight: 1, EffectiveWeight: 1, ActiveConnections: 7},
			{Address: netip.MustParseAddrPort("10.99.0.22:80"), State: "down", Since: since, Weight: 2, Reason: "status 503, want 200", Stale: true},
		},
	}}
	s.Sync = &control.Sync{
		Role: "backup", Since: since, Instance: "web", Interface: "eth0", ID: 51, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848,
	}
	s.Peers = []control.Peer{
		{Name: "lb2", Alive: true, HearsUs: true, HeardMS: 80, Version: "1.2.3", Fence: "none", Drift: "vrrp_instance.web.version is 3 here and 2 there", Paths: []control.Path{
			{Name: "address", Up: true}, {Name: "cross"},
		}},
		{Name: "lb3", HeardMS: -1, Fence: "blocked", FenceReason: "all levels failed", Maintenance: true, Isolated: true},
	}
	s.Plugins = []control.Plugin{{Name: "http", Kind: "checker", State: "running", PID: 123, Version: "1.2.3"}}
	s.Fencers = []control.Fencer{
		{Name: "lb2-power", Kind: "ipmi", State: "ready", Checked: &since, Node: "lb2", Evidence: "the power at 10.9.0.3 reads on"},
		{Name: "lb2-outlet", Kind: "webhook", State: "unknown"},
	}
	return s
}

func (d small) Reload(_ context.Context, path string) (control.Reloaded, error) {
	if strings.HasSuffix(path, "bad.hcl") {
		return control.Reloaded{}, &control.ConfigError{Diagnostics: config.Diagnostics{{
			Severity: config.Error, Summary: "virtual_router_id out of range", File: path, Line: 2, Column: 3, Source: "  virtual_router_id = 300",
			Detail: "A virtual router identifier is 1 to 255.",
		}}}
	}
	warning := config.Diagnostics{{Severity: config.Warning, Summary: "equal priorities"}}
	return control.Reloaded{ConfigHash: "abcdef0123456789", Changed: path != "", Warnings: warning}, nil
}

// Drain finds 10.99.0.21 with connections that never end, and refuses 10.99.0.22 unless it is forced; that one has none.
func (d small) Drain(_ context.Context, r control.DrainRequest) (control.DrainState, error) {
	if strings.HasPrefix(r.RealServer, "10.99.0.22") && !r.Force {
		return control.DrainState{}, fmt.Errorf("%w: without 10.99.0.22:80 the service web would have no server that takes connections", node.ErrRefused)
	}
	s, err := d.DrainState(r.Service, netip.MustParseAddrPort(r.RealServer))
	s.Text = r.RealServer + " of web takes no new connections"
	return s, err
}

func (d small) Undrain(_ context.Context, r control.DrainRequest) (control.DrainState, error) {
	return control.DrainState{Text: r.RealServer + " of web takes connections again"}, nil
}

func (d small) DrainState(service string, server netip.AddrPort) (control.DrainState, error) {
	s := control.DrainState{Service: service, RealServer: server, Drained: true, Since: &d.started, Done: true}
	if server.Addr() == netip.MustParseAddr("10.99.0.21") {
		s.ActiveConnections, s.Done = 7, false
	}
	return s, nil
}

func (d small) ReloadPlugin(context.Context, string) error { return nil }

func (d small) Fence(_ context.Context, r control.FenceRequest) (control.FenceAnswer, error) {
	a := control.FenceAnswer{Fencer: r.Fencer, Node: cmp.Or(r.Node, "lb2"), Action: r.Action, Verdict: "failed", Ready: true}
	switch {
	case r.Fencer == "lb2-outlet":
		a.Verdict, a.Evidence, a.Ready, a.DryRun = "unknown", "connection refused", false, "connection refused"
	case r.Fencer != "lb2-power":
		return a, control.Unknown("fencer", r.Fencer, []string{"lb2-outlet", "lb2-power"})
	case r.Node == "lb9":
		return a, control.Unknown("node", r.Node, []string{"lb1", "lb2", "lb3"})
	case r.Node == "lb3":
		a.Verdict, a.Evidence = "confirmed", "the power at 10.9.0.4 reads off"
	default:
		a.Evidence, a.DryRun = "the power at 10.9.0.3 reads on", "dry run: the power at 10.9.0.3 reads on, and would be switched off"
	}
	return a, nil
}

func (d small) Maintain(_ context.Context, r control.MaintenanceRequest) (string, error) {
	switch {
	case !r.On:
		return "lb1 takes part again", nil
	case r.Reason == "alone" && !r.Force:
		return "", fmt.Errorf("%w: web stays MASTER here: no other router took over within 1.5s; this node is not in maintenance", node.ErrTimeout)
	}
	return "lb1 is in maintenance for " + r.Reason, nil
}

func (d small) ConfirmFence(_ context.Context, name string) (string, error) {
	switch name {
	case "lb2":
		return "lb2 counts as off", nil
	case "lb3":
		return "", fmt.Errorf("%w: lb3 is alive: its heartbeat came 80ms ago", node.ErrRefused)
	}
	return "", control.Unknown("node", name, []string{"lb2", "lb3"})
}

func (d small) Failover(_ context.Context, instance string) (string, time.Duration, error) {
	switch instance {
	case "db":
		return "", 0, fmt.Errorf("%w: db is BACKUP here, not MASTER; run the command on the node that is master", node.ErrRefused)
	case "lone":
		return "", 0, fmt.Errorf("%w: no other router took over within 1.5s", node.ErrTimeout)
	}
	return instance + " was handed over to 10.99.0.12", 3100 * time.Microsecond, nil
}

func TestExitCodesOfTheClient(t *testing.T) {
	var c cobra.Command
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"done", nil, 0},
		{"nobody listens", &unreachable{err: os.ErrNotExist}, exitUnreachable},
		{"no answer in time", &unreachable{err: context.DeadlineExceeded}, exitTimedOut},
		{"invalid configuration", &refusal{status: 422}, exitInvalid},
		{"refused", &refusal{status: 409}, exitRefused},
		{"the peer did not answer", &refusal{status: 504}, exitTimedOut},
		{"unknown name", &refusal{status: 404}, exitFailed},
		{"stale", &refusal{status: 503}, exitFailed},
		{"anything else", errors.New("x"), exitFailed},
	} {
		if got := exitCode(clientError(&c, &globals{}, tc.err)); got != tc.want {
			t.Errorf("%s: exit code %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestFollowEndsWithAnInterruptAndWithTheDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := control.ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	ring := &control.Ring{}
	s := control.NewServer(control.Options{API: small{}, Events: ring, Metrics: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler)})
	daemon, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(daemon, l) }()
	ring.Append(event.Event{Seq: 1, Time: time.Now()})

	interrupt := func(event.Event) error { return syscall.Kill(os.Getpid(), syscall.SIGINT) }
	if err := followEvents(t.Context(), newClient(path), time.Minute, interrupt); err != nil {
		t.Errorf("following until an interrupt = %v, want no fault", err)
	}
	err = followEvents(t.Context(), newClient(path), time.Minute, func(event.Event) error { stop(); return nil })
	if _, ok := errors.AsType[*unreachable](err); !ok {
		t.Errorf("follow of a daemon that ended = %v, want it to be out of reach", err)
	}
	if err := <-done; err != nil {
		t.Errorf("the daemon ended: %v", err)
	}
}
