package wire

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxBatch is how many packets are handed on at once: in a flood the price of waking somebody is paid once for all of them.
	maxBatch = 64
	// maxMessage is the longest advert: 255 IPv6 addresses, signed. What is longer is cut behind it, and still too long.
	maxMessage = 8 + 255*16 + 28
	// More than floodOf packets within floodSpan are a flood: then packets are let gather for floodPause, for most of what each costs is
	// to be woken for it.
	floodOf    = 64
	floodSpan  = 10 * time.Millisecond
	floodPause = time.Millisecond
	// drainMost is how many batches are read at once at most: those of a full socket.
	drainMost = 64
	// maxAge is the oldest that a packet can plausibly be when it is read; beyond it the wall clock has been set.
	maxAge = time.Minute
)

// reader takes packets from a socket.
type reader struct {
	c *conn
	p *port

	mu    sync.Mutex // held from the reading of packets until they are handed on
	in    *inbox
	empty time.Time // when nothing was there to read the last time

	since time.Time // of the present span
	count int       // of packets in it
}

// moderate takes note of packets that were read, and pauses in a flood.
func (r *reader) moderate(packets int) {
	if now := time.Now(); now.Sub(r.since) > floodSpan {
		r.since, r.count = now, 0
	}
	if r.count += packets; r.count > floodOf {
		time.Sleep(floodPause)
	}
}

// next waits for packets, hands on those that are there, and counts what was read. The poller tells once of what has come: as long as
// anything was read, it is not waited for.
func (r *reader) next() (count int, err error) {
	raw, err := r.c.sock.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		count, failed = r.take(fd)
		return count > 0 || failed != nil
	})
	return count, errors.Join(failed, err)
}

// take reads what is there, if anything, hands on what is meant for here, and counts what was read.
func (r *reader) take(fd uintptr) (count int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.in.receive(fd)
	switch {
	case errors.Is(err, unix.EAGAIN):
		r.empty = time.Now()
		return 0, nil
	case errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, err
	}
	if packets := r.packets(n); len(packets) > 0 {
		r.p.receive(packets)
	}
	return n, nil
}

// drain hands on all that is there now. What another goroutine has read before it has handed on as well.
func (r *reader) drain() {
	raw, err := r.c.sock.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		for range drainMost {
			if count, err := r.take(fd); count == 0 || err != nil {
				return // the reader finds an error as well, and tells of it
			}
		}
	})
}

// packets are what the receiver gets of so many messages.
func (r *reader) packets(n int) []Packet {
	size := 0
	for k := range n {
		size += int(r.in.all[k].len)
	}
	now, all, space := time.Now(), make([]Packet, 0, n), make([]byte, 0, min(size, n*maxPacket))
	for k := range n {
		p, ok := r.packet(now, k)
		if !ok {
			continue
		}
		begin := len(space)
		space = append(space, p.Payload...)
		p.Payload = space[begin:len(space):len(space)]
		all = append(all, p)
	}
	return all
}

// packet is what the receiver gets of a message, whose payload is still in the inbox; false for nothing.
func (r *reader) packet(now time.Time, k int) (Packet, bool) {
	b, oob, length, from := r.in.message(k)
	h, payload, err := r.c.parse(b, oob, length, from)
	if err != nil {
		r.p.malformed.Add(1)
		return Packet{}, false
	}
	if r.c.six && h.Destination.IsMulticast() && !r.c.member.Load() {
		return Packet{}, false // for another socket of this machine: IPV6_MULTICAST_ALL does not keep it from a raw one
	}
	r.p.received.Add(1)
	payload = payload[:min(len(payload), maxMessage+1)]
	return Packet{Interface: r.p.name, Header: h, Payload: payload, At: latest(arrival(now, oob), r.empty)}, true
}

// latest is the later of two times: what was not there when the socket was empty has come since, however the wall clock was set.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// arrival maps the kernel's time stamp, which is of the wall clock, to the monotonic clock of now.
func arrival(now time.Time, oob []byte) time.Time {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return now
		}
		oob = rest
		if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_TIMESTAMPNS || len(data) < 16 {
			continue
		}
		sec, nsec := binary.NativeEndian.Uint64(data), binary.NativeEndian.Uint64(data[8:])
		age := now.Round(0).Sub(time.Unix(int64(sec), int64(nsec)))
		if age > 0 && age < maxAge {
			return now.Add(-age)
		}
	}
	return now
}
