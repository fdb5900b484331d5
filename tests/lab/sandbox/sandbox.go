// Package sandbox runs a program as the first process of its own process and mount namespaces. When that process ends, or
// the one that started it, the kernel kills everything that it has left running. It keeps a test run from leaving anything
// behind; it is not a fence against hostile code.
package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec is what to run.
type Spec struct {
	// Args are the program, found by PATH, and its arguments.
	Args []string
	// Env are variables besides those of this process.
	Env []string `json:"-"`
	// CPU pins the program to one processor; negative does not.
	CPU int
	// Writable are directories. Where there are any, the rest of the root file system is read-only for the program.
	Writable []string
	// Files are handed down as file descriptors 3 and up.
	Files []*os.File `json:"-"`
	// Stdout and Stderr are where it writes.
	Stdout, Stderr *os.File `json:"-"`
}

// Command is the argument by which the driver's main function knows that it is to call [Main].
const Command = "sandboxed"

// Run runs the program to its end and returns its exit code. It kills everything when the context ends.
func Run(ctx context.Context, s Spec) (int, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", Command, string(text))
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = s.Stdout, s.Stderr, s.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	// The signal of a parent's death is that of the thread's: this one must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start a process and mount namespace: %w", err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if cmd.ProcessState == nil {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// Main is the first process inside: it sets up the namespaces and becomes the program.
func Main(spec string) error {
	var s Spec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return err
	}
	if err := mounts(s.Writable); err != nil {
		return err
	}
	if s.CPU >= 0 {
		var set unix.CPUSet
		set.Set(s.CPU)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin to processor %d: %w", s.CPU, err)
		}
	}
	path, err := exec.LookPath(s.Args[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, s.Args, os.Environ())
}

func mounts(writable []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	for _, dir := range writable {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", dir, err)
		}
	}
	if len(writable) > 0 {
		if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("make the root read-only: %w", err)
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return nil
}
