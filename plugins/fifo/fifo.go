// Package fifo is the notifier "fifo": it writes keepalived's lines into a named pipe, for programs that read those. It is not for
// plain files.
package fifo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/message"
)

// pace is how often a pipe that is full is tried again.
const pace = 20 * time.Millisecond

// Config is the block.
type Config struct {
	Path    string        `vipward:"path,required" doc:"The pipe. It is made where it is missing."`
	Mode    string        `vipward:"mode" default:"0600" pattern:"0?[0-7]{3}" doc:"Permissions of a pipe that is made, in octal."`
	States  bool          `vipward:"states_only" default:"true" doc:"Of instances, groups, services and real servers tell changes of state alone, as keepalived does. false: also what else happens to them, with an empty state."`
	Timeout time.Duration `vipward:"timeout" default:"5s" min:"100ms" max:"25s" doc:"How long to wait for a reader that does not keep up."`
}

// Validate refuses what can never work.
func (c *Config) Validate() error {
	if !filepath.IsAbs(c.Path) {
		return sdk.PathError(fmt.Errorf("%q is no absolute path", c.Path), "path")
	}
	info, err := os.Stat(c.Path)
	if err == nil && info.Mode()&os.ModeNamedPipe == 0 {
		return sdk.Warning(sdk.PathError(errors.New("there is something on this node that is no named pipe"), "path"))
	}
	return nil
}

// Component is the notifier for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Notifier("fifo", notify, sdk.Summary("writes keepalived's lines into a named pipe"))
}

// notify writes a line for each event. A line is written whole or not at all (pipe(7)), so that of several the first can be in the
// pipe when the reader goes away; vipward gives this notifier one event at a time.
func notify(ctx context.Context, events []sdk.Event, c Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	fd, err := openPipe(c)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	for _, e := range events {
		if c.States && !message.IsKeepalived(e) {
			continue
		}
		if err := put(ctx, fd, c.Path, Line(e)); err != nil {
			return err
		}
	}
	return nil
}

// openPipe opens the pipe for writing and never waits for a reader.
func openPipe(c Config) (int, error) {
	mode, err := strconv.ParseUint(c.Mode, 8, 32)
	if err != nil {
		return -1, sdk.Drop(fmt.Errorf("mode %s: %w", c.Mode, err))
	}
	switch err := syscall.Mkfifo(c.Path, uint32(mode)); {
	case err == nil:
		if err := os.Chmod(c.Path, os.FileMode(mode)); err != nil { // whatever the umask
			return -1, err
		}
	case !errors.Is(err, syscall.EEXIST):
		return -1, &os.PathError{Op: "make the pipe", Path: c.Path, Err: err}
	}
	fd, err := syscall.Open(c.Path, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENXIO) {
		return -1, fmt.Errorf("%s: nobody reads it", c.Path)
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: c.Path, Err: err}
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		syscall.Close(fd)
		return -1, fmt.Errorf("%s is no named pipe: remove it, or name another path", c.Path)
	}
	return fd, nil
}

// put writes a line, and waits for room until ctx ends.
func put(ctx context.Context, fd int, path, line string) error {
	for {
		_, err := syscall.Write(fd, []byte(line))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EPIPE):
			return fmt.Errorf("%s: its reader has gone", path)
		case !errors.Is(err, syscall.EAGAIN):
			return &os.PathError{Op: "write", Path: path, Err: err}
		}
		t := time.NewTimer(pace)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s is full: its reader does not keep up", path)
		case <-t.C:
		}
	}
}

// maxLine bounds a line, in bytes: what is not longer than PIPE_BUF is written whole.
const maxLine = 4096

// Line is an event as keepalived writes it, with its end of line. What keepalived does not know comes in the same form.
func Line(e sdk.Event) string {
	var s string
	switch e.Kind {
	case "instance":
		s = fmt.Sprintf("INSTANCE %s %s %d", quote(e.Subject), state(e.To), e.Priority)
	case "group":
		s = fmt.Sprintf("GROUP %s %s %d", quote(e.Subject), state(e.To), e.Priority)
	case "real_server":
		s = fmt.Sprintf("RS %s %s %s", quote(e.Subject), quote(e.Service), strings.ToUpper(e.To))
	case "service":
		s = fmt.Sprintf("VS %s %s", quote(e.Subject), strings.ToUpper(e.To))
	default:
		s = fmt.Sprintf("%s %s %s", strings.ToUpper(e.Kind), quote(e.Subject), word(e.To, e.Code))
	}
	if len(s) >= maxLine {
		s = strings.ToValidUTF8(s[:maxLine-1], "")
	}
	return s + "\n"
}

// word is a state, or where there is none the code of the event.
func word(to, code string) string {
	if to == "" {
		to = code
	}
	return strings.ToUpper(strings.Map(visible, to))
}

// quote is a name in quotes, without what would end it or the line.
func quote(s string) string { return `"` + strings.ReplaceAll(strings.Map(visible, s), `"`, `'`) + `"` }

func visible(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// state is a state in keepalived's words.
func state(s string) string {
	switch s {
	case "INIT":
		return "STOP"
	case "HOLD":
		return "BACKUP"
	}
	return word(s, "UNKNOWN")
}
