// Package inbound reads sockets whose packets count from when the kernel got them, and of which a decision must know all that has come:
// a reader of its own waits for packets, and whoever is about to decide takes what still lies there.
package inbound

import (
	"encoding/binary"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxAge is the oldest that a packet can plausibly be when it is read; beyond it the wall clock has been set.
const maxAge = time.Minute

// Take reads, without waiting, what is there of a socket, hands it on, and tells whether anything was there. It is called by the reader
// and by who drains: it holds a lock from the reading until what was read is handed on.
type Take func(fd uintptr) (taken bool, err error)

// Next waits until something was taken. The poller tells once of what has come: as long as anything was taken, it is not waited for.
func Next(s syscall.Conn, take Take) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		done, failed = take(fd)
		return done || failed != nil
	})
	return errors.Join(failed, err)
}

// Drain takes all that is there now, in so many turns at most. What the reader has read before it has handed on as well.
func Drain(s syscall.Conn, most int, take Take) {
	raw, err := s.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		for range most {
			if taken, err := take(fd); !taken || err != nil {
				return // the reader finds an error as well, and tells of it
			}
		}
	})
}

// Arrival is when the kernel got a packet that is read now, by its time stamp (SO_TIMESTAMPNS), which is of the wall clock, on the
// monotonic clock of now. What was not there when the socket was empty has come since, however the wall clock was set.
func Arrival(now time.Time, oob []byte, empty time.Time) time.Time {
	if at := stamped(now, oob); at.After(empty) {
		return at
	}
	return empty
}

// stamped maps the time stamp alone; now where there is none that can be.
func stamped(now time.Time, oob []byte) time.Time {
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
