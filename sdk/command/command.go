//go:build linux

// Package command runs other programs for a plugin: without a shell, with an environment that is known, and in a process group
// of their own, which is killed as a whole. It is for Linux, and not for plugins that can ask their target by themselves: a
// process for every run costs more than the question.
package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/sdk"
)

// pipeGrace is for output after the command's end: a process that left its group may hold the pipe. It is shorter than what a
// run of a check may take after its deadline.
const pipeGrace = 100 * time.Millisecond

// New is a command with its arguments, ready for [Run]. When ctx ends it is killed with its process group. Its working directory
// is "/", it has the environment of [Environment], and reads and writes /dev/null; the caller may change all of these. The
// error is that of [Find].
func New(ctx context.Context, argv []string) (*exec.Cmd, error) {
	if len(argv) == 0 {
		return nil, errEmpty
	}
	program, err := Find(argv[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Dir, cmd.Env = "/", Environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeGrace
	return cmd, nil
}

// Run starts a command of [New] and waits for its end, not for that of what it leaves in the background. The error is as that
// of [exec.Cmd.Run]; where a process in the background still holds the output, it is nil. The end of the plugin kills the
// command: its parent is the thread that waits, which therefore stays.
func Run(cmd *exec.Cmd) error { return run(cmd, func(int) {}) }

// RunGroup is [Run], and kills what the command leaves in its process group.
func RunGroup(cmd *exec.Cmd) error { return run(cmd, killRest) }

func run(cmd *exec.Cmd, ended func(pid int)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended(cmd.Process.Pid)
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// killRest waits for the end of a process without reaping it, so that its number is still its own, and kills its group.
func killRest(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL) // there may be none
}

var errEmpty = errors.New("the command is empty")

// Validate says what is wrong with the command in an attribute, for the Validate of a configuration. What can never run is an
// error; what does not run on this node now is a warning, since the file may live on another one.
func Validate(attribute string, argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return sdk.PathError(errEmpty, attribute)
	}
	program := argv[0]
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		return sdk.PathError(fmt.Errorf("%q depends on a working directory: write the whole path", program), attribute, 0)
	}
	if _, err := Find(program); err != nil {
		return sdk.Warning(sdk.PathError(fmt.Errorf("cannot run on this node: %w", err), attribute, 0))
	}
	return nil
}

// ValidateDirectory says what is wrong with the working directory in an attribute, as [Validate] does of a command.
func ValidateDirectory(attribute, dir string) error {
	if !filepath.IsAbs(dir) {
		return sdk.PathError(fmt.Errorf("%q is no whole path", dir), attribute)
	}
	if _, err := os.Stat(dir); err != nil {
		return sdk.Warning(sdk.PathError(fmt.Errorf("not on this node: %w", err), attribute))
	}
	return nil
}

// Find is the path of a program: its own where it is a whole one, else where a directory of PATH has it. The error is
// [fs.ErrNotExist] or [fs.ErrPermission], or that there is no regular file.
func Find(program string) (string, error) {
	if filepath.IsAbs(program) {
		return program, runnable(program)
	}
	for _, dir := range filepath.SplitList(searchPath()) {
		path := filepath.Join(dir, program)
		if runnable(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w in %s", program, fs.ErrNotExist, searchPath())
}

func runnable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable: %w", path, fs.ErrPermission)
	}
	return nil
}
