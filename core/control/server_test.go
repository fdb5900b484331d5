package control

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve runs f until the test ends, and fails the test if it ends badly or late.
func serve(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the server ended: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the server did not end within 10 s")
		}
	})
}

func unixClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

// buffer is a log that two goroutines may touch.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestSocketServesCommandsAndNotesWhoGaveThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "vipward.sock")
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	d := newDaemon()
	serve(t, func(ctx context.Context) error { return d.server(&log).Run(ctx, l) })
	resp, err := unixClient(path).Post("http://vipward/v1/reload", "application/json", strings.NewReader(`{"path":"/etc/vipward"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || d.reloaded != "/etc/vipward" {
		t.Errorf("POST /v1/reload = %s, reloaded %q", resp.Status, d.reloaded)
	}
	if want := fmt.Sprintf("by=\"uid %d pid %d\"", os.Getuid(), os.Getpid()); !strings.Contains(log.String(), want) {
		t.Errorf("the log is %q, want %s in it", log.String(), want)
	}
}

func TestSocketIsForOwnerAndGroup(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	path := filepath.Join(t.TempDir(), "run", "vipward.sock")
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]os.FileMode{path: 0o660, filepath.Dir(path): 0o750} {
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fi.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o, want %o", name, got, want)
		}
	}
}

func TestSocketOfALivingDaemonIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipward.sock")
	first, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if l, err := ListenSocket(path); err == nil || !strings.Contains(err.Error(), "another vipward runs on it") {
		t.Fatalf("second ListenSocket = %v, %v; want a refusal", l, err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the first daemon's socket does not answer any more: %v", err)
	}
	_ = c.Close()
}

func TestSocketOfADeadDaemonIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipward.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatalf("ListenSocket over a left socket = %v", err)
	}
	_ = l.Close()
	if l, err = ListenSocket(path); err != nil {
		t.Fatalf("ListenSocket after a clean end = %v", err)
	}
	_ = l.Close()
}

func TestSocketRefusals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, path, want string }{
		{"a file of that name is not touched", file, "which is no socket"},
		{"a path that the kernel cannot hold", filepath.Join(dir, strings.Repeat("x", 120)), "at most 107 bytes"},
		{"a directory that cannot be made", filepath.Join(file, "x", "s"), "make the directory"},
	} {
		if l, err := ListenSocket(tc.path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: ListenSocket = %v, %v; want %q", tc.name, l, err, tc.want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

func TestBrokenListenerAddressIsAnErrorAtOnce(t *testing.T) {
	for _, address := range []string{"127.0.0.1:99999", "192.0.2.1:9112", "nonsense"} {
		if l, err := Listen(address); err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("Listen(%q) = %v, %v; want an error that names it", address, l, err)
		}
	}
}

func TestFollowerGetsPastAndPresentAndTheEnd(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newDaemon().server(io.Discard)
	past := at(1)
	past.Time = time.Now()
	s.Events.Append(past)
	ctx, cancel := context.WithCancel(context.Background())
	serve(t, func(context.Context) error { return s.RunReadOnly(ctx, l) })
	resp, err := http.Get("http://" + l.Addr().String() + "/v1/events?follow=1&since=1m")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type = %s", got)
	}
	lines := bufio.NewScanner(resp.Body)
	for _, want := range []string{": from ", "", "id: 1", `data: {"seq":1,`, ""} {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
			t.Fatalf("line %q, want %q…; %v", lines.Text(), want, lines.Err())
		}
	}
	s.Events.Append(at(2))
	for _, want := range []string{"id: 2", `data: {"seq":2,`, ""} {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
			t.Fatalf("line %q, want %q…; %v", lines.Text(), want, lines.Err())
		}
	}
	cancel() // the daemon stops; it does not wait for those who follow, but lets them know
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), ": the end") {
		t.Errorf("the last line is %q, want the end", lines.Text())
	}
}

func TestLongHeadersAreRefused(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, func(ctx context.Context) error { return newDaemon().server(io.Discard).RunReadOnly(ctx, l) })
	for length, want := range map[int]int{maxHeader / 2: http.StatusOK, maxHeader + 8<<10: http.StatusRequestHeaderFieldsTooLarge} {
		req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Long", strings.Repeat("x", length))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("a header of %d bytes = %s, want %d", length, resp.Status, want)
		}
	}
}

func TestOneDaemonKeepsTheStateOfANode(t *testing.T) {
	dir := t.TempDir()
	first, err := HoldState(dir, "lb1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := HoldState(dir, "lb2")
	if err != nil {
		t.Fatalf("another node in the same directory: %v", err)
	}
	defer other.Close()
	if l, err := HoldState(dir, "lb1"); err == nil || !strings.Contains(err.Error(), "another vipward keeps the state of lb1 in "+dir) {
		t.Fatalf("a second one has %v, %v; want a refusal", l, err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = first.Close() })
	next, err := HoldState(dir, "lb1")
	if err != nil {
		t.Fatalf("once the first is gone: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}
