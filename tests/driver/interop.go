package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/vipward/vipward/tests/interop"
	"github.com/vipward/vipward/tests/lab/sandbox"
)

// interopTimeout ends a matrix that hangs.
const interopTimeout = 10 * time.Minute

// runInterop plays the matrix of interoperation in the namespaces of this machine.
func runInterop(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("interop", flag.ExitOnError)
	bin := flags.String("bin", "bin", "the `directory` of the binaries")
	match := flags.String("run", "", "play the cells whose line matches this `regexp`")
	parallel := flags.Int("parallel", 16, "cells at a `time`: most of their time is waiting")
	inside := flags.Bool("inside", false, "play in this very process")
	_ = flags.Parse(args) // ExitOnError
	dir, err := filepath.Abs(*bin)
	if err != nil {
		return 1, err
	}
	re, err := regexp.Compile(*match)
	if err != nil {
		return 2, err
	}
	if *inside {
		if !interop.Run(dir, re, *parallel, os.Stdout) {
			return 1, nil
		}
		return 0, nil
	}
	return withinSandbox(ctx, "interop", args, interopTimeout)
}

// withinSandbox runs a command of this program again in a sandbox that takes everything with it when it ends.
func withinSandbox(ctx context.Context, command string, args []string, limit time.Duration) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	tmp, err := os.MkdirTemp("", "vw-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // the users of other daemons pass through
		return 1, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return sandbox.Run(ctx, sandbox.Spec{
		Args: append([]string{self, command, "-inside"}, args...), Env: []string{"TMPDIR=" + tmp}, CPU: -1, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}
