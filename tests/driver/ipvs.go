package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"runtime"

	"github.com/vipward/vipward/tests/lab/guest"
	"github.com/vipward/vipward/tests/lab/sandbox"
)

// hostHasIPVS tells whether this kernel has IPVS, after an attempt to load it.
func hostHasIPVS() bool {
	present := func() bool { _, err := os.Stat("/proc/net/ip_vs"); return err == nil }
	if !present() {
		_ = exec.Command("modprobe", "-q", "ip_vs").Run() // the next look tells
	}
	return present()
}

// runWithIPVS runs a command where the kernel has IPVS: on this machine, or in a guest.
func runWithIPVS(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("ipvs", flag.ExitOnError)
	timeout := flags.Duration("timeout", shardTimeout, "end the command after this `time`")
	_ = flags.Parse(args) // ExitOnError
	if flags.NArg() == 0 {
		return 2, errors.New("ipvs: no command")
	}
	if !hostHasIPVS() {
		return guest.Run(ctx, guest.Config{
			Args: flags.Args(), CPU: runtime.NumCPU() - 1, Timeout: *timeout, Stdout: os.Stdout, Stderr: os.Stderr,
		})
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	return sandbox.Run(ctx, sandbox.Spec{Args: flags.Args(), CPU: -1, Stdout: os.Stdout, Stderr: os.Stderr})
}
