// Package netns makes network namespaces without a name and runs code and processes in them. A namespace lives as long as
// its handle or a process in it, so that nothing stays behind whatever happens to the laboratory. It is not for the daemon,
// and not for namespaces that somebody else has made. See network_namespaces(7) and setns(2).
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// NS is one network namespace. Its methods may be called from any goroutine until Close.
type NS struct {
	f     *os.File
	inode uint64
}

const threadNS = "/proc/thread-self/ns/net"

// New makes an empty namespace; its loopback interface is down. It needs CAP_SYS_ADMIN.
func New() (*NS, error) {
	var n *NS
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		n, err = current()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return n, nil
}

// Do runs f with the calling thread in the namespace. Sockets that f opens stay in it; goroutines that f starts do not.
func (n *NS) Do(f func() error) error {
	return elsewhere(func() error { return unix.Setns(int(n.f.Fd()), unix.CLONE_NEWNET) }, f)
}

// Start starts cmd in the namespace.
func (n *NS) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Output runs a command in the namespace to its end and returns what it wrote, with its standard error in the error.
func (n *NS) Output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out []byte
	err := n.Do(func() (err error) {
		out, err = cmd.Output()
		return err
	})
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return string(out), fmt.Errorf("%s: %w: %s", cmd, err, failed.Stderr)
	}
	return string(out), err
}

// Sysctl sets a kernel parameter of the namespace, by its path below /proc/sys/net.
func (n *NS) Sysctl(path, value string) error {
	return n.Do(func() error { return os.WriteFile(filepath.Join("/proc/sys/net", path), []byte(value), 0o644) })
}

// Pids lists the other processes whose main thread is in the namespace. That of this process may be for a moment, within [NS.Do].
func (n *NS) Pids() ([]int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		var st unix.Stat_t
		if unix.Stat(link, &st) != nil || st.Ino != n.inode {
			continue // another namespace, or a process that has just ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link))))
		if err != nil {
			return nil, err
		}
		if pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// FD is the file descriptor of the namespace, for netlink calls that move an interface into it.
func (n *NS) FD() int { return int(n.f.Fd()) }

// Close lets go of the namespace. The kernel removes it with the last process and socket in it.
func (n *NS) Close() error { return n.f.Close() }

// elsewhere runs f on a thread of its own state: enter, f, and back to where the thread came from. A thread that cannot go
// back ends with its goroutine.
func elsewhere(enter, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(threadNS)
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		if err := enter(); err != nil {
			done <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		err = f()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			done <- errors.Join(err, back)
			return
		}
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}

func current() (*NS, error) {
	f, err := os.Open(threadNS)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &NS{f: f, inode: st.Ino}, nil
}
