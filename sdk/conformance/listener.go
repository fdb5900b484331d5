package conformance

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// blink is how long a connection may overlap the next one: its end and the beginning of the next are noticed by different
// goroutines.
const blink = 200 * time.Millisecond

// listener is a target on this machine that behaves in a way of its own.
type listener struct {
	address string
	close   func()

	mu   sync.Mutex
	open map[net.Conn]time.Time
	peak int
}

// newHangUp takes every connection and ends it at once.
func newHangUp() (*listener, error) {
	return listen(func(_ *listener, c net.Conn) { c.Close() })
}

// newSilent takes every connection, never says a word, and counts.
func newSilent() (*listener, error) {
	return listen(func(l *listener, c net.Conn) {
		l.note(c, true)
		defer l.note(c, false)
		defer c.Close()
		buf := make([]byte, 1024)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
}

func listen(serve func(*listener, net.Conn)) (*listener, error) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &listener{address: tcp.Addr().String(), open: make(map[net.Conn]time.Time)}
	l.close = func() {
		tcp.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.open {
			c.Close()
		}
	}
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go serve(l, c)
		}
	}()
	return l, nil
}

// note counts the connections that have been open for more than a blink.
func (l *listener) note(c net.Conn, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !open {
		delete(l.open, c)
		return
	}
	l.open[c] = time.Now()
	n := 1
	for _, since := range l.open {
		if time.Since(since) > blink {
			n++
		}
	}
	l.peak = max(l.peak, n)
}

// most is how many connections were open at a time.
func (l *listener) most() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peak
}

// newBlackHole answers nothing, not even a connection request: its queue is full.
func newBlackHole() (*listener, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	address, err := listenWithoutQueue(fd)
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	l := &listener{address: address}
	var filling []net.Conn
	l.close = func() {
		for _, c := range filling {
			c.Close()
		}
		syscall.Close(fd)
	}
	for range 16 { // the queue of length 0 takes one or two
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return l, nil
		}
		filling = append(filling, c)
	}
	l.close()
	return nil, fmt.Errorf("the queue of %s does not get full", address)
}

func listenWithoutQueue(fd int) (string, error) {
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", fmt.Errorf("bind: %w", err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", fmt.Errorf("ask for the port: %w", err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)).String(), nil
}
