// Package httpjson is what plugins share that speak JSON over HTTP with a service: bounded answers, no redirects, no proxy unless the
// environment names one, and errors that hold no URL, since a URL may hold a secret.
package httpjson

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 1 << 20

// Client makes requests. It is made for one call of a plugin, and closed at its end.
type Client struct {
	// Header is sent with each request.
	Header http.Header

	client http.Client
}

// New makes a client; t is nil for the defaults.
func New(t *tls.Config) *Client {
	return &Client{Header: http.Header{}, client: http.Client{
		Transport:     &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close ends the connections that are idle.
func (c *Client) Close() { c.client.CloseIdleConnections() }

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes one request and reads the answer, whatever its status. A body is JSON unless header says otherwise; a header Host is that
// of the request.
func (c *Client) Do(ctx context.Context, method, where string, body []byte, header http.Header) (*Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return nil, bare(err)
	}
	request.Header = c.Header.Clone()
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(request.Header, header)
	request.Host = header.Get("Host")
	r, err := c.client.Do(request)
	if err != nil {
		return nil, bare(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return nil, bare(err)
	}
	return &Answer{r.StatusCode, r.Header, text}, nil
}

// Call sends in as JSON and reads a 200 into out. Any other status is an error that quotes the answer. Either may be nil.
func (c *Client) Call(ctx context.Context, method, where string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	a, err := c.Do(ctx, method, where, body, nil)
	switch {
	case err != nil:
		return err
	case a.Status != http.StatusOK:
		return a.Error()
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("the answer is not what it should be: %w", err)
	}
	return nil
}

// Line is the status as people know it: "503 Service Unavailable".
func (a *Answer) Line() string {
	return strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
}

// Error says what an answer is that should have been another.
func (a *Answer) Error() error {
	text := strings.Join(strings.Fields(string(a.Body[:min(len(a.Body), 200)])), " ")
	return fmt.Errorf("status %s: %s", a.Line(), strings.ToValidUTF8(text, "?"))
}

// CheckURL says what is wrong with the address of a service: a URL of http or https without user, path and query.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("this is no URL; write it like http://10.9.0.5:2379")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("write it with its scheme and host, like http://10.9.0.5:2379")
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("write the scheme, the host and the port alone, without user, path and query")
	}
	return nil
}

// bare is the error without the URL.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
