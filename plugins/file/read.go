package file

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	maxFile  = 4096 // bytes that a file may have
	maxReads = 8    // of one configuration at a time, whose file system may hang
)

// content is what a file says.
type content struct {
	line    string
	written time.Time
}

// reader reads files so that a file system that hangs, as NFS without its server, keeps neither the check nor the plugin: the
// read goes on alone, and only so many of them.
type reader struct {
	load  func(path string) (content, error)
	slots chan struct{}
}

func newReader(load func(string) (content, error)) *reader {
	return &reader{load: load, slots: make(chan struct{}, maxReads)}
}

// read reads a file until ctx ends.
func (r *reader) read(ctx context.Context, path string) (content, error) {
	if !r.take(ctx) {
		return content{}, fmt.Errorf("read %s: the reads before it have not come back", path)
	}
	type outcome struct {
		content
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-r.slots }()
		c, err := r.load(path)
		done <- outcome{c, err}
	}()
	select {
	case o := <-done:
		return o.content, o.err
	case <-ctx.Done():
		return content{}, fmt.Errorf("read %s: not done in time", path)
	}
}

// take takes a slot, one that is free even when ctx has ended.
func (r *reader) take(ctx context.Context) bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
	}
	select {
	case r.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// load reads the first line of a regular file. A pipe is refused without waiting for its writer.
func load(path string) (content, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return content{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return content{}, err
	case !info.Mode().IsRegular():
		return content{}, fmt.Errorf("%s is no regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return content{}, err
	case len(text) > maxFile:
		return content{}, fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return content{strings.ToValidUTF8(strings.TrimSpace(string(line)), "?"), info.ModTime()}, nil
}
