// Package tcp is the checker "tcp": it connects, may speak TLS, may send something, and may look at what comes back. It is not
// for protocols with a checker of their own.
package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// maxAnswer is how much of an answer is read, in bytes: what is expected must stand within it.
const maxAnswer = 64 << 10

// Component is the checker for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Checker("tcp", check, sdk.Summary("connects by TCP, and may compare what the target answers"))
}

// check makes one connection. What fails carries the reason an operator needs.
func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	conn, err := t.Dial(ctx)
	switch {
	case errors.Is(err, sdk.ErrNoAddress):
		return sdk.Errorf("%v: set address or port", err)
	case err != nil:
		return sdk.Fail(err)
	}
	defer conn.Close()
	if c.bare() {
		return sdk.Pass()
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // the run may end before its deadline
	if c.state.tls == nil {
		return c.talk(ctx, conn)
	}
	secure := tls.Client(conn, tlsclient.For(c.state.tls, t.Address.Addr().String()))
	if err := secure.HandshakeContext(ctx); err != nil {
		return sdk.Failf("TLS with %s: %s", t.Address, words(err, "no answer to the handshake in time"))
	}
	return c.certificate(secure.ConnectionState(), c.talk(ctx, secure))
}

// bare tells whether a connection is all that is asked for.
func (c *Config) bare() bool {
	return c.state.tls == nil && len(c.state.send) == 0 && c.state.want == nil && c.Stay <= 0 && !c.HalfClose
}

// certificate adds to a result what the certificate of the target is worth.
func (c *Config) certificate(s tls.ConnectionState, r sdk.Result) sdk.Result {
	now := time.Now()
	if why := c.TLS.Expiring(s, now); why != "" && r.Status() == "pass" {
		r = sdk.Warnf("%s", why)
	}
	return r.Value("certificate_seconds", tlsclient.Left(s, now).Seconds())
}

// talk says what is to be said on a connection that stands, and listens.
func (c *Config) talk(ctx context.Context, conn net.Conn) sdk.Result {
	if len(c.state.send) > 0 {
		if _, err := conn.Write(c.state.send); err != nil {
			return sdk.Failf("send: %s", words(err, "the target does not take it in time"))
		}
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && c.HalfClose {
		if err := half.CloseWrite(); err != nil {
			return sdk.Failf("close our direction: %v", err)
		}
	}
	switch {
	case c.state.want != nil:
		return expect(conn, c.state.want)
	case c.Stay > 0:
		return stays(ctx, conn, c.Stay)
	}
	return sdk.Pass()
}

// expect reads until the answer is as wanted, ends or is too long, or the deadline of the connection comes.
func expect(conn net.Conn, want *expectation) sdk.Result {
	began := time.Now()
	var answer []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		answer = append(answer, buf[:n]...)
		switch {
		case n > 0 && want.met(answer):
			return sdk.Pass().Value("answer_seconds", time.Since(began).Seconds())
		case len(answer) > maxAnswer:
			return sdk.Failf("the answer is longer than %d bytes and does not match %s", maxAnswer, want.words)
		case err != nil && len(answer) == 0:
			return sdk.Failf("connected, but %s; want %s", words(err, "no answer in time"), want.words)
		case errors.Is(err, io.EOF):
			return sdk.Failf("the answer %s does not match %s", excerpt(answer), want.words)
		case err != nil:
			return sdk.Failf("the answer %s does not match %s: %s", excerpt(answer), want.words, words(err, "no more came in time"))
		}
	}
}

// stays waits for the target to close the connection, which it must not do for d, or until ctx ends. What it says does not matter.
func stays(ctx context.Context, conn net.Conn, d time.Duration) sdk.Result {
	end := time.Now().Add(d)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	_ = conn.SetReadDeadline(end) // a connection that takes none is broken, which reading shows
	buf := make([]byte, 4096)
	for read := 0; read <= maxAnswer; {
		n, err := conn.Read(buf)
		read += n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return sdk.Pass()
		case err != nil:
			return sdk.Failf("the connection did not stay for %v: %s", d, words(err, ""))
		}
	}
	return sdk.Pass() // it has much to say
}

// words are an error in the operator's words; late are those for the end of the run.
func words(err error, late string) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return late
	case errors.Is(err, io.EOF):
		return "the target closed the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the target reset the connection"
	}
	return err.Error()
}

// excerpt is the beginning of an answer for a reason.
func excerpt(b []byte) string {
	s := strings.ToValidUTF8(string(b[:min(len(b), 80)]), "?")
	return fmt.Sprintf("%q", s)
}
