package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"

	"github.com/vipward/vipward/tests/e2e"
	"github.com/vipward/vipward/tests/lab/sandbox"
)

// runBench measures in the namespaces of this machine, since a guest is too slow to time anything.
func runBench(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	bin := flags.String("bin", "bin", "the `directory` of the binaries")
	match := flags.String("run", "", "measure the parts whose name matches this `regexp`")
	rounds := flags.Int("rounds", 5, "`rounds` of each measurement that scatters")
	inside := flags.Bool("inside", false, "measure in this very process")
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
		if err := e2e.Bench(dir, re, *rounds, os.Stdout); err != nil {
			return 1, err
		}
		return 0, nil
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	again := append([]string{self, "bench", "-inside"}, args...)
	return sandbox.Run(ctx, sandbox.Spec{Args: again, CPU: -1, Stdout: os.Stdout, Stderr: os.Stderr})
}
