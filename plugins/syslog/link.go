package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// look is how long to wait for the news that the other side has gone.
	look = 2 * time.Millisecond
	// refusal is how long to wait for the news that nobody listens, after a datagram.
	refusal = 20 * time.Millisecond
)

// link is a connection to a syslog server.
type link struct {
	conn net.Conn
	// stream says that messages are framed, by their length (RFC 6587 3.4.1) over the network and by their end on a socket.
	stream, unix bool
}

// dial connects. A socket of the node's own may take datagrams or streams, as its daemon likes.
func dial(ctx context.Context, p place, config *tls.Config) (*link, error) {
	d := &net.Dialer{}
	switch p.network {
	case "unix":
		conn, err := d.DialContext(ctx, "unixgram", p.address)
		if errors.Is(err, syscall.EPROTOTYPE) {
			conn, err = d.DialContext(ctx, "unix", p.address)
			return made(conn, err, link{stream: true, unix: true})
		}
		return made(conn, err, link{unix: true})
	case "udp":
		conn, err := d.DialContext(ctx, "udp", p.address)
		return made(conn, err, link{})
	case "tls":
		conn, err := (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, "tcp", p.address)
		return made(conn, err, link{stream: true})
	}
	conn, err := d.DialContext(ctx, "tcp", p.address)
	return made(conn, err, link{stream: true})
}

func made(conn net.Conn, err error, l link) (*link, error) {
	if err != nil {
		return nil, err
	}
	l.conn = conn
	return &l, nil
}

// alive tells whether the other side of a stream has not gone. A syslog server never says anything.
func (l *link) alive() bool {
	if !l.stream {
		return true
	}
	return l.quiet(look)
}

// quiet tells whether nothing is heard for a while.
func (l *link) quiet(d time.Duration) bool {
	if err := l.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false
	}
	_, err := l.conn.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// send writes a message whole. Syslog has no acknowledgement: what is told is what the kernel knows.
func (l *link) send(ctx context.Context, message []byte) error {
	switch {
	case l.stream && l.unix:
		message = append(message, '\n')
	case l.stream:
		message = fmt.Appendf(nil, "%d %s", len(message), message)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := l.conn.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := l.conn.Write(message); err != nil {
		return err
	}
	if !l.stream && !l.unix && !l.quiet(refusal) {
		return errors.New("nobody listens there")
	}
	return nil
}
