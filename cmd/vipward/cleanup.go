package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/kernel"
)

const (
	// cleanLimit bounds a cleanup.
	cleanLimit = 10 * time.Second
	// comeback is how long a daemon that died may stay away before its guardian looks after what it left; who starts daemons again
	// does so within a second.
	comeback  = 2 * time.Second
	guardEach = 100 * time.Millisecond
)

// newCleanupCommand is `vipward cleanup`.
func newCleanupCommand(g *globals) *cobra.Command {
	var post, guardian bool
	c := &cobra.Command{
		Use: "cleanup", Short: "Remove what a dead daemon has left in the kernel",
		Long: "Remove what a daemon that was killed has left: addresses, interfaces of virtual MAC addresses, routes, rules and tables of\n" +
			"nftables, known by their marks. IPVS stays. While a daemon runs on the socket, nothing is removed; a daemon that starts later\n" +
			"needs no cleanup, for it removes what it does not go on with.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case guardian:
				return guard(c.Context(), g.socket, os.Stdin)
			case post && startsAgain(os.Getenv) && !wasEnding(g.socket):
				return nil
			}
			err := cleanUp(c.Context(), g.socket)
			if errors.Is(err, control.ErrBusy) {
				fmt.Fprintln(c.ErrOrStderr(), "a daemon is at work; nothing was removed")
				return nil
			}
			return err
		},
	}
	c.Flags().BoolVar(&post, "stop-post", false, "for ExecStopPost of systemd: do nothing where the service is started again")
	c.Flags().BoolVar(&guardian, "guardian", false, "wait for the end of the daemon that started this")
	_ = c.Flags().MarkHidden("guardian") // it is there
	return c
}

// startsAgain tells, of systemd's account of how the service has ended (systemd.exec(5)), that it comes back by itself: then it goes on
// with what it left, and to remove that would cost an outage. The unit says `Restart=always` and `RestartPreventExitStatus=2 3`, which
// holds whatever the reason of the end was.
func startsAgain(env func(string) string) bool {
	switch status := env("EXIT_STATUS"); env("SERVICE_RESULT") {
	case "signal", "core-dump", "oom-kill", "watchdog", "exit-code":
		return status != "2" && status != "3"
	}
	return false
}

// endMark is the file that is there from when a daemon is asked to end until it has: one that dies meanwhile is not started again,
// whatever it died of.
func endMark(socket string) string { return socket + ".ending" }

func wasEnding(socket string) bool {
	_, err := os.Stat(endMark(socket))
	return err == nil
}

// cleanUp keeps daemons away meanwhile.
func cleanUp(ctx context.Context, socket string) error {
	lock, err := control.Lock(socket)
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, cleanLimit)
	defer cancel()
	return kernel.Clean(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// startGuardian starts a process that outlives this one, and cleans up where this one ends without a goodbye and no other comes in its
// place. A goodbye says that nothing is left. Under systemd it ends with the service, and the unit does its work.
func startGuardian(socket string) (goodbye func()) {
	self := exec.Command("/proc/self/exe", "--socket", socket, "cleanup", "--guardian")
	self.Args[0], self.Stderr = "vipward", os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // no ^C for it
	pipe, err := self.StdinPipe()
	if err == nil {
		err = self.Start()
	}
	if err != nil {
		slog.Warn("nobody cleans up if this daemon is killed and does not come back; vipward cleanup does it by hand", "error", err)
		return func() {}
	}
	return func() {
		_, _ = pipe.Write([]byte{1}) // where it has ended, nobody needs it
		_ = pipe.Close()
		_ = self.Wait()
	}
}

// guard waits for the end of the daemon, which it sees by the end of the pipe. A daemon that says goodbye has cleaned up itself.
func guard(ctx context.Context, socket string, pipe io.Reader) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if n, _ := pipe.Read(make([]byte, 1)); n > 0 {
		return nil
	}
	for died := time.Now(); ; time.Sleep(guardEach) {
		if control.Alive(socket) {
			return nil // another one goes on with it
		}
		leased, kept, err := kernel.Remaining()
		switch {
		case err != nil:
			return err
		case kept > 0:
			return nil // without a lease an address is meant to outlive its daemon, and so is what belongs to it
		case leased == 0 && time.Since(died) >= comeback:
			if err := cleanUp(ctx, socket); !errors.Is(err, control.ErrBusy) {
				return err
			}
			return nil
		}
	}
}
