package engine

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/node"
)

// systemd is the other end of sd_notify(3).
func systemd(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

// next is the next message, or empty where none comes within the time.
func next(t *testing.T, c *net.UnixConn, within time.Duration) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func TestWatchdogIsFedByTheLoopAlone(t *testing.T) {
	c := systemd(t)
	t.Setenv("WATCHDOG_USEC", "40000")
	t.Setenv("WATCHDOG_PID", "")
	l := newLoop(node.New(node.Config{}))
	l.progress.Store(1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- watch(ctx, slog.New(slog.DiscardHandler), l) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if got := next(t, c, 5*time.Second); got != "WATCHDOG=1" {
		t.Fatalf("the first message is %q, want WATCHDOG=1", got)
	}
	if got := next(t, c, 5*time.Second); got != "STATUS=starting" {
		t.Fatalf("the second message is %q, want the status", got)
	}
	// Four times the interval, in which a timer of its own would have spoken; the loop has not moved.
	if got := next(t, c, 160*time.Millisecond); got != "" {
		t.Errorf("the loop stands still, and systemd was told %q", got)
	}
	l.progress.Store(2)
	if got := next(t, c, 5*time.Second); got != "WATCHDOG=1" {
		t.Errorf("the loop went on, and systemd was told %q", got)
	}
}

func TestReadyIsWhoseLoopGoesRound(t *testing.T) {
	c := systemd(t)
	e := &engine{loop: newLoop(node.New(node.Config{})), log: slog.New(slog.DiscardHandler)}
	e.config.Store(&config.Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.ready(context.Background())
	}()
	if got := next(t, c, 50*time.Millisecond); got != "" {
		t.Errorf("the loop has not begun, and systemd was told %q", got)
	}
	(<-e.loop.calls)(time.Now())
	if got := next(t, c, 5*time.Second); got != "READY=1" {
		t.Errorf("the loop goes round, and systemd was told %q, want READY=1", got)
	}
	<-done
}

func TestReloadIsToldWithItsTime(t *testing.T) {
	c := systemd(t)
	notifyReloading(slog.New(slog.DiscardHandler))
	if got := next(t, c, 5*time.Second); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("systemd was told %q", got)
	}
}
