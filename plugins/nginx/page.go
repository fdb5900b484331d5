//go:build linux

package nginx

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

const (
	maxPage   = 4 << 10  // bytes of the status page
	maxAnswer = 64 << 10 // bytes of the answer with its header
)

// page gets the status page and holds it against the limits.
func (c *Config) page(ctx context.Context, t sdk.Target) finding {
	what := "GET " + c.URL
	text, code, err := c.get(ctx, t)
	switch {
	case err != nil:
		return broken(what, err)
	case code != http.StatusOK:
		return finding{kind: unfit, why: fmt.Sprintf("%s: status %d, want 200: is stub_status allowed there?", what, code)}
	}
	s, err := parseStatus(text)
	if err != nil {
		return finding{kind: unfit, why: fmt.Sprintf("%s: %v", what, err)}
	}
	p := c.state.meter.measure(t.Name+" "+t.Address.String(), sample{time.Now(), s})
	return c.limit(s, p)
}

// limit holds figures against what is allowed.
func (c *Config) limit(s status, p pace) finding {
	f := finding{values: map[string]float64{
		"active": float64(s.active), "reading": float64(s.reading), "writing": float64(s.writing), "waiting": float64(s.waiting),
	}}
	if p.known {
		f.values["accepts_per_second"], f.values["requests_per_second"] = p.accepts, p.requests
	}
	switch {
	case c.MaxActive > 0 && s.active > uint64(c.MaxActive):
		f.kind, f.why = unfit, fmt.Sprintf("%d active connections, more than max_active, %d", s.active, c.MaxActive)
	case c.MaxAccepts > 0 && p.known && p.accepts > c.MaxAccepts:
		f.kind, f.why = unfit, fmt.Sprintf("%.1f connections accepted in a second, more than max_accepts_per_second, %g", p.accepts, c.MaxAccepts)
	case p.dropped > 0:
		f.kind, f.why = odd, fmt.Sprintf("nginx has dropped %d connections since the last run: see worker_connections", p.dropped)
	}
	return f
}

// get is the page and its status code.
func (c *Config) get(ctx context.Context, t sdk.Target) (string, int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("User-Agent", "vipward")
	r.Host, r.Close = c.Host, true
	conn, err := c.connect(ctx, t, r.URL)
	if err != nil {
		return "", 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // the run may end before its deadline
	text, code, err := ask(conn, r)
	if end, ok := ctx.Deadline(); err != nil && ok && !time.Now().Before(end) { // half an answer looks malformed
		err = context.DeadlineExceeded
	}
	return text, code, err
}

// ask sends a request and reads the answer. The connection is used once: a client made for many would do more than is needed.
func ask(conn net.Conn, r *http.Request) (string, int, error) {
	if err := r.Write(conn); err != nil {
		return "", 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxAnswer)), r)
	if err != nil {
		return "", 0, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	return string(text), response.StatusCode, err
}

// connect connects to the target where it has an address, else to where the URL points, and shakes hands where that is of https.
func (c *Config) connect(ctx context.Context, t sdk.Target, u *url.URL) (net.Conn, error) {
	host, port := u.Hostname(), u.Port()
	switch {
	case t.Address.IsValid() && t.Address.Port() != 0:
		port = strconv.Itoa(int(t.Address.Port()))
	case port == "" && u.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	if t.Address.IsValid() {
		host = t.Address.Addr().String()
	}
	conn, err := t.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil || u.Scheme != "https" {
		return conn, err
	}
	name := u.Hostname()
	if virtual := (&url.URL{Host: c.Host}).Hostname(); virtual != "" {
		name = virtual
	}
	secure := tls.Client(conn, tlsclient.For(c.state.tls, name))
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// broken is a connection that did not come about, or that broke.
func broken(what string, err error) finding {
	k := dead
	if sdk.Local(err) {
		k = unknown
	}
	return finding{kind: k, why: what + ": " + words(err)}
}

// words are an error of a connection in the operator's words.
func words(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	case errors.Is(err, syscall.ECONNRESET):
		return "the connection was reset"
	}
	return err.Error()
}
