// Package fencer is a fencer of the laboratory: a script that says what the scenario wants it to say, and switches nodes off where it is
// to tell the truth.
package fencer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Name of the fencer in a configuration.
const Name = "power"

// Deed is what a fencer does when it is to switch a node off.
type Deed string

// The deeds.
const (
	// Confirms: the node is switched off by the [Switch] of the directory, and reads off from then on.
	Confirms Deed = `[ $1 = off ] && exec echo "$VIPWARD_NODE" >"$0.switch"; [ ! -e "$0.$VIPWARD_NODE" ] || exit 2`
	// Lies: the node reads off, and goes on.
	Lies Deed = "[ $1 = off ] || exit 2"
	// Fails: the node reads on, whatever was asked for.
	Fails Deed = "[ $1 = status ]"
	// Hangs: no call ends.
	Hangs Deed = "exec sleep 60"
)

// Block is the fencer in a configuration, for nodes that share the directory.
func Block(dir string, timeout time.Duration) string {
	path := filepath.Join(dir, Name)
	return fmt.Sprintf("fencer \"exec\" %q {\n  off     = [%q, \"off\"]\n  status  = [%q, \"status\"]\n  poll    = \"20ms\"\n  timeout = %q\n}\n",
		Name, path, path, timeout)
}

// Write has the fencer of a directory do something, from the next call on.
func Write(dir string, does Deed) error {
	path := filepath.Join(dir, Name)
	if err := os.WriteFile(path+".new", []byte("#!/bin/sh\n"+string(does)+"\n"), 0o755); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Switch is what the fencers of a directory switch nodes off with.
type Switch struct {
	path  string
	asked *os.File // a named pipe, from which come the names of nodes
}

// NewSwitch makes the switch of a directory. Run ends it.
func NewSwitch(dir string) (*Switch, error) {
	path := filepath.Join(dir, Name)
	if err := unix.Mkfifo(path+".switch", 0o600); err != nil {
		return nil, fmt.Errorf("make a named pipe: %w", err)
	}
	f, err := os.OpenFile(path+".switch", os.O_RDWR, 0) // also for writing, so that it does not end with a writer
	return &Switch{path, f}, err
}

// Run has off called for each node that is to be switched off, until the context ends.
func (s *Switch) Run(ctx context.Context, off func(node string) error) error {
	defer context.AfterFunc(ctx, func() { s.asked.Close() })()
	for names := bufio.NewScanner(s.asked); names.Scan(); {
		node := names.Text()
		if !s.Off(node) {
			if err := off(node); err != nil {
				return fmt.Errorf("switch %s off: %w", node, err)
			}
		}
		if err := os.WriteFile(s.place(node), nil, 0o644); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Off tells whether a node was switched off; On notes that it no longer is.
func (s *Switch) Off(node string) bool {
	_, err := os.Stat(s.place(node))
	return err == nil
}

// On is the reverse of Off. It is no error where the node is on.
func (s *Switch) On(node string) error {
	if err := os.Remove(s.place(node)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Switch) place(node string) string { return s.path + "." + node }
