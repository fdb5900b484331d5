package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the checker. For a target with an address, the connection always goes there: of a url only scheme,
// host (for Host and the certificate), path and query count, and its port where the target has none.
type Config struct {
	URL      string             `vipward:"url" doc:"Whole URL to get. For a real server the connection goes to the server's own address all the same."`
	Scheme   string             `vipward:"scheme" one_of:"http,https" doc:"http or https. Default: https with a tls block, else http."`
	HTTP     string             `vipward:"http_version" one_of:"1.0,1.1,2" doc:"Speak this version only. Default: what both sides prefer, 1.1 without TLS."`
	Follow   string             `vipward:"follow_redirects" default:"0" pattern:"true|false|[0-9]|1[0-9]|20" doc:"Number of redirects to follow, 0 to 20; true is 10. For a real server the connection stays with it."`
	Username string             `vipward:"username" doc:"User of basic authentication."`
	Password sdk.Secret         `vipward:"password" doc:"Password of username."`
	Bearer   sdk.Secret         `vipward:"bearer" doc:"Token to send as Authorization: Bearer."`
	MaxBody  int                `vipward:"max_body" default:"1048576" min:"1" max:"16777216" doc:"Bytes of a body that are read. A longer one cannot be compared."`
	TLS      *tlsclient.Checked `vipward:"tls,block" doc:"Options of https."`

	Method  string            `vipward:"method" default:"GET" pattern:"[A-Z]+" doc:"Method of the request."`
	Host    string            `vipward:"host" doc:"Virtual host: the Host header and the name in TLS."`
	Headers map[string]string `vipward:"headers" doc:"Further headers of the request."`
	Status  []string          `vipward:"status" default:"[\"200-299\"]" doc:"Status codes that pass: numbers, and ranges as \"200-299\"."`

	Path       string            `vipward:"path" doc:"Path and query to get from the target. Default: /"`
	Payload    string            `vipward:"payload" doc:"Body of the request."`
	Digest     string            `vipward:"digest" pattern:"[0-9a-fA-F]{32}|[0-9a-fA-F]{64}" doc:"Digest that the body must have, in hex; vipward digest prints it."`
	Algorithm  string            `vipward:"algorithm" one_of:"md5,sha256" doc:"Algorithm of digest. Default: told by its length."`
	Body       string            `vipward:"body" doc:"Regular expression (RE2) that must match the body."`
	BodyAbsent string            `vipward:"body_absent" doc:"Regular expression (RE2) that must not match the body."`
	MinOffset  int               `vipward:"body_min_offset" min:"0" doc:"Byte of the body from which on the expressions look. Default: the first, which is 0."`
	MaxOffset  int               `vipward:"body_max_offset" min:"0" doc:"Last byte of the body at which a match may begin. Default: any."`
	JSON       map[string]string `vipward:"json" doc:"Values that the body must have as JSON, by their paths: { \"status\" = \"UP\", \"nodes.0.name\" = \"a\" }."`
	Requests   []Request         `vipward:"request,block" doc:"Several requests, all of which must pass, one after the other."`

	state *opened
}

// Request is one block request. What it leaves out of method, host, headers and status is as the check has it.
type Request struct {
	Path       string            `vipward:"path" doc:"Path and query to get from the target. Default: /"`
	Method     string            `vipward:"method" pattern:"[A-Z]+" doc:"Method of the request. Default: that of the check."`
	Host       string            `vipward:"host" doc:"Virtual host. Default: that of the check."`
	Headers    map[string]string `vipward:"headers" doc:"Further headers, besides those of the check."`
	Status     []string          `vipward:"status" doc:"Status codes that pass. Default: those of the check."`
	Payload    string            `vipward:"payload" doc:"Body of the request."`
	Digest     string            `vipward:"digest" pattern:"[0-9a-fA-F]{32}|[0-9a-fA-F]{64}" doc:"Digest that the body must have, in hex."`
	Algorithm  string            `vipward:"algorithm" one_of:"md5,sha256" doc:"Algorithm of digest. Default: told by its length."`
	Body       string            `vipward:"body" doc:"Regular expression (RE2) that must match the body."`
	BodyAbsent string            `vipward:"body_absent" doc:"Regular expression (RE2) that must not match the body."`
	MinOffset  int               `vipward:"body_min_offset" min:"0" doc:"Byte of the body from which on the expressions look."`
	MaxOffset  int               `vipward:"body_max_offset" min:"0" doc:"Last byte of the body at which a match may begin. Default: any."`
	JSON       map[string]string `vipward:"json" doc:"Values that the body must have as JSON, by their paths."`
}

// opened is what a configuration means, worked out once.
type opened struct {
	asks      []ask
	redirects int
	tls       *tls.Config
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	_, err := c.work()
	return errors.Join(err, c.validateURL(), c.validateAuth(), c.validateRequests(), c.TLS.Validate("tls"))
}

// Open works out what the checks need, and reads the certificates.
func (c *Config) Open(context.Context) error {
	state, err := c.work()
	if err != nil {
		return err
	}
	if state.tls, err = c.TLS.Config(); err != nil {
		return err
	}
	state.tls.NextProtos = map[string][]string{"": {"h2", "http/1.1"}, "2": {"h2"}}[c.HTTP]
	c.state = state
	return nil
}

// work makes an ask of each request.
func (c *Config) work() (*opened, error) {
	o := &opened{redirects: redirects(c.Follow)}
	if len(c.Requests) == 0 {
		a, err := c.ask(c.whole())
		o.asks = append(o.asks, a)
		return o, err
	}
	var errs []error
	for i, r := range c.Requests {
		a, err := c.ask(r)
		o.asks = append(o.asks, a)
		errs = append(errs, within(err, "request", i))
	}
	return o, errors.Join(errs...)
}

// within moves faults into the block where they are.
func within(err error, path ...any) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return sdk.PathError(err, path...)
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, within(e, path...))
	}
	return errors.Join(all...)
}

// whole is the check as its one request.
func (c *Config) whole() Request {
	return Request{
		Path: c.Path, Payload: c.Payload, Digest: c.Digest, Algorithm: c.Algorithm, Body: c.Body, BodyAbsent: c.BodyAbsent,
		MinOffset: c.MinOffset, MaxOffset: c.MaxOffset, JSON: c.JSON,
	}
}

func redirects(follow string) int {
	if follow == "true" {
		return 10
	}
	n, _ := strconv.Atoi(follow) // the pattern has let it through; false is none
	return n
}

func (c *Config) validateURL() error {
	var errs []error
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		switch {
		case err != nil:
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			err = fmt.Errorf(`%q is no URL: write "http://HOST/PATH" or "https://HOST/PATH"`, c.URL)
		case u.User != nil:
			err = errors.New("a URL has no user here: write username and password")
		}
		errs = append(errs, sdk.PathError(err, "url"))
	}
	if c.URL != "" && c.Path != "" {
		errs = append(errs, sdk.PathError(errors.New("url and path exclude each other"), "path"))
	}
	if c.URL != "" && c.Scheme != "" {
		errs = append(errs, sdk.PathError(errors.New("url has a scheme already"), "scheme"))
	}
	return errors.Join(errs...)
}

// validateAuth holds that there is one kind of credentials at most. No message has a secret.
func (c *Config) validateAuth() error {
	var errs []error
	if c.Password != "" && c.Username == "" {
		errs = append(errs, sdk.PathError(errors.New("password without username"), "password"))
	}
	if c.Bearer != "" && c.Username != "" {
		errs = append(errs, sdk.PathError(errors.New("bearer and username exclude each other"), "bearer"))
	}
	if strings.ContainsAny(strings.TrimSpace(string(c.Bearer)), "\r\n\x00") {
		errs = append(errs, sdk.PathError(errors.New("the token has more than one line"), "bearer"))
	}
	return errors.Join(errs...)
}

// validateRequests refuses beside blocks request what belongs into them.
func (c *Config) validateRequests() error {
	if len(c.Requests) == 0 {
		return nil
	}
	given := map[string]bool{
		"path": c.Path != "", "payload": c.Payload != "", "digest": c.Digest != "", "algorithm": c.Algorithm != "", "body": c.Body != "",
		"body_absent": c.BodyAbsent != "", "body_min_offset": c.MinOffset != 0, "body_max_offset": c.MaxOffset != 0, "json": c.JSON != nil,
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] {
			errs = append(errs, sdk.PathError(fmt.Errorf("with blocks request, %s stands in each of them", name), name))
		}
	}
	return errors.Join(errs...)
}
