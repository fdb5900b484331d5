package http

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk"
)

// request is what goes to the target: the one that was asked for, or one that a redirect leads to.
type request struct {
	method  string
	url     *url.URL
	host    string // virtual host, with a port where it is not the usual one
	header  http.Header
	payload []byte
	first   string // scheme of the first request
}

// request is the first one of an ask.
func (c *Config) request(t sdk.Target, a *ask) (*request, error) {
	u, err := c.url(t, a)
	if err != nil {
		return nil, err
	}
	r := &request{method: a.method, url: u, payload: a.payload, first: u.Scheme, header: a.header.Clone()}
	r.host = or(or(a.host, r.header.Get("Host")), usualHost(u))
	r.header.Del("Host")
	if r.header.Get("User-Agent") == "" {
		r.header.Set("User-Agent", "vipward")
	}
	switch {
	case c.Username != "":
		r.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.Username+":"+string(c.Password))))
	case c.Bearer != "":
		r.header.Set("Authorization", "Bearer "+strings.TrimSpace(string(c.Bearer)))
	}
	return r, nil
}

// url is the url that is set, or one made of the target's address, with the path of the ask.
func (c *Config) url(t sdk.Target, a *ask) (*url.URL, error) {
	u := &url.URL{Path: "/"}
	if a.path != "" {
		parsed, err := url.ParseRequestURI(a.path)
		if err != nil {
			return nil, err
		}
		u = parsed
	}
	switch {
	case c.URL != "":
		base, err := url.Parse(c.URL)
		if err != nil || a.path == "" {
			return base, err
		}
		u.Scheme, u.Host = base.Scheme, base.Host
	case !t.Address.IsValid():
		return nil, errors.New("a check of the node itself needs url, or an address")
	default:
		u.Scheme, u.Host = c.scheme(), hostOf(t.Address)
	}
	return u, nil
}

func (c *Config) scheme() string {
	switch {
	case c.Scheme != "":
		return c.Scheme
	case c.TLS != nil:
		return "https"
	}
	return "http"
}

// hostOf is an address as the host of a URL, without a port that is not known.
func hostOf(a netip.AddrPort) string {
	ip := a.Addr().WithZone("")
	switch {
	case a.Port() != 0:
		return netip.AddrPortFrom(ip, a.Port()).String()
	case ip.Is6():
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// usualHost is the host of a URL for a Host header: the usual port of the scheme is left out.
func usualHost(u *url.URL) string {
	if u.Port() == usualPort(u.Scheme) {
		return strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return u.Host
}

func usualPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// address is where the connection goes: to the target, where it has an address, whatever the URL says. The port of the URL counts
// where the target has none, and after a redirect to the other scheme.
func (r *request) address(t sdk.Target) (string, error) {
	port := or(r.url.Port(), usualPort(r.url.Scheme))
	if !t.Address.IsValid() {
		return net.JoinHostPort(r.url.Hostname(), port), nil
	}
	if t.Address.Port() != 0 && r.url.Scheme == r.first {
		return t.Address.String(), nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("port of %s: %w", r.url.Redacted(), err)
	}
	return netip.AddrPortFrom(t.Address.Addr(), uint16(n)).String(), nil
}

// serverName is the name that is asked for in TLS.
func (r *request) serverName() string { return hostOnly(r.host) }

// hostOnly is a virtual host without its port.
func hostOnly(host string) string {
	u := url.URL{Host: host}
	return u.Hostname()
}

// next is the request that a redirect leads to; nil where the response is none. Credentials do not go to another host, nor from
// https to http.
func (r *request) next(response *http.Response) (*request, error) {
	location := response.Header.Get("Location")
	if response.StatusCode < 301 || response.StatusCode > 308 || response.StatusCode == 304 || location == "" {
		return nil, nil
	}
	u, err := r.url.Parse(location)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("a redirect to %q, which is no URL of HTTP", excerpt(location))
	}
	to := &request{method: r.method, url: u, host: r.host, header: r.header, payload: r.payload, first: r.first}
	if u.Host != r.url.Host {
		to.host = usualHost(u)
	}
	if hostOnly(to.host) != hostOnly(r.host) || r.url.Scheme == "https" && u.Scheme == "http" {
		to.header = r.header.Clone()
		to.header.Del("Authorization")
		to.header.Del("Cookie")
	}
	if becomesGet := response.StatusCode <= 303 && r.method != http.MethodHead; becomesGet { // RFC 9110 section 15.4, as browsers do
		to.method, to.payload = http.MethodGet, nil
	}
	return to, nil
}

// wire is the request as HTTP/1 writes it.
func (r *request) wire(version string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/%s\r\nHost: %s\r\n", r.method, r.url.RequestURI(), version, r.host)
	_ = r.header.Write(&b) // a buffer takes everything
	if r.header.Get("Connection") == "" {
		b.WriteString("Connection: close\r\n")
	}
	if len(r.payload) > 0 || r.method == http.MethodPost || r.method == http.MethodPut || r.method == http.MethodPatch {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.payload))
	}
	b.WriteString("\r\n")
	b.Write(r.payload)
	return b.Bytes()
}
