//go:build linux

package command

import (
	"bytes"
	"strings"
)

const (
	maxOutput = 64 << 10 // bytes that an Output keeps
	maxWords  = 200      // bytes of a line for a reason
)

// Output keeps the first 64 KiB of what a command writes and swallows the rest. The zero value is ready.
type Output struct {
	kept bytes.Buffer
	cut  bool
}

// Write never fails, so that a command is not stopped by its own output.
func (o *Output) Write(p []byte) (int, error) {
	n := min(len(p), maxOutput-o.kept.Len())
	o.kept.Write(p[:n])
	o.cut = o.cut || n < len(p)
	return len(p), nil
}

// String is what was kept; […] stands for the rest.
func (o *Output) String() string {
	if o.cut {
		return o.kept.String() + " […]"
	}
	return o.kept.String()
}

// FirstLine is the first line that is not empty, up to 200 bytes of it, for a reason.
func (o *Output) FirstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(o.kept.String()), "\n")
	return words(line)
}

// LastLine is the last line that is not empty, up to 200 bytes of it, for a reason.
func (o *Output) LastLine() string {
	text := strings.TrimSpace(o.kept.String())
	return words(text[strings.LastIndexByte(text, '\n')+1:])
}

func words(line string) string {
	return strings.TrimSpace(strings.ToValidUTF8(line[:min(len(line), maxWords)], ""))
}
