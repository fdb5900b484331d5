// Package fencer is a fencer of the laboratory: a script that switches nothing, and says what the scenario wants it to say.
package fencer

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Name of the fencer in a configuration.
const Name = "power"

// Deed is what a fencer does when it is to switch a node off.
type Deed string

// The deeds.
const (
	// Confirms: the node reads off, whether it is or not.
	Confirms Deed = "[ $1 = off ] || exit 2"
	// Fails: the node reads on, whatever was asked for.
	Fails Deed = "[ $1 = status ]"
	// Hangs: no call ends.
	Hangs Deed = "exec sleep 60"
)

// Block is the fencer in a configuration, for nodes that share the directory.
func Block(dir string, timeout time.Duration) string {
	path := filepath.Join(dir, Name)
	return fmt.Sprintf("fencer \"exec\" %q {\n  off     = [%q, \"off\"]\n  status  = [%q, \"status\"]\n  poll    = \"100ms\"\n  timeout = %q\n}\n",
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
