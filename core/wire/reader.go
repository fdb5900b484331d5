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
	c      *conn
	p      *port
	b, oob []byte

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
		for range maxBatch {
			n, oobn, _, from, err := unix.Recvmsg(int(fd), r.b, r.oob, unix.MSG_DONTWAIT)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return len(packets) > 0
			case err != nil:
				failed = err
				return true
			}
			if p, ok := r.packet(r.b[:n], r.oob[:oobn], from); ok {
				packets = append(packets, p)
			}
		}
		return len(packets) > 0
	})
	return packets, errors.Join(failed, err)
}

// packet is what the receiver gets of a message; false for nothing.
func (r *reader) packet(b, oob []byte, from unix.Sockaddr) (Packet, bool) {
	h, payload, err := r.c.parse(b, oob, from)
	if err != nil {
		r.p.malformed.Add(1)
		return Packet{}, false
	}
	if r.c.six && h.Destination.IsMulticast() && !r.c.member.Load() {
		return Packet{}, false // for another socket of this machine: IPV6_MULTICAST_ALL does not keep it from a raw one
	}
	r.p.received.Add(1)
	payload = payload[:min(len(payload), maxMessage+1)]
	return Packet{Interface: r.p.name, Header: h, Payload: append([]byte(nil), payload...), At: arrival(time.Now(), oob)}, true
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
