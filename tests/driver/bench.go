package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/vipward/vipward/tests/e2e"
	"github.com/vipward/vipward/tests/lab/sandbox"
)

// benchTimeout ends the measurements that need IPVS. They take a few minutes.
const benchTimeout = 20 * time.Minute

// runBench measures in the namespaces of this machine, since a guest is too slow to time anything; but what needs IPVS is measured
// where the kernel has it, all of it there, so that it can be compared.
func runBench(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	bin := flags.String("bin", "bin", "the `directory` of the binaries")
	match := flags.String("run", "", "measure the parts whose name matches this `regexp`")
	rounds := flags.Int("rounds", 5, "`rounds` of each measurement that scatters")
	inside := flags.Bool("inside", false, "measure in this very process")
	ipvs := flags.Bool("ipvs", false, "with -inside: the parts that need IPVS")
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
		return 0, e2e.Bench(dir, re, *ipvs, *rounds, os.Stdout)
	}
	anywhere, withIPVS, err := e2e.BenchPlaces(re)
	if err != nil {
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	again := []string{self, "bench", "-inside", "-bin", dir, "-run", *match, "-rounds", fmt.Sprint(*rounds)}
	if anywhere {
		code, err := sandbox.Run(ctx, sandbox.Spec{Args: again, CPU: -1, Stdout: os.Stdout, Stderr: os.Stderr})
		if code != 0 || err != nil || !withIPVS {
			return code, err
		}
	}
	return runWithIPVS(ctx, append([]string{"-timeout", benchTimeout.String(), "--"}, append(again, "-ipvs")...))
}
