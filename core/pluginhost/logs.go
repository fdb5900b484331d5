package pluginhost

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	lineBurst = 200  // lines of a plugin's log that may come at once
	lineRate  = 50   // and per second in the long run; more are counted, not logged
	maxLine   = 8192 // bytes of a line; the rest is cut
)

// pluginLog carries what a plugin writes into the host's log, as much of it as is good for the host.
type pluginLog struct {
	log *slog.Logger

	mu         sync.Mutex
	tokens     float64
	filled     time.Time
	suppressed int
}

func newPluginLog(log *slog.Logger) *pluginLog {
	return &pluginLog{log: log, tokens: lineBurst, filled: time.Now()}
}

// read logs the lines of a stream until its end.
func (l *pluginLog) read(r io.Reader) {
	b := bufio.NewReaderSize(r, maxLine)
	for {
		line, cut, err := b.ReadLine()
		if err != nil {
			l.flush()
			return
		}
		l.line(line)
		for cut && err == nil {
			_, cut, err = b.ReadLine()
		}
	}
}

// Write takes what a plugin prints after the handshake and go-plugin carries here.
func (l *pluginLog) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		l.line(bytes.TrimRight(line, "\n"))
	}
	return len(p), nil
}

// line logs one line: in the shape of hclog at its level with its attributes, any other at warn, since nobody writes to
// stderr without a reason.
func (l *pluginLog) line(line []byte) {
	if len(bytes.TrimSpace(line)) == 0 || !l.allow(time.Now()) {
		return
	}
	fields := map[string]any{}
	if json.Unmarshal(line, &fields) != nil || fields["@message"] == nil {
		l.log.Warn(strings.ToValidUTF8(string(line[:min(len(line), maxLine)]), "?"))
		return
	}
	level, _ := fields["@level"].(string)
	message, _ := fields["@message"].(string)
	var attrs []slog.Attr
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !strings.HasPrefix(key, "@") {
			attrs = append(attrs, slog.Any(key, fields[key]))
		}
	}
	l.log.LogAttrs(context.Background(), levelOf(level), message, attrs...)
}

// allow tells whether one more line may pass, and reports those that did not when there is room again.
func (l *pluginLog) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = min(l.tokens+now.Sub(l.filled).Seconds()*lineRate, lineBurst)
	l.filled = now
	if l.tokens < 1 {
		l.suppressed++
		return false
	}
	l.tokens--
	l.report()
	return true
}

// flush reports what was suppressed last.
func (l *pluginLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report()
}

func (l *pluginLog) report() {
	if l.suppressed > 0 {
		l.log.Warn("the plugin logs too much", "suppressed", l.suppressed)
		l.suppressed = 0
	}
}

func levelOf(s string) slog.Level {
	switch s {
	case "trace", "debug":
		return slog.LevelDebug
	case "info":
		return slog.LevelInfo
	case "error":
		return slog.LevelError
	}
	return slog.LevelWarn
}
