package pluginhost

import (
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// maxFiles is how many files a plugin may open: two for each of the ten thousand targets that one process is made for, and more.
const maxFiles = 65536

// spawner starts processes, all from one thread. The kernel kills a plugin when the thread that started it ends (pdeathsig
// of prctl(2) means the thread, not the process), so this thread lives as long as the host, and when it ends, at the
// latest, no plugin lives on. What the thread gives up, no plugin has; the other threads of the host keep it.
type spawner struct {
	start  sync.Once
	calls  chan func()
	failed error // to give up what plugins are not to have; written before the first call
}

func newSpawner() *spawner { return &spawner{calls: make(chan func())} }

// do runs f on the thread and waits for it. It does not where the thread could not be confined.
func (s *spawner) do(f func()) (err error) {
	s.start.Do(func() { go s.loop() })
	done := make(chan struct{})
	s.calls <- func() {
		defer close(done)
		if err = s.failed; err == nil {
			f()
		}
	}
	<-done
	return err
}

// loop keeps its thread locked to the end, so that the thread ends with it, and no other thread is made in its likeness.
func (s *spawner) loop() {
	runtime.LockOSThread()
	s.failed = confine()
	for f := range s.calls {
		f()
	}
}

// confine takes from the calling thread, and from all that it starts, what neither a set-user-ID file nor an ambient capability
// is to give back.
func confine() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	return nil
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

// close ends the thread. do must not be called any more.
func (s *spawner) close() { close(s.calls) }
