package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/tests/e2e"
	"github.com/vipward/vipward/tests/lab/scenario"
)

func runE2E(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("e2e", flag.ExitOnError)
	match := flags.String("run", "", "play the scenarios whose name matches this `regexp`")
	where := flags.String("where", "auto", "`auto`, host or guest: where to play; auto takes a guest for IPVS where the host has none")
	bin := flags.String("bin", "bin", "the `directory` of the binaries under test")
	list := flags.Bool("list", false, "list the scenarios")
	_ = flags.Parse(args) // ExitOnError
	re, err := regexp.Compile(*match)
	if err != nil {
		return 2, err
	}
	dir, err := filepath.Abs(*bin)
	if err != nil {
		return 1, err
	}
	chosen := e2e.Select(re)
	if *list {
		for _, s := range chosen {
			fmt.Printf("%-14s %s\n", s.Name, s.About)
		}
		return 0, nil
	}
	if len(chosen) == 0 {
		return 2, fmt.Errorf("no scenario matches %q", *match)
	}
	shards, err := divide(chosen, *where)
	if err != nil {
		return 1, err
	}
	return play(ctx, shards, dir, len(chosen))
}

// tally counts what the shards tell.
type tally struct {
	mu     sync.Mutex
	passed int
	again  int
	told   map[string]bool
	errs   []error
}

// play runs the guests side by side, and then what needs none: the threads that keep time on the host would stall a guest.
// The exit code is 1 when anything has failed.
func play(ctx context.Context, shards []shard, bin string, total int) (int, error) {
	began := time.Now()
	sum := tally{told: map[string]bool{}}
	for _, inGuest := range []bool{true, false} {
		var wg sync.WaitGroup
		for _, s := range shards {
			if s.inGuest == inGuest {
				wg.Go(func() { sum.play(ctx, s, bin) })
			}
		}
		wg.Wait()
	}
	if sum.again > 0 {
		fmt.Printf("%d of them were played again, for they had failed once: see their lines\n", sum.again)
	}
	fmt.Printf("%d passed, %d failed, in %v\n", sum.passed, total-sum.passed, time.Since(began).Round(time.Second))
	if sum.passed < total {
		return 1, errors.Join(sum.errs...)
	}
	return 0, errors.Join(sum.errs...)
}

func (t *tally) play(ctx context.Context, s shard, bin string) {
	err := s.run(ctx, bin, func(r scenario.Result) {
		t.mu.Lock()
		defer t.mu.Unlock()
		show(s.name, r)
		t.told[r.Scenario] = true
		if r.OK {
			t.passed++
		}
		if r.Again {
			t.again++
		}
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errs = append(t.errs, err)
	for _, sc := range s.scenarios {
		if !t.told[sc.Name] {
			fmt.Printf("FAIL %-14s         %-6s no result\n", sc.Name, s.name)
		}
	}
}

func show(shard string, r scenario.Result) {
	verdict := "ok  "
	if !r.OK {
		verdict = "FAIL"
	}
	fmt.Printf("%s %-14s %5.1fs %-6s %s\n", verdict, r.Scenario, r.Took.Seconds(), shard, strings.Join(r.Figures, ", "))
	for _, f := range r.Failures {
		fmt.Printf("     - %s\n", strings.ReplaceAll(f, "\n", "\n       "))
	}
	if !r.OK {
		fmt.Printf("       %s\n", strings.ReplaceAll(strings.Join(r.Log, "\n"), "\n", "\n       "))
	}
}

// runShard plays scenarios in this very process and writes a JSON object a line.
func runShard(_ context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("shard", flag.ExitOnError)
	bin := flags.String("bin", "", "the `directory` of the binaries")
	parallel := flags.Int("parallel", 1, "scenarios at a `time`")
	_ = flags.Parse(args) // ExitOnError
	var list []e2e.Scenario
	for name := range strings.SplitSeq(flags.Arg(0), ",") {
		list = append(list, e2e.Select(regexp.MustCompile("^"+regexp.QuoteMeta(name)+"$"))...)
	}
	out := json.NewEncoder(os.Stdout)
	var errs []error
	e2e.Run(list, *bin, *parallel, func(r scenario.Result) { errs = append(errs, out.Encode(r)) })
	return 0, errors.Join(errs...)
}
