package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/event"
)

const (
	dialLimit = 2 * time.Second
	// readLimit bounds a question, commandLimit a command: longer than the daemon gives itself for it.
	readLimit    = 10 * time.Second
	commandLimit = time.Minute
	// silenceLimit is how long the daemon may say nothing to a follower; it speaks at least every 15 s.
	silenceLimit = 45 * time.Second
	maxAnswer    = 16 << 20
)

// client talks to the daemon over its unix socket.
type client struct {
	socket string
	http   http.Client
}

func newClient(socket string) *client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: dialLimit}
		return d.DialContext(ctx, "unix", socket)
	}
	return &client{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// get asks for path and returns the body of the answer.
func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, path, nil, readLimit)
}

// post sends a command and returns the body of the answer.
func (c *client) post(ctx context.Context, path string, body any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, b, commandLimit)
}

func (c *client) do(ctx context.Context, method, path string, body []byte, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.explain(err)
	}
	return b, nil
}

// send makes one request. An answer that is no success is a [*refusal].
func (c *client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://vipward"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	r := &refusal{status: resp.StatusCode}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.explain(err)
	}
	if json.Unmarshal(r.body, &r.failure) != nil || r.failure.Error == "" {
		r.failure.Error = fmt.Sprintf("the daemon answers %s: %s", resp.Status, bytes.TrimSpace(r.body))
	}
	return nil, r
}

// refusal is the daemon's answer to what it could not or would not do.
type refusal struct {
	status  int
	body    []byte
	failure control.Failure
}

func (r *refusal) Error() string { return r.failure.Error }

// unreachable says that no daemon answers on a socket, and what may be wrong.
type unreachable struct {
	socket string
	err    error
}

func (u *unreachable) Unwrap() error { return u.err }

func (u *unreachable) Error() string {
	what := u.err.Error()
	switch {
	case errors.Is(u.err, os.ErrNotExist):
		what = "there is no such socket; is the daemon running? systemctl status vipward"
	case errors.Is(u.err, syscall.ECONNREFUSED):
		what = "nobody answers; is the daemon running? systemctl status vipward"
	case errors.Is(u.err, os.ErrPermission):
		what = "permission denied; become root or a member of the socket's group"
	case errors.Is(u.err, context.DeadlineExceeded), errors.Is(u.err, os.ErrDeadlineExceeded):
		what = "the daemon did not answer in time"
	}
	return fmt.Sprintf("the daemon is out of reach at %s: %s", u.socket, what)
}

// explain is a fault of the connection. An end that the caller asked for stays what it is.
func (c *client) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &unreachable{socket: c.socket, err: err}
}

// status asks for the state of everything.
func (c *client) status(ctx context.Context) (control.Status, []byte, error) {
	b, err := c.get(ctx, "/v1/status")
	if err != nil {
		return control.Status{}, nil, err
	}
	var s control.Status
	if err := json.Unmarshal(b, &s); err != nil {
		return control.Status{}, nil, fmt.Errorf("read the daemon's status: %w", err)
	}
	return s, b, nil
}

// follow gives each event to f as it comes, until ctx ends or the daemon does.
func (c *client) follow(ctx context.Context, path string, f func(event.Event) error) error {
	silence, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	watch := time.AfterFunc(silenceLimit, func() { cut(context.DeadlineExceeded) })
	defer watch.Stop()
	resp, err := c.send(silence, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		watch.Reset(silenceLimit)
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e event.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case silence.Err() != nil:
		return &unreachable{socket: c.socket, err: context.Cause(silence)}
	}
	return &unreachable{socket: c.socket, err: errors.Join(errors.New("the stream of events ended"), lines.Err())}
}
