// Package http is the checker "http": one request, whose status, digest and body are compared with what the operator
// expects. It speaks HTTP/1.1 and 2, with and without TLS. It is not a browser: no cookies, no proxy, no cache.
package http

import (
	"context"
	"crypto/md5" // compares content with a digest that keepalived's configurations carry
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/vipward/vipward/sdk"
)

const (
	maxBody      = 1 << 20 // bytes of a body that are read
	maxRedirects = 10
)

// Component is the checker for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Checker("http", check, sdk.Summary("makes one HTTP request and compares status, digest and body"))
}

// algorithms are the digests by name.
func algorithms() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"md5": md5.New, "sha256": sha256.New}
}

// check makes one request. What fails carries the reason an operator needs.
func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	if c.Port != 0 && t.Address.IsValid() {
		t.Address = netip.AddrPortFrom(t.Address.Addr(), c.Port)
	}
	request, err := c.request(ctx, t)
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	client := c.client(t)
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	what := request.Method + " " + request.URL.RequestURI()
	switch {
	case errors.Is(err, sdk.ErrNoAddress):
		return sdk.Errorf("%v: set url or port", err)
	case err != nil:
		return sdk.Failf("%s: %v", what, cause(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return sdk.Failf("%s: read the body: %v", what, err)
	}
	if why := c.judge(response.StatusCode, body); why != "" {
		return sdk.Failf("%s: %s", what, why)
	}
	return sdk.Pass()
}

// judge says what is wrong with a response; nothing when all is well.
func (c *Config) judge(status int, body []byte) string {
	inRange := func(r statusRange) bool { return r.from <= status && status <= r.to }
	switch {
	case !slices.ContainsFunc(c.state.status, inRange):
		return fmt.Sprintf("status %d, want %s", status, strings.Join(c.Status, ", "))
	case len(body) > maxBody && (c.Digest != "" || c.state.body != nil || c.state.absent != nil):
		return fmt.Sprintf("the body is longer than %d bytes", maxBody)
	case c.Digest != "" && c.digest(body) != strings.ToLower(c.Digest):
		return fmt.Sprintf("digest %s, want %s", c.digest(body), strings.ToLower(c.Digest))
	case c.state.body != nil && !c.state.body.Match(body):
		return fmt.Sprintf("the body does not match %s", c.Body)
	case c.state.absent != nil && c.state.absent.Match(body):
		return fmt.Sprintf("the body matches %s", c.BodyAbsent)
	}
	return ""
}

// digest is the digest of the body by the algorithm that is set, or that the length of the wanted one tells.
func (c *Config) digest(body []byte) string {
	name := c.Algorithm
	if name == "" {
		name = "md5"
		if len(c.Digest) == hex.EncodedLen(sha256.Size) {
			name = "sha256"
		}
	}
	h := algorithms()[name]()
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// request is what is sent to the target.
func (c *Config) request(ctx context.Context, t sdk.Target) (*http.Request, error) {
	u, err := c.url(t)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, u, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "vipward")
	for name, value := range c.Headers {
		r.Header.Set(name, value)
		if strings.EqualFold(name, "Host") {
			r.Host = value
		}
	}
	if c.Host != "" {
		r.Host = c.Host
	}
	return r, nil
}

// url is the url that is set, or one made of the target's address and the path.
func (c *Config) url(t sdk.Target) (string, error) {
	if c.URL != "" {
		return c.URL, nil
	}
	if !t.Address.IsValid() {
		return "", errors.New("a check of the node itself needs url")
	}
	scheme := c.Scheme
	if scheme == "" && c.TLS != nil {
		scheme = "https"
	} else if scheme == "" {
		scheme = "http"
	}
	path := c.Path
	if path == "" {
		path = "/"
	}
	return scheme + "://" + t.Address.String() + path, nil
}

// client is the target's client with the options of TLS, of the version and of redirects.
func (c *Config) client(t sdk.Target) *http.Client {
	client := t.HTTPClient()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig = c.state.tls.Clone()
	if c.HTTP != "" {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(c.HTTP == "1.1")
		transport.Protocols.SetHTTP2(c.HTTP == "2")
		transport.Protocols.SetUnencryptedHTTP2(c.HTTP == "2")
	}
	if c.Follow {
		client.CheckRedirect = func(_ *http.Request, via []*http.Request) error {
			if len(via) >= maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return nil
		}
	}
	return client
}

// cause is an error of the client without its method and URL, which the reason has already.
func cause(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
