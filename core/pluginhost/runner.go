package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// pipeGrace is how long the output of a process is read after its end: a process that it left behind may hold the pipes.
const pipeGrace = 200 * time.Millisecond

// The descriptors of a plugin besides stdin, stdout and stderr.
const (
	executableFD = 3
	lifelineFD   = 4
)

// runner is one process of a plugin, in a process group of its own. It is the runner.Runner of go-plugin.
type runner struct {
	spawner *spawner
	exe     *os.File // verified; executed by its descriptor
	argv    []string
	env     []string
	dir     string // for the socket, the plugin's own

	temporary bool // its temporary files go there, too

	confine func(dir string) error // of the thread that starts it
	cred    *syscall.Credential    // nil for the daemon's own user
	caps    []uintptr              // that it has as that user
	warn    func(msg string, args ...any)
	debug   func(msg string, args ...any)
	log     func(io.Reader) // takes the stderr to its end, in a goroutine

	stdout, stderr *os.File
	lifeline       *os.File // the end that the host holds
	exited         chan struct{}
	socket         string // of the handshake

	mu     sync.Mutex
	proc   *os.Process
	reaped bool
	killed bool
	status string // how the process ended, valid when exited is closed
}

// Start starts the process.
func (r *runner) Start(context.Context) error {
	files, err := r.files()
	defer closeAll(files)
	if err != nil {
		closeAll([]*os.File{r.stdout, r.stderr, r.lifeline})
		return err
	}
	attr := &os.ProcAttr{
		Dir: "/", Env: append(r.env, fmt.Sprintf("%s=%d", pluginv1.LifelineEnv, lifelineFD)), Files: files,
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: r.cred, AmbientCaps: r.caps},
	}
	err = r.spawner.do(func() error { return r.confine(r.dir) }, func() error { return r.spawn(attr) }, r.exited)
	if err != nil {
		closeAll([]*os.File{r.stdout, r.stderr, r.lifeline})
		if errors.Is(err, unix.ENOENT) { // the file itself is open
			return fmt.Errorf("start %s: the interpreter that its first line names is not there, or the loader that it was linked for", r.argv[0])
		}
		if errors.Is(err, unix.EACCES) && r.cred != nil {
			return fmt.Errorf("start %s as the user with the number %d: %w: let everybody read and execute the file, or give the plugin a user who may",
				r.argv[0], r.cred.Uid, cause(err))
		}
		return fmt.Errorf("start %s: %w", r.argv[0], cause(err))
	}
	go r.reap()
	go r.log(r.stderr)
	return nil
}

// giveTemporary lets the plugin make temporary files in its own folder, which goes with it, unless it has been told of another.
func (r *runner) giveTemporary() {
	told := slices.ContainsFunc(r.env, func(s string) bool { return strings.HasPrefix(s, "TMPDIR=") })
	if r.temporary && !told {
		r.env = append(r.env, "TMPDIR="+r.dir)
	}
}

// spawn starts the process, unless it was killed before it lived.
func (r *runner) spawn(attr *os.ProcAttr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return errors.New("stopped")
	}
	var err error
	r.proc, err = os.StartProcess(fmt.Sprintf("/proc/self/fd/%d", executableFD), r.argv, attr)
	if err != nil {
		return err
	}
	if err := restrict(r.proc.Pid); errors.Is(err, unix.EPERM) { // in a container; it has the limits of the daemon
		r.debug("the plugin's resources are not limited further", "error", err)
	} else if err != nil {
		r.warn("the plugin's resources are not limited", "error", err)
	}
	return nil
}

// files are what the process inherits; the ends of the pipes that the host keeps are in r.
func (r *runner) files() ([]*os.File, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	files := []*os.File{null, nil, nil, r.exe, nil}
	var errs [3]error
	r.stdout, files[1], errs[0] = os.Pipe()
	r.stderr, files[2], errs[1] = os.Pipe()
	files[lifelineFD], r.lifeline, errs[2] = os.Pipe()
	return files, errors.Join(errs[:]...)
}

// reap waits for the end of the process, ends what is left of its group, and only then lets the kernel give its number to
// somebody else.
func (r *runner) reap() {
	for {
		err := unix.Waitid(unix.P_PID, r.proc.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	r.mu.Lock()
	_ = syscall.Kill(-r.proc.Pid, syscall.SIGKILL)
	state, err := r.proc.Wait()
	r.reaped = true
	r.status = fmt.Sprint(state)
	if err != nil {
		r.status = err.Error()
	}
	r.mu.Unlock()
	r.lifeline.Close()
	close(r.exited)
	time.AfterFunc(pipeGrace, func() { closeAll([]*os.File{r.stdout, r.stderr}) })
}

// signal sends a signal to the process, and with group to all of its group. A process that has ended gets none;
// one that has not started yet and is to be killed does not start.
func (r *runner) signal(sig syscall.Signal, group bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = r.killed || sig == syscall.SIGKILL
	if r.proc == nil || r.reaped {
		return
	}
	pid := r.proc.Pid
	if group {
		pid = -pid
	}
	_ = syscall.Kill(pid, sig)
}

// Kill kills the group.
func (r *runner) Kill(context.Context) error {
	r.signal(syscall.SIGKILL, true)
	return nil
}

// Wait waits for the end of the process, whoever holds its pipes.
func (r *runner) Wait(ctx context.Context) error {
	select {
	case <-r.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ID is the process id; empty before the start.
func (r *runner) ID() string {
	if r.pid() == 0 {
		return ""
	}
	return strconv.Itoa(r.pid())
}

func (r *runner) pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc == nil {
		return 0
	}
	return r.proc.Pid
}

// Name is the path of the executable.
func (r *runner) Name() string { return r.argv[0] }

// Diagnose has nothing to add.
func (r *runner) Diagnose(context.Context) string { return "" }

// Stdout is where the handshake comes from.
func (r *runner) Stdout() io.ReadCloser { return r.stdout }

// Stderr is empty for go-plugin: the host reads the log of the plugin itself.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// PluginToHost takes the address of the handshake: a unix socket in the directory that was made for it, nothing else.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	if network != "unix" || filepath.Dir(filepath.Clean(address)) != r.dir {
		return "", "", fmt.Errorf("the plugin listens at %s %s, not at a unix socket in the folder that it was given", network, address)
	}
	r.socket = address
	return network, address, nil
}

// HostToPlugin leaves addresses as they are.
func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// dial connects to the plugin and makes sure that it is the plugin that answers.
func (r *runner) dial(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", r.socket)
	if err != nil {
		return nil, err
	}
	if err := r.checkPeer(conn.(*net.UnixConn)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkPeer compares the process behind a socket with the one that was started, or its group for one started by a wrapper.
func (r *runner) checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("ask who listens at %s: %w", r.socket, err)
	}
	if group, err := unix.Getpgid(int(peer.Pid)); err != nil || group != r.pid() {
		return fmt.Errorf("process %d listens at %s, and does not belong to the plugin's %d", peer.Pid, r.socket, r.pid())
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// cause is an error of a system call without the path, which here is only a number in /proc.
func cause(err error) error {
	if e := (*os.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
