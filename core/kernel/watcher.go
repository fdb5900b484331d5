package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/node"
)

const (
	// watchFrame is what is read of a frame: neighbour discovery with a few options, and all of ARP.
	watchFrame = 256
	// watchPause is how long a reader waits after an error that is not the end of the socket, such as ENETDOWN.
	watchPause = 100 * time.Millisecond
)

// ownMACs are the hardware addresses of this machine, but for those that it shares with others.
type ownMACs = atomic.Pointer[map[[6]byte]bool]

// watchKey names a watcher.
type watchKey struct {
	name string
	six  bool
}

// watcher is a packet socket that hears who claims addresses of one family on one interface.
type watcher struct {
	part  *Neighbours
	key   watchKey
	index int
	own   *ownMACs
	sock  *socket.Conn
	stop  context.CancelFunc
	done  chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	watched []netip.Addr // sorted
	told    glimpses
}

// openWatcher opens a socket that hears nothing before [watcher.set].
func openWatcher(part *Neighbours, key watchKey, index int, own *ownMACs) (*watcher, error) {
	s, err := socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "packet", nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	w := &watcher{part: part, key: key, index: index, own: own, sock: s, done: make(chan struct{})}
	protocol := uint16(unix.ETH_P_ARP)
	if key.six {
		protocol = unix.ETH_P_IPV6
	}
	err = w.filter(nil)
	if err == nil {
		err = s.Bind(&unix.SockaddrLinklayer{Ifindex: index, Protocol: networkOrder(protocol)})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up a packet socket: %w", err), s.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go w.read(ctx)
	return w, nil
}

func (w *watcher) filter(addresses []netip.Addr) error {
	f, err := watchFilter(w.key.six, addresses)
	if err != nil {
		return err
	}
	return w.sock.SetBPF(f)
}

// set replaces the addresses.
func (w *watcher) set(addresses []netip.Addr) error {
	slices.SortFunc(addresses, netip.Addr.Compare)
	addresses = slices.Compact(addresses)
	if slices.Equal(addresses, w.watched) {
		return nil
	}
	if err := w.filter(addresses); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	told := glimpses{}
	for _, a := range addresses {
		if g := w.told[a]; g != nil {
			told[a] = g
		}
	}
	w.watched, w.told = addresses, told
	return nil
}

// ask notes a question, and tells whether the answer would be told.
func (w *watcher) ask(a netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.watches(a) {
		return false
	}
	w.told.ask(a)
	return true
}

func (w *watcher) watches(a netip.Addr) bool {
	_, found := slices.BinarySearchFunc(w.watched, a, netip.Addr.Compare)
	return found
}

// count adds what the kernel threw away since the last time.
func (w *watcher) count() {
	if s, err := w.sock.GetsockoptTpacketStats(unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		w.part.drops.Add(uint64(s.Drops))
	}
}

// close ends the socket and waits for the reader.
func (w *watcher) close() {
	w.count()
	w.stop()
	_ = w.sock.Close() // closing a packet socket cannot lose anything
	<-w.done
}

// read tells sightings until the socket is closed. Other errors pass: an interface that is down comes up again.
func (w *watcher) read(ctx context.Context) {
	defer close(w.done)
	for b := make([]byte, watchFrame); ; {
		n, from, err := w.sock.Recvfrom(ctx, b, 0)
		if err == nil {
			w.hear(b[:n], from)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchPause):
		}
	}
}

func (w *watcher) hear(frame []byte, from unix.Sockaddr) {
	if l, ok := from.(*unix.SockaddrLinklayer); !ok || l.Pkttype == unix.PACKET_OUTGOING || l.Pkttype == unix.PACKET_LOOPBACK {
		return
	}
	s, ok := readSighting(frame)
	if !ok || (*w.own.Load())[s.mac] {
		return
	}
	w.mu.Lock()
	if !w.watches(s.address) {
		w.mu.Unlock()
		return
	}
	told, flood := w.told.pass(time.Now(), s)
	w.mu.Unlock()
	switch {
	case told:
		w.part.seen.Add(1)
		w.part.opt.Report(node.Seen{Interface: w.key.name, Address: s.address, MAC: s.mac})
	case flood:
		w.part.limited.Add(1)
	default:
		w.part.folded.Add(1)
	}
}
