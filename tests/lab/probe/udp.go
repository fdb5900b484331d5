package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/netns"
)

const (
	// poll is how long a blocking receive waits before it looks whether to stop.
	poll = 50 * time.Millisecond
	// batch is how long answers may wait in the socket.
	batch = 20 * time.Millisecond
	// linger is how long answers are waited for after the last question.
	linger = 300 * time.Millisecond
	// rtPriority of the threads that keep time, see sched(7). It is below that of a daemon that asks for real time itself.
	rtPriority = 10
)

// Echo answers each datagram to addr in the namespace with its first eight bytes and the name. Addr need not be there yet: an
// answer to a VIP that has gone still leaves with the VIP as its source. It runs until the context ends.
func Echo(ctx context.Context, ns *netns.NS, addr netip.AddrPort, name string) error {
	fd, err := echoSocket(ns, addr)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	keepTime()
	b := make([]byte, 64+len(name))
	for ctx.Err() == nil {
		_ = echo(fd, b, name, 0) // nothing to answer
	}
	return nil
}

func echoSocket(ns *netns.NS, addr netip.AddrPort) (fd int, err error) {
	family, to := address(addr)
	if fd, err = socket(ns, family, unix.SOCK_DGRAM, 0); err != nil {
		return -1, err
	}
	level, option := unix.SOL_IP, unix.IP_FREEBIND
	if family == unix.AF_INET6 {
		level, option = unix.SOL_IPV6, unix.IPV6_FREEBIND
	}
	if err = unix.SetsockoptInt(fd, level, option, 1); err == nil {
		err = unix.Bind(fd, to)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind to %v: %w", addr, err)
	}
	return fd, nil
}

// echo answers one datagram. The error is that of the receipt.
func echo(fd int, b []byte, name string, flags int) error {
	n, from, err := unix.Recvfrom(fd, b[:64], flags)
	if err == nil && n >= 8 {
		_ = unix.Sendto(fd, b[:8+copy(b[8:], name)], 0, from) // a lost answer is what the probe measures
	}
	return err
}

// address is that of a socket, with its family.
func address(a netip.AddrPort) (family int, s unix.Sockaddr) {
	if a.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// udpProbe sends numbered datagrams at a steady rate and notes what comes back.
type udpProbe struct {
	fd       int
	to       unix.Sockaddr
	interval time.Duration
	pacer    *Pacer        // that sends for it; nil for a thread of its own
	sent     []time.Time   // by number; written by the sender only
	got      []time.Time   // by number; written by the receiver only
	by       []string      // by number; written by the receiver only
	late     time.Duration // the worst lateness of the sender
}

// longest is the longest run that is measured; after it the probe says no more.
const longest = 4 * time.Minute

func newUDPProbe(ns *netns.NS, to netip.AddrPort, interval time.Duration) (*udpProbe, error) {
	family, sock := address(to)
	fd, err := socket(ns, family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return nil, err
	}
	n := int(longest / interval)
	return &udpProbe{
		fd: fd, to: sock, interval: interval,
		sent: make([]time.Time, 0, n), got: make([]time.Time, n), by: make([]string, n),
	}, nil
}

// send keeps an absolute schedule, so that one late datagram does not shift the next.
func (p *udpProbe) send(ctx context.Context) {
	begin := time.Now()
	due := func() time.Time { return begin.Add(time.Duration(len(p.sent)) * p.interval) }
	if p.pacer != nil {
		p.pacer.during(ctx, func() {
			for late := time.Since(due()); late >= 0 && len(p.sent) < cap(p.sent); late = time.Since(due()) {
				p.ask(late)
			}
		})
		return
	}
	keepTime()
	for len(p.sent) < cap(p.sent) && ctx.Err() == nil {
		p.ask(sleepUntil(due()))
	}
}

// ask sends one datagram, so much too late.
func (p *udpProbe) ask(late time.Duration) {
	var b [8]byte
	p.late = max(p.late, late)
	binary.BigEndian.PutUint64(b[:], uint64(len(p.sent)))
	p.sent = append(p.sent, time.Now())
	_ = unix.Sendto(p.fd, b[:], unix.MSG_DONTWAIT, p.to) // a refusal of the kernel shows as a lost answer
}

// receive works until stop is closed.
func (p *udpProbe) receive(stop <-chan struct{}) {
	names := map[string]string{} // one string for each who answers
	b, control := make([]byte, 256), make([]byte, 128)
	drain(stop, func() error {
		n, cn, _, _, err := unix.Recvmsg(p.fd, b, control, unix.MSG_DONTWAIT)
		if err == nil {
			p.answered(b[:n], arrival(control[:cn]), names)
		}
		return err
	})
}

// drain reads until stop is closed. It looks now and then and not for each packet, which has its time from the kernel: to be waked for
// each costs more than the packet.
func drain(stop <-chan struct{}, read func() error) {
	for open := true; open; {
		select {
		case <-stop:
			open = false
		case <-time.After(batch):
		}
		for read() == nil {
		}
	}
}

func (p *udpProbe) answered(b []byte, at time.Time, names map[string]string) {
	if len(b) < 8 {
		return
	}
	i := binary.BigEndian.Uint64(b)
	if i >= uint64(len(p.got)) || !p.got[i].IsZero() {
		return
	}
	name, known := names[string(b[8:])]
	if !known {
		name = string(b[8:])
		names[name] = name
	}
	p.got[i], p.by[i] = at, name
}

func (p *udpProbe) flow() Flow {
	f := make(Flow, len(p.sent))
	for i, t := range p.sent {
		f[i] = Sample{Sent: t, Received: p.got[i], By: p.by[i]}
	}
	return f
}

// socket opens a socket in a namespace whose receives end after [poll].
func socket(ns *netns.NS, family, kind, protocol int) (fd int, err error) {
	err = ns.Do(func() (err error) {
		fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	wait := unix.NsecToTimeval(int64(poll))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return -1, err
	}
	return fd, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
}

// keepTime gives the calling goroutine a thread of its own, in real time where that is allowed. The probe reports its own
// lateness, so that it shows where it is not.
func keepTime() {
	runtime.LockOSThread() // the thread ends with the goroutine, and its priority with it
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: rtPriority}, 0)
}

// sleepUntil sleeps in the kernel, where a real-time thread wakes on time, and returns how late it woke.
func sleepUntil(due time.Time) time.Duration {
	for {
		left := time.Until(due)
		if left <= 0 {
			return -left
		}
		ts := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&ts, nil) // a signal shortens it, and the loop sleeps on
	}
}
