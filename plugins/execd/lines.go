package execd

import (
	"bytes"
	"strings"
	"time"
)

const (
	maxLine  = 64 << 10 // bytes of a line that are kept
	maxWords = 200      // bytes of a line in a log
)

// lines cuts what is written into lines and hands each to take, empty ones left out. take may keep a line until it returns.
type lines struct {
	take func(line []byte, cut bool) // cut says that the line goes on beyond maxLine
	line []byte
	cut  bool
}

// Write never fails. What has no end of line waits for it.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		part, rest, ended := bytes.Cut(p, []byte("\n"))
		room := min(len(part), maxLine-len(l.line))
		l.line = append(l.line, part[:room]...)
		l.cut = l.cut || room < len(part)
		if !ended {
			return n, nil
		}
		if len(bytes.TrimSpace(l.line)) > 0 {
			l.take(l.line, l.cut)
		}
		l.line, l.cut, p = l.line[:0], false, rest
	}
}

// excerpt is the beginning of a line for a log.
func excerpt(line []byte) string {
	return strings.ToValidUTF8(strings.TrimSpace(string(line[:min(len(line), maxWords)])), "?")
}

// limiter lets the first lines of each stretch of time through.
type limiter struct {
	began time.Time
	n     int
	left  int
}

const (
	stretch  = 10 * time.Second
	maxLines = 20 // per stretch
)

// allow tells whether a line at now may be logged, and how many may not have been since the last one that was.
func (l *limiter) allow(now time.Time) (ok bool, left int) {
	if now.Sub(l.began) >= stretch {
		l.began, l.n = now, 0
	}
	l.n++
	if l.n > maxLines {
		l.left++
		return false, 0
	}
	left, l.left = l.left, 0
	return true, left
}
