// Package guest boots a user-mode-linux kernel on this machine's own root file system and runs one command in it, for what
// the host's kernel lacks: IPVS above all. The root is the lower layer of an overlay in the guest's memory, so nothing that
// the command writes reaches the host, but for the shared directory. It is not for anything that runs longer than a test.
// See the kernel's Documentation/virt/uml/user_mode_linux_howto_v2.rst.
package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vipward/vipward/tests/lab/sandbox"
)

const (
	kernel  = "linux.uml"
	modules = "/usr/lib/uml/modules"
)

// Config is one run.
type Config struct {
	// Args is the command, with a full path.
	Args []string
	// Env are variables of the command, NAME=value.
	Env []string
	// Share is a directory that the guest sees at the same path and may write to.
	Share string
	// Memory in MiB. Default 1024. The guest's writes live in it, and only what is used is taken.
	Memory int
	// CPU is the processor to run on; a guest that wanders is two to four times slower. Negative does not pin.
	CPU int
	// Timeout ends the run. Default 5 minutes.
	Timeout time.Duration
	// Stdout and Stderr are where the command writes.
	Stdout, Stderr *os.File
}

// ErrTimeout is returned for a run that was killed at its timeout.
var ErrTimeout = errors.New("the guest was killed at its timeout")

// Available says why no guest can be booted here, nil where one can.
func Available() error {
	if _, err := kernelVersion(); err != nil {
		return fmt.Errorf("no user-mode-linux (install the packages user-mode-linux and kmod): %w", err)
	}
	return nil
}

// Run boots, runs the command, and returns its exit code. An error means that the guest did not come that far; it carries
// what the guest's console said last.
func Run(ctx context.Context, c Config) (int, error) {
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Minute
	}
	if c.Memory == 0 {
		c.Memory = 1024
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	job, err := os.MkdirTemp("", "vipward-guest-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(job)
	return run(ctx, c, job)
}

func run(ctx context.Context, c Config, job string) (int, error) {
	version, err := kernelVersion()
	if err != nil {
		return 0, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	in := Inside{Args: c.Args, Env: c.Env, Dir: dir, Share: c.Share, Job: job, Kernel: version}
	if err := in.save(); err != nil {
		return 0, err
	}
	console, err := os.Create(filepath.Join(job, "console"))
	if err != nil {
		return 0, err
	}
	defer console.Close()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	spec := sandbox.Spec{
		Args: commandLine(c, job, self), Env: environment(self), CPU: c.CPU,
		Files: []*os.File{c.Stdout, c.Stderr, console}, Stdout: console, Stderr: console,
	}
	spec.Writable = []string{job, memoryDir()}
	if c.Share != "" {
		spec.Writable = append(spec.Writable, c.Share)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(awaitExit(ctx, job)) }()
	_, err = sandbox.Run(ctx, spec) // the kernel's own exit code says nothing; the command's is in the job
	if cause := context.Cause(ctx); errors.Is(cause, errStayed) || errors.Is(cause, errPanic) {
		return exitCode(job)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, ErrTimeout
	}
	if err != nil {
		return 0, err
	}
	return exitCode(job)
}

// powerOff is how long the guest may take to power off after its command has ended.
const powerOff = 10 * time.Second

var (
	errStayed = errors.New("the guest did not power off")
	errPanic  = errors.New("the guest's kernel panicked")
)

// awaitExit waits for the command's exit code, and then for the guest to go. A guest whose kernel panics may spin for ever.
func awaitExit(ctx context.Context, job string) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var ended time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if console, _ := os.ReadFile(filepath.Join(job, "console")); bytes.Contains(console, []byte("Kernel panic")) {
			return errPanic
		}
		if s, err := os.Stat(filepath.Join(job, "exit")); ended.IsZero() && err == nil && s.Size() > 0 {
			ended = time.Now()
		}
		if !ended.IsZero() && time.Since(ended) > powerOff {
			return errStayed
		}
	}
}

// commandLine boots with the driver itself as the first process. Descriptors 3, 4 and 5 are standard output, standard error
// and the console.
func commandLine(c Config, job, self string) []string {
	return []string{
		kernel, fmt.Sprintf("mem=%dM", c.Memory), "umid=" + filepath.Base(job), "uml_dir=" + job + "/",
		"rootfstype=hostfs", "rootflags=/", "ro", "init=" + self, Environment + "=" + job,
		"con=null", "ssl=null", "con0=null,fd:5", "ssl0=null,fd:3", "ssl1=null,fd:4",
		"quiet", "loglevel=4", "noreboot", "panic=-1", "sysrq_always_enabled",
	}
}

// environment is that of the guest's kernel. The library that lets it run on processors of today lies beside the driver: see
// tests/lab/xstate.
func environment(self string) []string {
	env := []string{"TMPDIR=" + memoryDir()}
	library := filepath.Join(filepath.Dir(self), "xstate.so")
	if _, err := os.Stat(library); err == nil {
		env = append(env, "LD_PRELOAD="+library)
	}
	return env
}

func exitCode(job string) (int, error) {
	text, err := os.ReadFile(filepath.Join(job, "exit"))
	if err != nil {
		console, _ := os.ReadFile(filepath.Join(job, "console"))
		return 0, fmt.Errorf("the guest died; its console: %s", console[max(0, len(console)-2000):])
	}
	var code int
	return code, json.Unmarshal(text, &code)
}

// memoryDir holds the file that is the guest's memory; a disk would make it slow.
func memoryDir() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// kernelVersion is that of the newest modules, which is the kernel's.
func kernelVersion() (string, error) {
	entries, err := os.ReadDir(modules)
	if err != nil {
		return "", err
	}
	if len(entries) == 0 {
		return "", fmt.Errorf("%s is empty", modules)
	}
	newest := slices.MaxFunc(entries, func(a, b os.DirEntry) int { return compareVersions(a.Name(), b.Name()) })
	return newest.Name(), nil
}
