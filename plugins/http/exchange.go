package http

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

const (
	maxHeader        = 64 << 10 // bytes of a response's header
	maxInformational = 5        // responses 100 to 199 before the one that counts
)

// reply is a response with the connection that it comes over.
type reply struct {
	*http.Response
	tls   *tls.ConnectionState // nil without TLS
	close func()
}

// exchange sends one request over a connection of its own and reads the header of the response. HTTP/1 is written and read here:
// the connection of a check is used once, and a client made for many would cost it several goroutines.
func (c *Config) exchange(ctx context.Context, t sdk.Target, r *request) (*reply, error) {
	address, err := r.address(t)
	if err != nil {
		return nil, err
	}
	conn, err := t.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	x := &reply{}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // the run may end before its deadline
	x.close = func() { stop(); conn.Close() }
	over, protocol := conn, ""
	if r.url.Scheme == "https" {
		secure := tls.Client(conn, tlsclient.For(c.state.tls, r.serverName()))
		if err := secure.HandshakeContext(ctx); err != nil {
			x.close()
			return nil, handshakeError(err)
		}
		state := secure.ConnectionState()
		x.tls, over, protocol = &state, secure, state.NegotiatedProtocol
		x.close = func() { stop(); secure.Close() }
	}
	switch {
	case protocol == "h2", c.HTTP == "2" && x.tls == nil:
		err = x.http2(ctx, over, r)
	case c.HTTP == "2":
		err = errors.New("the target does not speak HTTP/2 over TLS")
	default:
		err = x.http1(over, r, or(c.HTTP, "1.1"))
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

// end gives up the connection.
func (x *reply) end() {
	x.Body.Close()
	x.close()
}

func (x *reply) http1(conn net.Conn, r *request, version string) error {
	if _, err := conn.Write(r.wire(version)); err != nil {
		return fmt.Errorf("send the request: %w", late(err, "the target does not take it in time"))
	}
	input := &tracked{Reader: conn}
	bounded := &io.LimitedReader{R: input, N: maxHeader}
	in := bufio.NewReader(bounded)
	for range maxInformational {
		response, err := http.ReadResponse(in, &http.Request{Method: r.method})
		switch {
		case err != nil && bounded.N == 0:
			return fmt.Errorf("the header of the answer is longer than %d bytes", maxHeader)
		case err != nil && bounded.N == maxHeader:
			return fmt.Errorf("connected, but %w", late(err, "no answer in time"))
		case err != nil && input.late():
			return late(input.err, "the answer broke off: no more came in time")
		case err != nil:
			return late(err, "")
		case response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols:
			bounded.N = math.MaxInt64 // the body has a bound of its own
			x.Response = response
			return nil
		}
	}
	return fmt.Errorf("more than %d informational answers", maxInformational)
}

// http2 leaves the protocol to the library, and gives it the connection that there is.
// tracked is a reader that remembers its error: who parses half a header calls it malformed, whatever cut it off.
type tracked struct {
	io.Reader
	err error
}

func (r *tracked) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.err = err
	return n, err
}

func (r *tracked) late() bool { return errors.Is(r.err, os.ErrDeadlineExceeded) }

func (x *reply) http2(ctx context.Context, conn net.Conn, r *request) error {
	dial := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	transport := &http.Transport{
		DialContext: dial, DialTLSContext: dial, DisableCompression: true, MaxResponseHeaderBytes: maxHeader, Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetUnencryptedHTTP2(true)
	request, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), bytes.NewReader(r.payload))
	if err != nil {
		return err
	}
	request.Host, request.Header = r.host, r.header.Clone()
	request.Header.Del("Connection")
	disconnect := x.close
	x.close = func() { disconnect(); transport.CloseIdleConnections() }
	x.Response, err = transport.RoundTrip(request)
	if err != nil {
		return late(err, "connected, but no answer in time")
	}
	return nil
}

// failure is an error whose words are for the operator.
type failure struct {
	words string
	err   error
}

func (e *failure) Error() string { return e.words }
func (e *failure) Unwrap() error { return e.err }

// late is an error of a connection in the operator's words; slow are those for the end of the run.
func late(err error, slow string) error { return &failure{words(err, slow), err} }

// handshakeError words what went wrong in TLS. What the library found says so itself.
func handshakeError(err error) error {
	e := late(err, "connected, but no answer to the TLS handshake in time")
	if e.Error() != err.Error() && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("TLS handshake: %w", e)
	}
	return e
}

func words(err error, slow string) string {
	var end net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &end) && end.Timeout():
		return slow
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the target closed the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the target reset the connection"
	}
	return err.Error()
}
