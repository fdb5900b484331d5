package pluginhost

import (
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// maxFiles is how many files a plugin may open: two for each of the ten thousand targets that one process is made for, and more.
const maxFiles = 65536

// spawner starts each process from a thread of its own. What the thread has given up before, the process does not have; the other
// threads of the host keep it. The kernel kills a plugin when the thread that started it ends (pdeathsig of prctl(2) means the
// thread, not the process), so the thread lives as long as the process, and when the host ends, at the latest, no plugin lives on.
type spawner struct {
	closed chan struct{}
	mu     sync.Mutex // of the host's own limits
}

func newSpawner() *spawner { return &spawner{closed: make(chan struct{})} }

// do confines a thread and starts a process there, and waits for that. The thread ends after over is closed.
func (s *spawner) do(confine, start func() error, over <-chan struct{}) error {
	done := make(chan error, 1)
	go onThread(func() {
		err := confine()
		if err == nil {
			err = s.withoutCore(start)
		}
		done <- err
		if err != nil {
			return
		}
		select {
		case <-over:
		case <-s.closed:
		}
	})
	return <-done
}

// onThread runs f on a thread that ends with it, and in whose likeness no other thread is made. It is not the main one, which cannot
// end, and which /proc/self tells of.
func onThread(f func()) {
	runtime.LockOSThread() // to its end
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	other := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(other) // the main thread was taken up to here
		f()
	}()
	<-other
}

// withoutCore starts a process that writes no core file, which would hold secrets, unless it asks for one: restrict is not allowed
// everywhere to forbid it. For this moment the host writes none either.
func (s *spawner) withoutCore(start func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &own); err != nil {
		return fmt.Errorf("read the limit of core files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Max: own.Max}); err != nil {
		return fmt.Errorf("set the limit of core files: %w", err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &own) }()
	return start()
}

// restrict bounds what a process may use: no core file, which would hold secrets, and a number of files. What the daemon itself is
// bound to, its plugins inherit; more takes CAP_SYS_RESOURCE where the process has another user.
func restrict(pid int) error {
	for resource, most := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: maxFiles} {
		var own unix.Rlimit
		if err := unix.Getrlimit(resource, &own); err != nil {
			return fmt.Errorf("read limit %d: %w", resource, err)
		}
		if own.Max <= most {
			continue
		}
		if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: min(own.Cur, most), Max: most}, nil); err != nil {
			return fmt.Errorf("set limit %d of process %d: %w", resource, pid, err)
		}
	}
	return nil
}

// close ends all threads.
func (s *spawner) close() { close(s.closed) }
