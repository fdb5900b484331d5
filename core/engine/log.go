package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/config"
)

// journal is the daemon's log, whose level, form and place a reload may change while everybody keeps the same logger.
type journal struct {
	handler *atomic.Pointer[slog.Handler]

	mu  sync.Mutex
	out io.Closer
}

// newJournal logs in the form that a block log without attributes gives, until it is told otherwise.
func newJournal() (*journal, error) {
	j := &journal{handler: &atomic.Pointer[slog.Handler]{}}
	return j, j.set(config.Log{})
}

// set changes the log. Where that fails, the old one goes on.
func (j *journal) set(c config.Log) error {
	var level slog.Level
	if c.Level != "" {
		if err := level.UnmarshalText([]byte(c.Level)); err != nil {
			return fmt.Errorf("log level %q: %w", c.Level, err)
		}
	}
	out, err := logOutput(c.Output)
	if err != nil {
		return err
	}
	opt := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(out, opt)
	if c.Format == "text" || c.Format == "" && isTerminal(out) {
		h = slog.NewTextHandler(out, opt)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.handler.Store(&h)
	old := j.out
	j.out = out
	if old != nil {
		return old.Close()
	}
	return nil
}

// logger is the same for the life of the daemon.
func (j *journal) logger() *slog.Logger { return slog.New(&relay{handler: j.handler}) }

// relay hands each record to the handler that is in force, with what With and WithGroup have added.
type relay struct {
	handler *atomic.Pointer[slog.Handler]
	added   []func(slog.Handler) slog.Handler
}

func (r *relay) Enabled(ctx context.Context, l slog.Level) bool {
	return (*r.handler.Load()).Enabled(ctx, l)
}

func (r *relay) Handle(ctx context.Context, rec slog.Record) error {
	h := *r.handler.Load()
	for _, add := range r.added {
		h = add(h)
	}
	return h.Handle(ctx, rec)
}

func (r *relay) WithAttrs(attrs []slog.Attr) slog.Handler {
	return r.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (r *relay) WithGroup(name string) slog.Handler {
	return r.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (r *relay) with(add func(slog.Handler) slog.Handler) *relay {
	return &relay{r.handler, append(r.added[:len(r.added):len(r.added)], add)}
}

func logOutput(name string) (io.WriteCloser, error) {
	switch name {
	case "", "stderr":
		return stderr{os.Stderr}, nil
	case "syslog":
		w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "vipward")
		if err != nil {
			return nil, fmt.Errorf("open syslog: %w", err)
		}
		return w, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY|unix.O_NOFOLLOW, 0o640) // the operator's choice
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}

// stderr is not ours to close.
type stderr struct{ *os.File }

func (stderr) Close() error { return nil }

func isTerminal(w io.Writer) bool {
	f, ok := w.(stderr)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
