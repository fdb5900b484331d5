package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/netns"
)

// AnswerSCTP tells the name to everybody who connects to addr in the namespace by SCTP, until the context ends.
func AnswerSCTP(ctx context.Context, ns *netns.NS, addr netip.AddrPort, name string) error {
	family, to := address(addr)
	fd, err := socket(ns, family, unix.SOCK_STREAM, unix.IPPROTO_SCTP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Bound to one address, it names no other one to its clients.
	if err := errors.Join(unix.Bind(fd, to), unix.Listen(fd, 16)); err != nil {
		return fmt.Errorf("listen at %v by SCTP: %w", addr, err)
	}
	for ctx.Err() == nil {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			continue // nobody came meanwhile
		}
		_, _ = unix.Write(conn, []byte(name)) // a client that has gone has its own error
		unix.Close(conn)
	}
	return nil
}

// Ask asks once, over a new connection of SCTP or with one datagram, from an address of the namespace, and returns the name of who
// answered.
func Ask(ns *netns.NS, protocol string, from netip.Addr, to netip.AddrPort, timeout time.Duration) (string, error) {
	family, target := address(to)
	kind, number := unix.SOCK_DGRAM, 0
	if protocol == "sctp" {
		kind, number = unix.SOCK_STREAM, unix.IPPROTO_SCTP
	}
	fd, err := socket(ns, family, kind, number)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(int64(timeout))
	_, source := address(netip.AddrPortFrom(from, 0))
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait), unix.Bind(fd, source))
	if err != nil {
		return "", err
	}
	if err := unix.Connect(fd, target); err != nil {
		return "", fmt.Errorf("connect to %v: %w", to, err)
	}
	var b [64]byte
	skip := 0
	if protocol != "sctp" {
		skip = 8 // an echo begins with what was asked
		if _, err := unix.Write(fd, b[:skip]); err != nil {
			return "", err
		}
	}
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return "", fmt.Errorf("the answer of %v: %w", to, err)
	}
	return string(b[min(skip, n):n]), nil
}
