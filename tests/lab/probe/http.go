package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/tests/lab/netns"
)

// maxOpen bounds the requests that are on their way at once. A request that finds no place counts as lost.
const maxOpen = 256

// Get fetches a page over a fresh connection from within a namespace and returns its body.
func Get(ns *netns.NS, to netip.AddrPort, path string, timeout time.Duration) (string, error) {
	deadline := time.Now().Add(timeout)
	var conn net.Conn
	err := ns.Do(func() (err error) {
		conn, err = (&net.Dialer{Deadline: deadline, FallbackDelay: -1}).Dial("tcp4", to.String())
		return err
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, to); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return strings.TrimSpace(string(body)), err
}

// httpProbe sends GET requests at a steady rate, each over a connection of its own.
type httpProbe struct {
	ns                *netns.NS
	to                netip.AddrPort
	interval, timeout time.Duration

	mu   sync.Mutex
	flow Flow
	late time.Duration
}

// run asks until the context ends, and returns when all answers are in or given up.
func (p *httpProbe) run(ctx context.Context) {
	var open sync.WaitGroup
	places := make(chan struct{}, maxOpen)
	begin := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		p.late = max(p.late, sleepUntil(begin.Add(time.Duration(i)*p.interval)))
		select {
		case places <- struct{}{}:
			open.Go(func() { p.ask(); <-places })
		default:
			p.note(Sample{Sent: time.Now(), Err: "too many open requests"})
		}
	}
	open.Wait()
}

func (p *httpProbe) ask() {
	s := Sample{Sent: time.Now()}
	body, err := Get(p.ns, p.to, "/index.html", p.timeout)
	if err != nil {
		s.Err = err.Error()
	} else {
		s.Received, s.By = time.Now(), body
	}
	p.note(s)
}

func (p *httpProbe) note(s Sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flow = append(p.flow, s)
}
