package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/inbound"
)

// maxBeat is the largest datagram that is read whole; no heartbeat is larger than 1,400 bytes.
const maxBeat = 1500

// path is one path that is wished for, with its socket while there is one. Its counters outlive its sockets.
type path struct {
	Path
	receive func(Beat)
	refuse  func(Path)
	log     *slog.Logger

	received, forwarded, drops, sent, sendErrors, refusals atomic.Uint64

	refused atomic.Int64 // when refuse was called last, as Unix nanoseconds

	way   atomic.Pointer[way]
	tried time.Time // guarded by Beats.mu, like the rest
	why   string    // way is missing, as last logged
}

// way is a connected UDP socket: the kernel lets in what the other end sends, and nothing else.
type way struct {
	sock  *socket.Conn
	index int           // of the interface that it is bound to; 0 for none
	local netip.Addr    // that it sends from
	stop  chan struct{} // closed to end the reader
	done  chan struct{} // closed when it has ended

	mu     sync.Mutex // held from the reading of a datagram until it is handed on
	b, oob []byte
	empty  time.Time // when nothing was there to read the last time
}

// refresh makes the socket fit the interface and the routes as they are now.
func (p *path) refresh() {
	p.tried = time.Now()
	fresh, err := p.open()
	if err != nil {
		p.close()
		p.missing(err)
		return
	}
	if old := p.way.Load(); old != nil && old.index == fresh.index && old.local == fresh.local {
		_ = fresh.sock.Close()
		return
	}
	p.close()
	p.why = ""
	if err := listen(fresh.sock); err != nil {
		_ = fresh.sock.Close()
		p.missing(err)
		return
	}
	p.way.Store(fresh)
	go p.read(fresh)
	p.log.Debug("heartbeat path opened", "from", fresh.local)
}

// missing logs why there is no socket, each reason once.
func (p *path) missing(err error) {
	if why := err.Error(); why != p.why {
		p.why = why
		p.log.Warn("no heartbeats can be sent or received by this path for now", "error", err)
	}
}

// open makes a connected socket that hears nothing yet.
func (p *path) open() (w *way, err error) {
	w = &way{stop: make(chan struct{}), done: make(chan struct{}), b: make([]byte, maxBeat), oob: make([]byte, 256)}
	if p.Interface != "" {
		ifi, err := net.InterfaceByName(p.Interface)
		if err != nil {
			return nil, fmt.Errorf("find interface %s: %w", p.Interface, err)
		}
		w.index = ifi.Index
	}
	family := unix.AF_INET
	if p.Address.Is6() {
		family = unix.AF_INET6
	}
	if w.sock, err = socket.Socket(family, unix.SOCK_DGRAM, 0, "heartbeat", nil); err != nil {
		return nil, fmt.Errorf("open a UDP socket: %w", err)
	}
	if err = p.setUp(w); err != nil {
		return nil, errors.Join(fmt.Errorf("set up a UDP socket to %v port %d: %w", p.Address, p.Port, err), w.sock.Close())
	}
	return w, nil
}

func (p *path) setUp(w *way) error {
	if err := deafen(w.sock); err != nil {
		return err
	}
	if p.Interface != "" {
		if err := w.sock.SetsockoptString(unix.SOL_SOCKET, unix.SO_BINDTODEVICE, p.Interface); err != nil {
			return err
		}
	}
	for _, o := range p.options() {
		if err := w.sock.SetsockoptInt(o.level, o.name, o.value); err != nil {
			return err
		}
	}
	from, to := p.ends(w.index)
	if err := w.sock.Bind(from); err != nil {
		return err
	}
	if _, err := w.sock.Connect(context.Background(), to); err != nil { // UDP: it only notes the address
		return err
	}
	local, err := w.sock.Getsockname()
	if err != nil {
		return err
	}
	switch a := local.(type) {
	case *unix.SockaddrInet4:
		w.local = netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		w.local = netip.AddrFrom16(a.Addr)
	}
	return nil
}

func (p *path) options() []option {
	both := []option{
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}, {unix.SOL_SOCKET, unix.SO_PRIORITY, priority}, {unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
	}
	if p.Address.Is4() {
		return append(both,
			option{unix.IPPROTO_IP, unix.IP_TTL, ttl}, option{unix.IPPROTO_IP, unix.IP_TOS, tos}, option{unix.IPPROTO_IP, unix.IP_RECVTTL, 1})
	}
	return append(both,
		option{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, ttl}, option{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos},
		option{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1}, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1})
}

// ends are the addresses of the socket: any of this node, and the other member's.
func (p *path) ends(index int) (from, to unix.Sockaddr) {
	if p.Address.Is4() {
		return &unix.SockaddrInet4{Port: int(p.Port)}, &unix.SockaddrInet4{Port: int(p.Port), Addr: p.Address.As4()}
	}
	other := &unix.SockaddrInet6{Port: int(p.Port), Addr: p.Address.As16()}
	if p.Address.IsLinkLocalUnicast() {
		other.ZoneId = uint32(index)
	}
	return &unix.SockaddrInet6{Port: int(p.Port)}, other
}

func (p *path) send(payload []byte) error {
	w := p.way.Load()
	if w == nil {
		return ErrClosed
	}
	err := hand(w.sock, payload, nil, nil)
	if errors.Is(err, unix.ECONNREFUSED) { // an answer of the other end to the datagram before: it had no socket then
		p.refusal()
		err = hand(w.sock, payload, nil, nil)
	}
	return err
}

// refusal counts one, and tells of it where none was told of lately.
func (p *path) refusal() {
	p.refusals.Add(1)
	now, last := time.Now().UnixNano(), p.refused.Load()
	if now-last >= int64(time.Second) && p.refused.CompareAndSwap(last, now) {
		p.refuse(p.Path)
	}
}

// read delivers datagrams until the socket is closed. Other errors pass.
func (p *path) read(w *way) {
	defer close(w.done)
	for {
		if err := p.next(w); err == nil {
			continue
		}
		select {
		case <-w.stop:
			return
		case <-time.After(errorPause):
		}
	}
}

// next waits for datagrams and hands one on.
func (p *path) next(w *way) error {
	return inbound.Next(w.sock, func(fd uintptr) (bool, error) { return p.take(w, fd) })
}

// take reads one datagram, if there is any, and hands it on. That the other end has no socket is an answer as well.
func (p *path) take(w *way, fd uintptr) (any bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, oobn, flags, _, err := unix.Recvmsg(int(fd), w.b, w.oob, unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN):
		w.empty = time.Now()
		return false, nil
	case errors.Is(err, unix.EINTR):
		return false, nil
	case errors.Is(err, unix.ECONNREFUSED):
		p.refusal() // each is the answer to a datagram, and thus no flood
		return true, nil
	case err != nil:
		return false, err
	case flags&unix.MSG_TRUNC == 0 && (p.Routed || hops(w.oob[:oobn]) == ttl):
		p.received.Add(1)
		p.receive(Beat{Path: p.Path, Payload: slices.Clone(w.b[:n]), At: inbound.Arrival(time.Now(), w.oob[:oobn], w.empty)})
	default:
		p.forwarded.Add(1)
	}
	return true, nil
}

// drain hands on all that is there now. What the reader has read before it has handed on as well.
func (p *path) drain() {
	if w := p.way.Load(); w != nil {
		inbound.Drain(w.sock, drainMost, func(fd uintptr) (bool, error) { return p.take(w, fd) })
	}
}

// hops is the TTL or hop limit of a datagram; 0 for unknown.
func hops(oob []byte) int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		four := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL
		six := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT
		if (four || six) && len(m.Data) >= 4 {
			return int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return 0
}

// close ends the socket, if there is one, and waits for its reader.
func (p *path) close() {
	w := p.way.Swap(nil)
	if w == nil {
		return
	}
	p.drops.Add(drops(w.sock))
	close(w.stop)
	_ = w.sock.Close() // what was sent is on its way
	<-w.done
}

func (p *path) stats() BeatStats {
	s := BeatStats{
		Path: p.Path, Received: p.received.Load(), Forwarded: p.forwarded.Load(), Drops: p.drops.Load(),
		Sent: p.sent.Load(), SendErrors: p.sendErrors.Load(), Refused: p.refusals.Load(),
	}
	if w := p.way.Load(); w != nil {
		s.Open = true
		s.Drops += drops(w.sock)
	}
	return s
}
