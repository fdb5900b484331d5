//go:build linux

package nginx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// history is when nginx was restarted within the last hour. It is in a file, one for each command, so that a plugin that is
// replaced or that died knows of it; the lock of the file keeps two processes from restarting at once. Where the file cannot be
// had, it is in memory only.
type history struct {
	path string

	mu    sync.Mutex
	times []time.Time
	told  bool // that there is no file
}

const maxHistory = 16 << 10 // bytes of the file that are read

// errBusy says that another process holds the file: it restarts nginx right now.
var errBusy = errors.New("another process restarts it")

func newHistory(dir string, command []string) history {
	sum := sha256.Sum256([]byte(strings.Join(command, "\x00")))
	return history{path: filepath.Join(dir, "nginx-restarts-"+hex.EncodeToString(sum[:6]))}
}

// claim takes note of a restart at a time, unless there have been enough. Until release is called, no other process may claim one.
func (h *history) claim(now time.Time, perHour int, log *slog.Logger) (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, err := h.open()
	switch {
	case errors.Is(err, errBusy):
		return nil, err
	case err != nil:
		h.tell(log, err)
	default:
		if times, err := readTimes(f); err == nil && len(recent(times, now)) >= len(recent(h.times, now)) {
			h.times = times // another process knows more
		}
	}
	release = func() {
		if f != nil {
			f.Close() // and with it the lock
		}
	}
	h.times = recent(h.times, now)
	if n := len(h.times); n > 0 && n >= perHour {
		release()
		return nil, fmt.Errorf("per_hour, %d, is reached, the last restart was at %s", perHour, h.times[n-1].Format(time.TimeOnly))
	}
	h.times = append(h.times, now)
	if f != nil {
		if err := writeTimes(f, h.times); err != nil {
			h.tell(log, err)
		}
	}
	return release, nil
}

// tell says once that the file cannot be had.
func (h *history) tell(log *slog.Logger, err error) {
	if !h.told {
		h.told = true
		log.Warn("restarts are counted in memory only", "err", err)
	}
}

// open opens the file, which nobody else may write to, and locks it.
func (h *history) open() (*os.File, error) {
	f, err := os.OpenFile(h.path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errBusy
	}
	return nil, fmt.Errorf("lock %s: %w", h.path, err)
}

// recent are the times within the hour before now. A time after now, of a clock that was set back, counts as well.
func recent(times []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return now.Sub(t) >= time.Hour || t.Sub(now) >= time.Hour })
}

// readTimes reads one time a line, in seconds since 1970. What is none is left out.
func readTimes(f io.Reader) ([]time.Time, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxHistory))
	if err != nil {
		return nil, err
	}
	var times []time.Time
	for line := range strings.Lines(string(text)) {
		if n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil {
			times = append(times, time.Unix(n, 0))
		}
	}
	return times, nil
}

func writeTimes(f *os.File, times []time.Time) error {
	var b strings.Builder
	for _, t := range times {
		fmt.Fprintln(&b, t.Unix())
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(b.String()), 0)
	return err
}
