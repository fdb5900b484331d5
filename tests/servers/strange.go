package servers

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
)

// Refusing is an address of the loopback interface where nobody listens.
func Refusing(t testing.TB) netip.AddrPort { t.Helper(); return FreePort(t, "127.0.0.1") }

// Silent takes connections and never says a word.
func Silent(t testing.TB) netip.AddrPort {
	t.Helper()
	return strange(t, func(c net.Conn) {
		buf := make([]byte, 1024)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
}

// HangingUp ends each connection at once.
func HangingUp(t testing.TB) netip.AddrPort { t.Helper(); return strange(t, func(net.Conn) {}) }

// Counting ends each connection at once, and counts them.
func Counting(t testing.TB) (netip.AddrPort, func() int) {
	t.Helper()
	var n atomic.Int32
	return strange(t, func(net.Conn) { n.Add(1) }), func() int { return int(n.Load()) }
}

// Saying greets with a text, whatever the client wants to hear, and again whenever it says something.
func Saying(t testing.TB, text string) netip.AddrPort {
	t.Helper()
	return strange(t, func(c net.Conn) {
		buf := make([]byte, 1024)
		for {
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
}

// strange serves every connection in a way of its own until the test ends.
func strange(t testing.TB, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		close(done)
		l.Close()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer c.Close()
				serve(c)
			}()
			go func() {
				select {
				case <-done:
					c.Close()
				case <-ended:
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}
