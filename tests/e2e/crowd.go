package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// crowdPort is where the crowd listens.
const crowdPort = 7000

// crowd stands for any number of servers: one listener in a node on every address of 127.0.0.0/8, that counts its connections.
type crowd struct {
	accepted atomic.Int64
	http     bool

	watched atomic.Bool // seen is kept
	mu      sync.Mutex
	seen    map[string]bool // the addresses that were connected to; nil while nobody wants to know
}

// watch returns how many of the servers have been connected to since this call.
func (c *crowd) watch() (connected func() int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = map[string]bool{}
	c.watched.Store(true)
	return func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.seen)
	}
}

// unwatch ends it, for it costs something.
func (c *crowd) unwatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched.Store(false)
	c.seen = nil
}

func (c *crowd) note(address net.Addr) {
	c.accepted.Add(1)
	if !c.watched.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen != nil {
		c.seen[address.String()] = true
	}
}

// crowd starts the servers on a node. They close each connection at once, or answer a request by HTTP first.
func (l *lab) crowd(node string, http bool) *crowd {
	var listener net.Listener
	l.Must(l.Node(node).Do(func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", crowdPort))
		return err
	}))
	l.Cleanup(func() { _ = listener.Close() })
	c := &crowd{http: http}
	for range 2 {
		go c.serve(listener)
	}
	return c
}

func (c *crowd) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(time.Millisecond) // no descriptor is free
			continue
		}
		c.note(conn.LocalAddr())
		if c.http {
			go answerHTTP(conn)
			continue
		}
		_ = conn.Close()
	}
}

// answerHTTP answers one request in the cheapest way that both daemons understand.
func answerHTTP(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 2048)
	for n := 0; !bytes.Contains(buf[:n], []byte("\r\n\r\n")); {
		m, err := conn.Read(buf[n:])
		if err != nil || m == 0 {
			return
		}
		n += m
	}
	_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"))
}

// crowdAddress is that of one server of the crowd.
func crowdAddress(n int) string { return fmt.Sprintf("127.10.%d.%d", n/250, n%250+1) }

// stubIPVS builds the library that answers keepalived's calls of IPVS, for a kernel that has none. It is empty where the kernel
// has: then keepalived needs no help.
func (l *lab) stubIPVS() (env []string) {
	if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
		return nil
	}
	source, err := testdata.ReadFile("testdata/ipvs-stub.c")
	l.Must(err)
	l.Must(os.WriteFile(l.Dir+"/ipvs-stub.c", source, 0o644))
	if _, err := l.Node("lb1").Output("gcc", "-shared", "-fPIC", "-O2", "-o", l.Dir+"/ipvs-stub.so", l.Dir+"/ipvs-stub.c"); err != nil {
		l.Fatalf("build the stub of IPVS for keepalived: %v", err)
	}
	return []string{"LD_PRELOAD=" + l.Dir + "/ipvs-stub.so"}
}
