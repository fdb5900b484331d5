package wire

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Path is one way to another member that heartbeats take: UDP from a port to the same port of the other.
type Path struct {
	// Name of it, unique.
	Name string
	// Address of the member there. Nobody else is heard.
	Address netip.Addr
	// Interface that the datagrams leave and come by; empty for what the routing table says.
	Interface string
	// Port is that of both ends.
	Port uint16
	// Routed has datagrams heard that were forwarded. Else the TTL or hop limit must be 255, as it was sent, which nobody can forge who
	// is not on the link (RFC 5082).
	Routed bool
}

// Beat is one datagram as it was received.
type Beat struct {
	// Path it came by.
	Path    Path
	Payload []byte
	// At is when the kernel got it.
	At time.Time
}

// BeatOptions are what [NewBeats] needs.
type BeatOptions struct {
	// Logger gets what an operator should know about the sockets. Required.
	Logger *slog.Logger
	// Receive is called for each datagram by the goroutine that reads the path, or calls [Beats.Drain]: it must not block. Required.
	Receive func(Beat)
	// Refuse is told that the machine at the other end of a path says that nobody listens there, once a second at most. It must not
	// block. Required.
	Refuse func(Path)
}

// BeatStats counts what passed one path since it was first wished for.
type BeatStats struct {
	Path
	// Open tells whether there is a socket now.
	Open bool
	// Received are the datagrams delivered, Forwarded those that a router had forwarded, Drops those that the kernel threw away because
	// the socket was full. Refused are the answers of the other machine that nobody listens there.
	Received, Forwarded, Drops uint64
	Sent, SendErrors, Refused  uint64
}

// Beats holds one UDP socket for each path that is wished for and can be taken. Its methods may be called from any goroutine.
type Beats struct {
	opt BeatOptions

	mu    sync.Mutex // taken by those who change paths
	paths atomic.Pointer[map[string]*path]
}

// NewBeats makes one without sockets.
func NewBeats(opt BeatOptions) *Beats {
	b := &Beats{opt: opt}
	b.paths.Store(&map[string]*path{})
	return b
}

// Set replaces the wish. What is unchanged is left alone. What cannot be opened now is logged, and tried again by [Beats.Refresh] and,
// now and then, by [Beats.Send]. The sockets are of the calling thread's network namespace.
func (b *Beats) Set(wish []Path) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, next := *b.paths.Load(), make(map[string]*path, len(wish))
	for _, w := range wish {
		if p := old[w.Name]; p != nil && p.Path == w {
			next[w.Name] = p
			continue
		}
		next[w.Name] = &path{Path: w, receive: b.opt.Receive, refuse: b.opt.Refuse, log: b.opt.Logger.With("path", w.Name, "address", w.Address)}
	}
	for name, p := range old {
		if next[name] != p {
			p.close()
		}
	}
	b.paths.Store(&next)
	for _, p := range next {
		p.refresh()
	}
}

// Refresh makes the sockets fit the interfaces and addresses as they are now. It is to be called after each change of them.
func (b *Beats) Refresh() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range *b.paths.Load() {
		p.refresh()
	}
}

// Send sends one datagram by a path, with TTL or hop limit 255 and the class of VRRP. It never blocks.
func (b *Beats) Send(name string, payload []byte) error {
	p := (*b.paths.Load())[name]
	if p == nil {
		return fmt.Errorf("send by %s: %w", name, ErrClosed)
	}
	err := p.send(payload)
	if err == nil {
		p.sent.Add(1)
		return nil
	}
	p.sendErrors.Add(1)
	b.reopen(p)
	return fmt.Errorf("send to %v by %s: %w", p.Address, name, err)
}

// reopen tries a path again that does not work, once each second, unless the paths are being changed at this moment.
func (b *Beats) reopen(p *path) {
	if b.mu.TryLock() {
		defer b.mu.Unlock()
		if now := time.Now(); now.Sub(p.tried) >= time.Second {
			p.refresh()
		}
	}
}

// Drain hands on what has arrived and was not read yet, as [Wire.Drain] does.
func (b *Beats) Drain() {
	for _, p := range *b.paths.Load() {
		p.drain()
	}
}

// Close closes every socket and waits for the readers. It is as Set(nil).
func (b *Beats) Close() error {
	b.Set(nil)
	return nil
}

// Stats are the counters of the paths wished for, sorted by name.
func (b *Beats) Stats() []BeatStats {
	paths := *b.paths.Load()
	var all []BeatStats
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		all = append(all, paths[name].stats())
	}
	return all
}
