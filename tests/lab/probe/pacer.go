package probe

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/netns"
)

// pace is how often a pacer looks after what it has.
const pace = time.Millisecond

// Pacer sends and echoes for many probes with one thread: a thread that is waked for each datagram costs more than the datagram. The
// zero value is ready.
type Pacer struct {
	mu    sync.Mutex
	tasks map[*func()]bool
}

// Run works until the context ends.
func (p *Pacer) Run(ctx context.Context) {
	keepTime()
	for due := time.Now(); ctx.Err() == nil; due = due.Add(pace) {
		sleepUntil(due)
		p.mu.Lock()
		for f := range p.tasks {
			(*f)()
		}
		p.mu.Unlock()
	}
}

// during has f called at each beat until the context ends.
func (p *Pacer) during(ctx context.Context, f func()) {
	p.mu.Lock()
	if p.tasks == nil {
		p.tasks = map[*func()]bool{}
	}
	p.tasks[&f] = true
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	delete(p.tasks, &f)
	p.mu.Unlock()
}

// Echo is [Echo] by the pacer, which answers with its next beat.
func (p *Pacer) Echo(ctx context.Context, ns *netns.NS, addr netip.AddrPort, name string) error {
	fd, err := echoSocket(ns, addr)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := make([]byte, 64+len(name))
	p.during(ctx, func() {
		for echo(fd, b, name, unix.MSG_DONTWAIT) == nil {
		}
	})
	return nil
}
