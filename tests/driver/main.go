// Command driver is the laboratory in one static binary: it runs the end-to-end scenarios and the demonstration on this
// machine, or boots a guest and runs itself in there. It is no part of an installation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/guest"
	"github.com/vipward/vipward/tests/lab/machine"
	"github.com/vipward/vipward/tests/lab/sandbox"
)

const usage = `usage: driver COMMAND [flags]

  e2e [-run REGEXP] [-list]        the end-to-end scenarios
  interop [-run REGEXP]            the matrix of interoperation with keepalived and FRR
  nemesis [-rounds N] [-compare]   what can befall a pair, and what a client sees of it
  demo                             a pair of directors and what happens to it, told in plain lines
  ipvs [-timeout D] -- COMMAND     run a command where the kernel has IPVS, here or in a guest
  bench [-run REGEXP] [-rounds N]  a master's end as a client sees it, and what checks cost, beside keepalived
  guest [-timeout D] -- COMMAND    run a command in a guest of user-mode-linux
`

func main() {
	// The threads that keep time must find a free processor of the Go scheduler when they wake, whatever else goes on.
	runtime.GOMAXPROCS(16)
	if job := os.Getenv(guest.Environment); job != "" && os.Getpid() == 1 {
		guest.Main(job)
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	code, err := dispatch(ctx, os.Args[1], os.Args[2:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func dispatch(ctx context.Context, command string, args []string) (int, error) {
	switch command {
	case sandbox.Command:
		return 1, sandbox.Main(args[0])
	case machine.Command:
		return 1, machine.Main(args[0])
	case "guest":
		return runGuest(ctx, args)
	case "e2e":
		return runE2E(ctx, args)
	case "shard":
		return runShard(ctx, args)
	case "story":
		return runStory(ctx, args)
	case "ipvs":
		return runWithIPVS(ctx, args)
	case "bench":
		return runBench(ctx, args)
	case "interop":
		return runInterop(ctx, args)
	case "nemesis":
		return runNemesis(ctx, args)
	case "demo":
		return runDemo(ctx, args)
	}
	fmt.Fprint(os.Stderr, usage)
	return 2, nil
}

func runGuest(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("guest", flag.ExitOnError)
	timeout := flags.Duration("timeout", 0, "kill the guest after this `time` (default 5m)")
	share := flags.String("share", "", "a `directory` that the guest may write to")
	cpu := flags.Int("cpu", -1, "the `processor` to run on")
	_ = flags.Parse(args) // ExitOnError
	if flags.NArg() == 0 {
		return 2, errors.New("guest: no command")
	}
	return guest.Run(ctx, guest.Config{
		Args: flags.Args(), Share: *share, CPU: *cpu, Timeout: *timeout, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}
