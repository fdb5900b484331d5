package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/inbound"
	"github.com/vipward/vipward/core/node"
)

const (
	// watchFrame is what is read of a frame: neighbour discovery with a few options, and all of ARP.
	watchFrame = 256
	// watchDrain is how many frames are read at once at most: more than fit into a socket.
	watchDrain = 512
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
	stop  chan struct{} // closed to end the reader
	done  chan struct{} // closed when the reader has ended

	mu      sync.Mutex   // also held from the reading of a frame until it is told
	watched []netip.Addr // sorted
	told    glimpses
	b, oob  []byte
	empty   time.Time // when nothing was there to read the last time
}

// openWatcher opens a socket that hears nothing before [watcher.set], and that nobody reads yet.
func openWatcher(part *Neighbours, key watchKey, index int, own *ownMACs) (*watcher, error) {
	s, err := socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "packet", nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	w := &watcher{
		part: part, key: key, index: index, own: own, sock: s, stop: make(chan struct{}), done: make(chan struct{}),
		b: make([]byte, watchFrame), oob: make([]byte, 64),
	}
	protocol := uint16(unix.ETH_P_ARP)
	if key.six {
		protocol = unix.ETH_P_IPV6
	}
	err = errors.Join(w.filter(nil), s.SetsockoptInt(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
	if err == nil {
		err = s.Bind(&unix.SockaddrLinklayer{Ifindex: index, Protocol: networkOrder(protocol)})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up a packet socket: %w", err), s.Close())
	}
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
	close(w.stop)
	_ = w.sock.Close() // closing a packet socket cannot lose anything
	<-w.done
}

// read tells sightings until the socket is closed. Other errors pass: an interface that is down comes up again.
func (w *watcher) read() {
	defer close(w.done)
	for {
		if err := inbound.Next(w.sock, w.take); err == nil {
			continue
		}
		select {
		case <-w.stop:
			return
		case <-time.After(watchPause):
		}
	}
}

// drain tells all that is there now. What the reader has read before it has told as well.
func (w *watcher) drain() { inbound.Drain(w.sock, watchDrain, w.take) }

// take reads one frame, if there is any, and tells what it shows.
func (w *watcher) take(fd uintptr) (taken bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, oobn, _, from, err := unix.Recvmsg(int(fd), w.b, w.oob, unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN):
		w.empty = time.Now()
		return false, nil
	case errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, err
	}
	w.hear(w.b[:n], from, inbound.Arrival(time.Now(), w.oob[:oobn], w.empty))
	return true, nil
}

func (w *watcher) hear(frame []byte, from unix.Sockaddr, at time.Time) {
	if l, ok := from.(*unix.SockaddrLinklayer); !ok || l.Pkttype == unix.PACKET_OUTGOING || l.Pkttype == unix.PACKET_LOOPBACK {
		return
	}
	s, ok := readSighting(frame)
	if !ok || (*w.own.Load())[s.mac] || !w.watches(s.address) {
		return
	}
	switch told, flood := w.told.pass(at, s); {
	case told:
		w.part.seen.Add(1)
		w.part.opt.Report(node.Seen{Interface: w.key.name, Address: s.address, MAC: s.mac, At: at})
	case flood:
		w.part.limited.Add(1)
	default:
		w.part.folded.Add(1)
	}
}
