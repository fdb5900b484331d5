package wire

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/inbound"
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

// next waits for packets, hands on those that are there, and counts what was read.
func (r *reader) next() (count int, err error) {
	err = inbound.Next(r.c.sock, func(fd uintptr) (bool, error) {
		count, err = r.take(fd)
		return count > 0, err
	})
	return count, err
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
	inbound.Drain(r.c.sock, drainMost, func(fd uintptr) (bool, error) {
		count, err := r.take(fd)
		return count > 0, err
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
	return Packet{Interface: r.p.name, Header: h, Payload: payload, At: inbound.Arrival(now, oob, r.empty)}, true
}
