package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/vipward/vipward/tests/nemesis"
)

// runNemesis plays what can befall a pair, in the namespaces of this machine.
func runNemesis(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("nemesis", flag.ExitOnError)
	o := nemesis.Options{}
	flags.StringVar(&o.Bin, "bin", "bin", "the `directory` of the binaries")
	match := flags.String("run", "", "play the faults whose line matches this `regexp`")
	flags.IntVar(&o.Rounds, "rounds", 10, "`rounds` of each fault")
	flags.IntVar(&o.Parallel, "parallel", 24, "pairs at a `time`: most of their time is waiting")
	flags.BoolVar(&o.Compare, "compare", false, "have keepalived play as well")
	inside := flags.Bool("inside", false, "play in this very process")
	_ = flags.Parse(args) // ExitOnError
	var err error
	if o.Match, err = regexp.Compile(*match); err != nil {
		return 2, err
	}
	if o.Bin, err = filepath.Abs(o.Bin); err != nil {
		return 1, err
	}
	if !*inside {
		return withinSandbox(ctx, "nemesis", args, time.Duration(o.Rounds+5)*4*time.Minute)
	}
	if !nemesis.Run(o, os.Stdout) {
		return 1, nil
	}
	return 0, nil
}
