package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk"
)

// Config is the block of the checker. For a target with an address, the connection always goes there: of a url only scheme,
// host (for Host and the certificate), path and query count, and its port where the target has none.
type Config struct {
	URL        string            `vipward:"url" doc:"Whole URL to get. For a real server the connection goes to the server's own address all the same."`
	Path       string            `vipward:"path" doc:"Path and query to get from the target. Default: /"`
	Scheme     string            `vipward:"scheme" one_of:"http,https" doc:"http or https. Default: https with a tls block, else http."`
	Port       uint16            `vipward:"port" min:"1" doc:"Port to connect to. Default: the target's own."`
	Method     string            `vipward:"method" default:"GET" pattern:"[A-Z]+" doc:"Method of the request."`
	Host       string            `vipward:"host" doc:"Virtual host: the Host header and the name in TLS."`
	Headers    map[string]string `vipward:"headers" doc:"Further headers of the request."`
	Status     []string          `vipward:"status" default:"[\"200-299\"]" doc:"Status codes that pass: numbers, and ranges as \"200-299\"."`
	Digest     string            `vipward:"digest" pattern:"[0-9a-fA-F]{32}|[0-9a-fA-F]{64}" doc:"Digest that the body must have, in hex; vipward digest prints it."`
	Algorithm  string            `vipward:"algorithm" one_of:"md5,sha256" doc:"Algorithm of digest. Default: told by its length."`
	Body       string            `vipward:"body" doc:"Regular expression (RE2) that must match the body."`
	BodyAbsent string            `vipward:"body_absent" doc:"Regular expression (RE2) that must not match the body."`
	Follow     bool              `vipward:"follow_redirects" doc:"Follow up to 10 redirects. For a real server the connection stays with it."`
	HTTP       string            `vipward:"http_version" one_of:"1.1,2" doc:"Speak this version only. Default: what both sides prefer."`
	TLS        *TLS              `vipward:"tls,block" doc:"Options of https."`

	state *opened
}

// TLS is the block tls.
type TLS struct {
	ServerName string `vipward:"server_name" doc:"Name that the certificate must carry. Default: host, or the host of url."`
	CAFile     string `vipward:"ca_file" doc:"File with the certificates to trust, in PEM. Default: the system's."`
	Insecure   bool   `vipward:"insecure" doc:"Do not verify the certificate."`
}

// opened is what a configuration means, worked out once.
type opened struct {
	status       []statusRange
	body, absent *regexp.Regexp
	tls          *tls.Config
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	_, err := c.work()
	return errors.Join(err, c.validateURL(), c.validateHeaders(), c.validateDigest())
}

// Open works out what the checks need.
func (c *Config) Open(context.Context) error {
	state, err := c.work()
	if err != nil {
		return err
	}
	state.tls, err = c.tlsConfig()
	c.state = state
	return err
}

// work parses the status codes and the expressions.
func (c *Config) work() (*opened, error) {
	o, errs := &opened{}, []error(nil)
	for i, s := range c.Status {
		r, err := parseStatus(s)
		errs = append(errs, sdk.PathError(err, "status", i))
		o.status = append(o.status, r)
	}
	if len(c.Status) == 0 {
		errs = append(errs, sdk.PathError(errors.New("no status would pass"), "status"))
	}
	var err error
	o.body, err = expression(c.Body)
	errs = append(errs, sdk.PathError(err, "body"))
	o.absent, err = expression(c.BodyAbsent)
	errs = append(errs, sdk.PathError(err, "body_absent"))
	return o, errors.Join(errs...)
}

// expression compiles a regular expression; nil for none.
func expression(s string) (*regexp.Regexp, error) {
	if s == "" {
		return nil, nil
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("no regular expression: %w", err)
	}
	return re, nil
}

func (c *Config) validateURL() error {
	var errs []error
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		switch {
		case err != nil:
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			err = fmt.Errorf(`%q is no URL: write "http://HOST/PATH" or "https://HOST/PATH"`, c.URL)
		}
		errs = append(errs, sdk.PathError(err, "url"))
	}
	if c.URL != "" && c.Path != "" {
		errs = append(errs, sdk.PathError(errors.New("url and path exclude each other"), "path"))
	}
	if c.URL != "" && c.Scheme != "" {
		errs = append(errs, sdk.PathError(errors.New("url has a scheme already"), "scheme"))
	}
	if c.Path != "" {
		if _, err := url.ParseRequestURI(c.Path); err != nil || !strings.HasPrefix(c.Path, "/") {
			errs = append(errs, sdk.PathError(fmt.Errorf(`%q is no path: it begins with "/"`, c.Path), "path"))
		}
	}
	return errors.Join(errs...)
}

// validateHeaders refuses what would end a header and begin another.
func (c *Config) validateHeaders() error {
	var errs []error
	for name, value := range c.Headers {
		if name == "" || strings.ContainsAny(name, " :\t\r\n") || strings.ContainsAny(value, "\r\n") {
			errs = append(errs, sdk.PathError(fmt.Errorf("%q is no header", name), "headers"))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateDigest() error {
	if c.Digest == "" || c.Algorithm == "" {
		return nil
	}
	if length := hex.EncodedLen(algorithms()[c.Algorithm]().Size()); len(c.Digest) != length {
		return sdk.PathError(fmt.Errorf("a digest by %s has %d digits, this has %d", c.Algorithm, length, len(c.Digest)), "digest")
	}
	return nil
}

func (c *Config) tlsConfig() (*tls.Config, error) {
	t := c.TLS
	if t == nil {
		t = &TLS{}
	}
	config := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.Insecure} // the operator says so
	if config.ServerName == "" {
		config.ServerName = hostOnly(c.Host)
	}
	if t.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", t.CAFile)
	}
	return config, nil
}

// hostOnly is a virtual host without its port.
func hostOnly(host string) string {
	u := url.URL{Host: host}
	return u.Hostname()
}

// statusRange is a range of status codes, both ends included.
type statusRange struct{ from, to int }

func parseStatus(s string) (statusRange, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(strings.TrimSpace(first))
	to, err2 := strconv.Atoi(strings.TrimSpace(last))
	switch {
	case err1 != nil || err2 != nil:
		return statusRange{}, fmt.Errorf(`%q is no status: write a code as 200, or a range as "200-299"`, s)
	case from < 100 || to > 599:
		return statusRange{}, fmt.Errorf("status %s out of range: codes are 100 to 599", s)
	case from > to:
		return statusRange{}, fmt.Errorf("status %s is empty: %d is more than %d", s, from, to)
	}
	return statusRange{from, to}, nil
}
