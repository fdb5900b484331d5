//go:build linux

package nginx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vipward/vipward/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configured is a configuration as it is after decoding: defaults, validated, opened.
func configured(t *testing.T, c Config) Config {
	t.Helper()
	if c.Process == "" {
		c.Process = "nginx"
	}
	if c.TestConfig {
		c.TestInterval, c.TestTimeout = time.Hour, 30*time.Second
	}
	if r := c.Restart; r != nil {
		if r.Timeout == 0 {
			r.Timeout = 30 * time.Second
		}
		if r.PerHour == 0 {
			r.PerHour = 1
		}
		if r.StateDir == "" {
			r.StateDir = t.TempDir()
		}
	}
	if err := errors.Join(c.Validate(), c.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func checked(t *testing.T, timeout time.Duration, c Config) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return check(ctx, sdk.Target{Name: "checker local"}, c).String()
}

const enough = time.Minute // for what must come

// script writes an executable shell script that knows the directory of the test as $dir.
func script(t *testing.T, dir, body string) []string {
	t.Helper()
	path := filepath.Join(dir, "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ndir="+dir+"\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

// file writes a file of the test.
func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func page(active, accepts, handled, requests int) string {
	return fmt.Sprintf("Active connections: %d \nserver accepts handled requests\n %d %d %d \nReading: 0 Writing: 1 Waiting: 0 \n",
		active, accepts, handled, requests)
}

func TestAPageOfStubStatus(t *testing.T) {
	s, err := parseStatus("Active connections: 291 \nserver accepts handled requests\n 16630948 16630947 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n")
	if want := (status{291, 16630948, 16630947, 31070465, 6, 179, 106}); err != nil || s != want {
		t.Errorf("parseStatus = %+v, %v, want %+v", s, err, want)
	}
	for _, text := range []string{"", "<html>", "Active connections: 1 \n", strings.Replace(page(1, 2, 3, 4), "1", "-1", 1)} {
		if _, err := parseStatus(text); err == nil {
			t.Errorf("parseStatus(%q) finds nothing wrong", text)
		}
	}
}

func TestWhatHappensBetweenTwoPages(t *testing.T) {
	at := time.Unix(1000, 0)
	before := sample{at, status{accepts: 100, handled: 90, requests: 1000}}
	for _, tt := range []struct {
		name   string
		before sample
		now    sample
		want   pace
	}{
		{"the first page tells nothing", sample{}, before, pace{}},
		{"ten seconds", before, sample{at.Add(10 * time.Second), status{accepts: 150, handled: 140, requests: 1500}}, pace{true, 5, 50, 0}},
		{"dropped connections", before, sample{at.Add(time.Second), status{accepts: 110, handled: 97, requests: 1000}}, pace{true, 10, 0, 3}},
		{"those of before do not count", before, sample{at.Add(time.Second), status{accepts: 100, handled: 90, requests: 1001}}, pace{true, 0, 1, 0}},
		{"nginx was restarted", before, sample{at.Add(time.Second), status{accepts: 1, handled: 1, requests: 1}}, pace{}},
		{"the clock was set back", before, sample{at.Add(-time.Second), status{accepts: 200, handled: 190, requests: 2000}}, pace{}},
	} {
		if got := paceOf(tt.before, tt.now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestThePageIsJudged(t *testing.T) {
	pages := []string{page(5, 10, 10, 10), page(5, 1000010, 1000003, 1000010)}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/status":
			_, _ = w.Write([]byte(pages[min(asked, 1)]))
			asked++
		case "/host":
			if r.Host == "status.example.com" {
				_, _ = w.Write([]byte(pages[0]))
			}
		case "/closed":
			w.WriteHeader(http.StatusForbidden)
		case "/slow":
			<-r.Context().Done()
		default:
			_, _ = w.Write([]byte("hello"))
		}
	}))
	defer server.Close()
	refused := freeAddress(t)
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		config  Config
		want    string
	}{
		{"well", enough, Config{URL: server.URL + "/status", MaxActive: 5}, "pass"},
		{"too many connections", enough, Config{URL: server.URL + "/status", MaxActive: 4}, "fail: 5 active connections, more than max_active, 4"},
		{"a virtual host", enough, Config{URL: server.URL + "/host", Host: "status.example.com"}, "pass"},
		{"a page that is closed", enough, Config{URL: server.URL + "/closed"}, "fail: GET URL/closed: status 403, want 200: is stub_status allowed there?"},
		{"another page", enough, Config{URL: server.URL + "/"}, `fail: GET URL/: no page of stub_status: "hello"`},
		{"a page that is slow", 300 * time.Millisecond, Config{URL: server.URL + "/slow"}, "fail: GET URL/slow: no answer in time"},
		{"nobody there", enough, Config{URL: "http://" + refused.String() + "/"}, "fail: GET http://" + refused.String() + "/: dial tcp " + refused.String() + ": connect: connection refused"},
		{"a name that does not resolve", enough, Config{URL: "http://a.invalid/"}, "error: GET http://a.invalid/: dial tcp: lookup a.invalid"},
		{"a port that listens", enough, Config{Listen: []netip.AddrPort{addressOf(server)}}, "pass"},
		{"one that does not", enough, Config{Listen: []netip.AddrPort{addressOf(server), refused}}, "fail: listen " + refused.String() + ": dial tcp " + refused.String() + ": connect: connection refused"},
	} {
		want := strings.ReplaceAll(tt.want, "URL", server.URL)
		if got := checked(t, tt.timeout, configured(t, tt.config)); !strings.HasPrefix(got, want) || want == "pass" && got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
	asked = 0
	c := configured(t, Config{URL: server.URL + "/status", MaxAccepts: 1})
	if got := checked(t, enough, c); got != "pass" {
		t.Errorf("the first run: %s, want pass", got)
	}
	if got := checked(t, enough, c); !strings.HasSuffix(got, " connections accepted in a second, more than max_accepts_per_second, 1") {
		t.Errorf("the second run: %s, want too many accepts", got)
	}
	asked = 0
	c = configured(t, Config{URL: server.URL + "/status"})
	_ = checked(t, enough, c)
	if got, want := checked(t, enough, c), "warn: nginx has dropped 7 connections since the last run: see worker_connections"; got != want {
		t.Errorf("dropped connections: %s, want %s", got, want)
	}
}

func addressOf(s *httptest.Server) netip.AddrPort {
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestTheProcessOfAFile(t *testing.T) {
	self, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	name, dir := strings.TrimSpace(string(self)), t.TempDir()
	pid := os.Getpid()
	for _, tt := range []struct{ name, text, process, want string }{
		{"it runs", fmt.Sprintf("%d\n", pid), name, "pass"},
		{"another process has its number", fmt.Sprint(pid), "nginx", fmt.Sprintf("fail: process %d of pid_file FILE is %s, not nginx", pid, name)},
		{"there is no such process", "4194305", name, "fail: process 4194305 of pid_file FILE does not run"},
		{"an empty file, as nginx -t leaves one", "", name, "fail: pid_file FILE has no process id"},
		{"no number", "nginx", name, "fail: pid_file FILE has no process id"},
	} {
		path := file(t, dir, "pid", tt.text)
		want := strings.ReplaceAll(tt.want, "FILE", path)
		if got := checked(t, enough, configured(t, Config{PIDFile: path, Process: tt.process})); got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
	gone := filepath.Join(dir, "none")
	if got := checked(t, enough, configured(t, Config{PIDFile: gone})); got != "fail: there is no pid_file "+gone {
		t.Errorf("no file: %s", got)
	}
	if got := checked(t, enough, configured(t, Config{PIDFile: dir})); !strings.HasPrefix(got, "error: read "+dir) {
		t.Errorf("a file that cannot be read: %s, want an error", got)
	}
}

func TestAnEmptyBlockLooksForTheProcess(t *testing.T) {
	if c := configured(t, Config{}); c.PIDFile != "/run/nginx.pid" {
		t.Errorf("pid_file = %q, want /run/nginx.pid", c.PIDFile)
	}
	if c := configured(t, Config{URL: "http://127.0.0.1/"}); c.PIDFile != "" {
		t.Errorf("pid_file = %q beside a url, want none", c.PIDFile)
	}
}

func TestOnlyThePageIsAskedOfARealServer(t *testing.T) {
	target := sdk.Target{Address: netip.MustParseAddrPort("10.0.0.1:80")}
	got := check(t.Context(), target, configured(t, Config{PIDFile: "/run/nginx.pid"})).String()
	if want := "error: pid_file is for a checker of the node itself, not for a check of 10.0.0.1:80"; got != want {
		t.Errorf("check = %s, want %s", got, want)
	}
}

func TestValidatePointsAtTheFault(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{URL: "nginx_status"}, `url: "nginx_status" is no URL: write "http://HOST/PATH" or "https://HOST/PATH"`},
		{Config{PIDFile: "/run/nginx.pid", MaxActive: 1}, "max_active: only the page of url tells how many connections there are"},
		{Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}, "listen[0]: 127.0.0.1:0 has no port"},
		{Config{PIDFile: "/x", Restart: &Restart{}}, "restart.command: the command is empty"},
		{Config{PIDFile: "/x", Restart: &Restart{Command: []string{"./x"}}}, `restart.command[0]: "./x" depends on a working directory: write the whole path`},
		{Config{PIDFile: "/x", TestConfig: true}, "test_command: the command is empty"},
	} {
		if err := tt.config.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("Validate = %v, want %s", err, tt.want)
		}
	}
}
