package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// socketMode lets the owner and the group use the socket.
	socketMode = 0o660
	dirMode    = 0o750
	// maxSocketPath is what sockaddr_un holds (unix(7)), without the final zero.
	maxSocketPath = 107
)

// ListenSocket opens the unix socket at path for the owner and the group, and makes its directory where it is missing. A
// socket that a killed daemon has left is replaced; while another daemon lives on it, that is the error. The lock that tells
// the two apart is the file path + ".lock".
func ListenSocket(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on %s: the path of a unix socket has at most %d bytes, this one has %d", path, maxSocketPath, len(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, fmt.Errorf("make the directory of the socket: %w", err)
	}
	lock, err := takeLock(path+".lock", func() bool { return Alive(path) })
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := bind(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, errors.Join(err, lock.Close()))
	}
	return &lockedListener{Listener: l, lock: lock}, nil
}

// ErrBusy means that a daemon is at work on the socket.
var ErrBusy = errors.New("another vipward runs on it; stop that one first, or give this one another --socket")

const (
	// lockWait is how long a start waits for who clears up behind a dead daemon, and has the lock for some milliseconds.
	lockWait  = 3 * time.Second
	lockPause = 20 * time.Millisecond
)

// takeLock takes a lock. One that is taken it waits for, unless taken says that a daemon has it.
func takeLock(path string, taken func() bool) (*os.File, error) {
	for end := time.Now().Add(lockWait); ; time.Sleep(lockPause) {
		lock, err := lockFile(path)
		if !errors.Is(err, ErrBusy) || taken() || time.Now().After(end) {
			return lock, err
		}
	}
}

// Alive tells whether a process listens on the socket at path.
func Alive(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// Lock keeps daemons from starting on the socket at path until it is closed. Where one is at work, the error is [ErrBusy].
func Lock(path string) (io.Closer, error) {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, fmt.Errorf("make the directory of the socket: %w", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return lock, nil
}

// HoldState keeps other daemons from keeping the state of the node in dir until it is closed: two on different sockets would hold
// the same addresses, each without a word of the other. It waits as long as a dead daemon may take to be gone.
func HoldState(dir, name string) (io.Closer, error) {
	lock, err := takeLock(filepath.Join(dir, name+".lock"), func() bool { return false })
	switch {
	case errors.Is(err, ErrBusy):
		return nil, fmt.Errorf("another vipward keeps the state of %s in %s; stop that one first, or give this one another --state-dir", name, dir)
	case err != nil:
		return nil, fmt.Errorf("lock the state of %s: %w", name, err)
	}
	return lock, nil
}

// bind opens the socket; the caller holds its lock, so that what lies there is left over.
func bind(path string) (net.Listener, error) {
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode().Type() != os.ModeSocket {
			return nil, errors.New("there is a file of that name which is no socket")
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// lockFile takes a lock that ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrBusy
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockedListener gives the lock back when it is closed, and says of each connection who is at its other end.
type lockedListener struct {
	net.Listener
	lock *os.File
}

func (l *lockedListener) Close() error {
	return errors.Join(l.Listener.Close(), l.lock.Close())
}

func (l *lockedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return named(c), nil
}

// Listen opens the read-only listener at an address such as "127.0.0.1:9112".
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the listener %s: %w", address, err)
	}
	return l, nil
}
