package wire

import (
	"encoding/binary"
	"errors"
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
	// maxAge is the oldest that a packet can plausibly be when it is read; beyond it the wall clock has been set.
	maxAge = time.Minute
)

// reader takes packets from a socket.
type reader struct {
	c  *conn
	p  *port
	in *inbox

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

// next waits for packets and returns those that are there. There may be some besides an error.
func (r *reader) next() (packets []Packet, err error) {
	raw, err := r.c.sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		n, err := r.in.receive(fd)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			return false
		case err != nil:
			failed = err
			return true
		}
		packets = r.packets(n)
		return len(packets) > 0
	})
	return packets, errors.Join(failed, err)
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
	return Packet{Interface: r.p.name, Header: h, Payload: payload, At: arrival(now, oob)}, true
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
