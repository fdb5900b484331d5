package wire

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// Port says what to listen to on one interface.
type Port struct {
	// Interface by name. It need not exist yet.
	Interface string
	// IPv6 tells the family.
	IPv6 bool
	// Multicast joins 224.0.0.18, or ff02::12. Messages to the interface's own addresses are received in any case.
	Multicast bool
	// Frames lets [Wire.Send] choose the hardware address that multicast messages come from.
	Frames bool
}

// Packet is one received VRRP message.
type Packet struct {
	// Interface that it came in on.
	Interface string
	Header    vrrp.Header
	// Payload is what follows the IP header, cut to the IP length. It belongs to the receiver.
	Payload []byte
	// At is when the kernel got it, on the monotonic clock.
	At time.Time
}

// Options of a [Wire].
type Options struct {
	// Logger gets what an operator should know about the sockets. Required.
	Logger *slog.Logger
	// Receive is called with the packets that have come, at least one, in order, by the goroutine that reads the interface or
	// calls [Wire.Drain]: it must not block. Required.
	Receive func([]Packet)
}

// Stats counts what passed one interface since it was first wished for. Sockets that were opened anew count on.
type Stats struct {
	Interface string
	// IPv6 tells the family.
	IPv6 bool
	// Open tells whether there is a socket now.
	Open bool
	// Received are the packets delivered, Malformed those whose IP header made no sense, Drops those that the kernel threw
	// away because the socket was full.
	Received, Malformed, Drops uint64
	// Sent and SendErrors count packets, each unicast peer's on its own.
	Sent, SendErrors uint64
}

// ErrClosed means that there is no socket on the interface: it does not exist, or was not wished for.
var ErrClosed = errors.New("no socket is open")

// key names a port.
type key struct {
	name string
	six  bool
}

// Wire holds one raw socket for each family and interface that is wished for and exists. Its methods may be called from any goroutine.
type Wire struct {
	opt Options

	mu    sync.Mutex // taken by those who change ports
	ports atomic.Pointer[map[key]*port]

	sending sync.Mutex // taken by those who send
	filled  []*port    // whose messages are not sent yet
}

// New makes a Wire without sockets.
func New(opt Options) *Wire {
	w := &Wire{opt: opt}
	w.ports.Store(&map[key]*port{})
	return w
}

// Set replaces the wish. It opens what is new, closes what is gone and leaves alone what is unchanged; a port that is named
// twice has one socket, with multicast if either says so. What cannot be opened now is logged, and tried again by
// [Wire.Refresh]. The sockets are of the calling thread's network namespace.
func (w *Wire) Set(wish []Port) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, next := *w.ports.Load(), make(map[key]*port, len(wish))
	multicast, frames := map[key]bool{}, map[key]bool{}
	for _, p := range wish {
		k := key{p.Interface, p.IPv6}
		multicast[k], frames[k] = multicast[k] || p.Multicast, frames[k] || p.Frames
		if next[k] = old[k]; next[k] == nil {
			next[k] = newPort(k, w.opt)
		}
	}
	for k, p := range old {
		if next[k] == nil {
			p.close()
		}
	}
	for k, p := range next {
		p.join(multicast[k])
		p.frames = frames[k]
	}
	w.ports.Store(&next)
	w.refresh()
}

// Refresh opens sockets on interfaces that have appeared and closes those of interfaces that are gone or were made again. It
// is to be called after each change of the interfaces.
func (w *Wire) Refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh()
}

func (w *Wire) refresh() {
	for _, p := range *w.ports.Load() {
		p.refresh()
	}
}

// Drain hands on what has arrived and was not read yet. When it returns, all that arrived before has been handed to Receive, by the
// calling goroutine or the one that reads the interface.
func (w *Wire) Drain() {
	for _, p := range *w.ports.Load() {
		if c := p.conn.Load(); c != nil {
			c.reader.drain()
		}
	}
}

// Close closes every socket and waits for the readers: nothing is received after it. It is as Set(nil).
func (w *Wire) Close() error {
	w.Set(nil)
	return nil
}

// Stats are the counters of the ports wished for, sorted by name, IPv4 first.
func (w *Wire) Stats() []Stats {
	ports := slices.SortedFunc(maps.Values(*w.ports.Load()), func(a, b *port) int {
		switch {
		case a.name != b.name:
			return strings.Compare(a.name, b.name)
		case a.six:
			return 1
		}
		return -1
	})
	stats := make([]Stats, len(ports))
	for i, p := range ports {
		stats[i] = p.stats()
	}
	return stats
}
