package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vipward/vipward/tests/e2e"
)

// demoTimeout leaves room for the installation and the build within three minutes.
const demoTimeout = 2 * time.Minute

// runDemo has the story told where the kernel has IPVS.
func runDemo(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("demo", flag.ExitOnError)
	bin := flags.String("bin", "bin", "the `directory` of the binaries")
	_ = flags.Parse(args) // ExitOnError
	dir, err := filepath.Abs(*bin)
	if err != nil {
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	if !hostHasIPVS() {
		fmt.Println("This kernel has no IPVS: the laboratory boots a guest of user-mode-linux that has.")
	}
	return runWithIPVS(ctx, []string{"-timeout", demoTimeout.String(), "--", self, "story", "-bin", dir})
}

// runStory tells it in this very kernel.
func runStory(_ context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("story", flag.ExitOnError)
	bin := flags.String("bin", "bin", "the `directory` of the binaries")
	_ = flags.Parse(args) // ExitOnError
	r := e2e.Demo(*bin, os.Stdout)
	if r.OK {
		fmt.Println("\nThe end; everything went as promised.")
		return 0, nil
	}
	show("demo", r)
	return 1, nil
}
