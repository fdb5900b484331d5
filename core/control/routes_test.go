package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/node"
)

// daemon is a small one: it has the state of [example], and does commands as its fields say.
type daemon struct {
	snapshot *node.Snapshot
	progress time.Time
	reloaded string // the path of the last reload
	err      error  // of a command
}

func newDaemon() *daemon { return &daemon{snapshot: example(), progress: time.Now()} }

func (d *daemon) Status() Status      { return Render(d.snapshot, extra()) }
func (d *daemon) Progress() time.Time { return d.progress }

func (d *daemon) Reload(_ context.Context, path string) (Reloaded, error) {
	d.reloaded = path
	return Reloaded{ConfigHash: "9f3c", Changed: true}, d.err
}

func (d *daemon) Failover(_ context.Context, instance string) (string, time.Duration, error) {
	return instance + " was handed over to 10.99.0.12", 3100 * time.Microsecond, d.err
}

// Drain finds every server busy with three connections.
func (d *daemon) Drain(_ context.Context, r DrainRequest) (DrainState, error) {
	if d.err != nil {
		return DrainState{}, d.err
	}
	s, err := d.DrainState(r.Service, netip.MustParseAddrPort(r.RealServer))
	s.Text = fmt.Sprintf("drained, force %v", r.Force)
	return s, err
}

func (d *daemon) Undrain(_ context.Context, r DrainRequest) (DrainState, error) {
	return DrainState{Service: r.Service, RealServer: netip.MustParseAddrPort(r.RealServer), Text: "put back"}, d.err
}

func (d *daemon) DrainState(service string, server netip.AddrPort) (DrainState, error) {
	return DrainState{Service: service, RealServer: server, Drained: true, ActiveConnections: 3}, nil
}

func (d *daemon) ReloadPlugin(context.Context, string) error { return d.err }

func (d *daemon) Fence(_ context.Context, r FenceRequest) (FenceAnswer, error) {
	if r.Fencer != "lb2-power" {
		return FenceAnswer{}, Unknown("fencer", r.Fencer, []string{"lb2-power"})
	}
	return FenceAnswer{Fencer: r.Fencer, Node: "lb2", Action: r.Action, Verdict: "failed", Evidence: "reads on", Ready: true}, d.err
}

func (d *daemon) Maintain(_ context.Context, r MaintenanceRequest) (string, error) {
	return fmt.Sprintf("maintenance %v for %q, force %v", r.On, r.Reason, r.Force), d.err
}

func (d *daemon) ConfirmFence(_ context.Context, node string) (string, error) {
	return node + " counts as off", d.err
}

func (d *daemon) server(log io.Writer) *Server {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "vipward_ready 1\n") })
	return NewServer(Options{API: d, Events: &Ring{}, Metrics: metrics, Logger: slog.New(slog.NewTextHandler(log, nil))})
}

func request(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestQuestions(t *testing.T) {
	backup := func(d *daemon) {
		d.snapshot.Instances[0].State = 1
		d.snapshot.Instances[0].Addresses[0].Held = false
	}
	for _, tc := range []struct {
		name   string
		daemon func(*daemon)
		path   string
		code   int
		want   string
	}{
		{"a loop that goes round is healthy", nil, "/healthz", 200, "ok"},
		{"a loop that stands still is not", func(d *daemon) { d.progress = time.Now().Add(-3 * time.Second) }, "/healthz", 503, "stale: the daemon's loop"},
		{"nor one that has not begun", func(d *daemon) { d.progress = time.Unix(0, 0) }, "/healthz", 503, "starting"},
		{"a stale state is not told", func(d *daemon) { d.progress = time.Now().Add(-3 * time.Second) }, "/v1/status", 503, "stale"},
		{"a stale VIP is not held", func(d *daemon) { d.progress = time.Now().Add(-3 * time.Second) }, "/vip/web", 503, "stale"},
		{"ready", nil, "/readyz", 200, "ready"},
		{"an instance in INIT says what it waits for", func(d *daemon) {
			d.snapshot.Ready, d.snapshot.Instances[0].State, d.snapshot.Instances[0].Reason = false, 0, "waits for an address on eth0"
		}, "/readyz", 503, "not ready: web waits for an address on eth0"},
		{"the master holds its instance", nil, "/vip/web", 200, "held"},
		{"and its VIP", nil, "/vip/10.99.0.100", 200, "held"},
		{"also with the prefix length", nil, "/vip/10.99.0.100/24", 200, "held"},
		{"but not with another one", nil, "/vip/10.99.0.100/32", 503, "not held: there is no instance and no VIP 10.99.0.100/32"},
		{"a backup holds neither", backup, "/vip/web", 503, "not held"},
		{"nor the VIP", backup, "/vip/10.99.0.100", 503, "not held"},
		{"a master whose VIP the kernel refused does not hold the instance", func(d *daemon) {
			d.snapshot.Instances[0].Addresses[0].Held = false
		}, "/vip/web", 503, "not held"},
		{"an unknown name is not held, and is told", nil, "/vip/wbe", 503, "not held: there is no instance and no VIP wbe"},
		{"metrics", nil, "/metrics", 200, "vipward_ready 1"},
		{"the page", nil, "/", 200, "<title>lb1 web MASTER</title>"},
		{"nothing else is there", nil, "/v2/status", 404, "404"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDaemon()
			if tc.daemon != nil {
				tc.daemon(d)
			}
			s := d.server(io.Discard)
			for name, h := range map[string]http.Handler{"socket": s.Handler(), "listener": s.ReadOnlyHandler()} {
				w := request(h, "GET", tc.path, "")
				if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.want) {
					t.Errorf("GET %s on the %s = %d %s, want %d and %q", tc.path, name, w.Code, w.Body, tc.code, tc.want)
				}
			}
		})
	}
}

func TestStatusIsTheRenderedOne(t *testing.T) {
	w := request(newDaemon().server(io.Discard).ReadOnlyHandler(), "GET", "/v1/status", "")
	var got Status
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Node != "lb1" || got.Instances[0].State != "MASTER" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("GET /v1/status = %s (%s)", w.Body, w.Header())
	}
}

func TestPageEscapesWhatPluginsSay(t *testing.T) {
	d := newDaemon()
	d.snapshot.Services[0].RealServers[1].Reason = "<script>alert(1)</script>"
	w := request(d.server(io.Discard).ReadOnlyHandler(), "GET", "/", "")
	if strings.Contains(w.Body.String(), "<script>") || !strings.Contains(w.Body.String(), "&lt;script&gt;") {
		t.Errorf("the page has the reason as it came:\n%s", w.Body)
	}
}

func TestCommands(t *testing.T) {
	faulty := &ConfigError{Diagnostics: config.Diagnostics{{Severity: config.Error, Summary: "virtual_router_id out of range", File: "a.hcl", Line: 2}}}
	for _, tc := range []struct {
		name, path, body string
		err              error
		code             int
		want             string
	}{
		{"reload", "/v1/reload", `{"path":"/etc/vipward"}`, nil, 200, `"config_hash": "9f3c"`},
		{"reload of the same path", "/v1/reload", "", nil, 200, `"changed": true`},
		{"a faulty configuration comes back with its diagnostics", "/v1/reload", "{}", faulty, 422, `"line": 2`},
		{"a relative path means nothing to the daemon", "/v1/reload", `{"path":"web.hcl"}`, nil, 400, "is not absolute"},
		{"failover", "/v1/failover", `{"instance":"web"}`, nil, 200, `"took_ms": 3.1`},
		{"failover of everything", "/v1/failover", `{"all":true}`, nil, 200, `"took_ms": 3.1`},
		{"failover of everything and of one", "/v1/failover", `{"all":true,"instance":"web"}`, nil, 409, "send one of them"},
		{"failover where this node is not master", "/v1/failover", `{"instance":"web"}`, fmt.Errorf("%w: web is BACKUP", node.ErrRefused), 409, "web is BACKUP"},
		{"failover without a peer", "/v1/failover", `{"instance":"web"}`, fmt.Errorf("%w: no router", node.ErrTimeout), 504, "no router"},
		{"failover that the loop did not take", "/v1/failover", `{"instance":"web"}`, context.DeadlineExceeded, 504, "deadline"},
		{"maintenance", "/v1/maintenance", `{"on":true,"reason":"disk","force":true}`, nil, 200, `maintenance true for \"disk\", force true`},
		{"maintenance that nobody takes over from", "/v1/maintenance", `{"on":true}`, fmt.Errorf("%w: web stays", node.ErrTimeout), 504, "web stays"},
		{"the word that a node is off", "/v1/fence/confirm", `{"node":"lb2"}`, nil, 200, "lb2 counts as off"},
		{"the word that a node is off which lives", "/v1/fence/confirm", `{"node":"lb2"}`, fmt.Errorf("%w: lb2 is alive", node.ErrRefused), 409, "lb2 is alive"},
		{"failover of a mistyped instance", "/v1/failover", `{"instance":"wbe"}`, nil, 404, `did you mean \"web\"?`},
		{"reload of a plugin", "/v1/plugins/http/reload", `{}`, nil, 200, `"pid": 123`},
		{"reload of a plugin that fails", "/v1/plugins/http/reload", `{}`, errors.New("the new one failed"), 500, "the new one failed"},
		{"reload of a mistyped plugin", "/v1/plugins/htpt/reload", `{}`, nil, 404, `unknown plugin \"htpt\"; did you mean \"http\"?`},
		{"status of a fencer", "/v1/fence", `{"fencer":"lb2-power","action":"status"}`, nil, 200, `"evidence": "reads on"`},
		{"test of a fencer", "/v1/fence", `{"fencer":"lb2-power","action":"test","node":"lb2"}`, nil, 200, `"ready": true`},
		{"a fencer does nothing else", "/v1/fence", `{"fencer":"lb2-power","action":"off"}`, nil, 400, `asked for status and test, not for \"off\"`},
		{"a mistyped fencer", "/v1/fence", `{"fencer":"lb2-powr","action":"status"}`, nil, 404, `there is no fencer \"lb2-powr\"; did you mean \"lb2-power\"?`},
		{"failover of an instance that is not there", "/v1/failover", `{"instance":"database"}`, nil, 404, "there are: web"},
		{"another fault", "/v1/reload", "{}", io.ErrUnexpectedEOF, 500, "unexpected EOF"},
		{"an unknown field", "/v1/reload", `{"file":"/etc"}`, nil, 400, `unknown field \"file\"`},
		{"two values", "/v1/reload", `{} {}`, nil, 400, "more than one value"},
		{"no JSON", "/v1/reload", `path=/etc`, nil, 400, "read the request"},
		{"more than a megabyte", "/v1/reload", `{"path":"/` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDaemon()
			d.err = tc.err
			w := request(d.server(io.Discard).Handler(), "POST", tc.path, tc.body)
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("POST %s = %d %s, want %d and %s", tc.path, w.Code, w.Body, tc.code, tc.want)
			}
		})
	}
}

func TestListenerTakesNoCommand(t *testing.T) {
	d := newDaemon()
	h := d.server(io.Discard).ReadOnlyHandler()
	for _, path := range []string{"/v1/reload", "/v1/failover", "/v1/plugins/http/reload", "/v1/fence", "/v1/status", "/"} {
		if w := request(h, "POST", path, `{"path":"/etc/x"}`); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s = %d, want 405", path, w.Code)
		}
	}
	if d.reloaded != "" {
		t.Errorf("the listener reloaded %s", d.reloaded)
	}
}

func TestEventsSince(t *testing.T) {
	s := newDaemon().server(io.Discard)
	old, young := at(1), at(2)
	old.Time, young.Time = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
	s.Events.Append(old)
	s.Events.Append(young)
	for query, want := range map[string]string{
		"":                            "200 [1 2]",
		"?since=10m":                  "200 [2]",
		"?since=2020-01-01T00:00:00Z": "200 [1 2]",
		"?since=yesterday":            "400 []",
		"?since=-10m":                 "400 []",
		"?follow=perhaps":             "400 []",
	} {
		w := request(s.ReadOnlyHandler(), "GET", "/v1/events"+query, "")
		var list EventList
		_ = json.Unmarshal(w.Body.Bytes(), &list) // an error has none
		if got := fmt.Sprintf("%d %v", w.Code, numbers(list.Events)); got != want {
			t.Errorf("GET /v1/events%s = %s, want %s", query, got, want)
		}
	}
}

func TestNearestName(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{"wbe", "web"}, {"we", "web"}, {"databse", "database"}, {"web", "web"}, {"mail", ""}, {"", ""},
	} {
		if got := nearest(tc.name, []string{"web", "database"}); got != tc.want {
			t.Errorf("nearest(%q) = %q, want %q", tc.name, got, tc.want)
		}
	}
}
