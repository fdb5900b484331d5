package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/template"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/message"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block.
type Config struct {
	URL             string             `vipward:"url" doc:"Where to send to. Required, but with format pagerduty."`
	Format          string             `vipward:"format" default:"json" one_of:"json,slack,dingtalk,wecom,feishu,teams,pagerduty" doc:"Form of the body."`
	Body            string             `vipward:"body" doc:"Template of the body, in place of format json."`
	Method          string             `vipward:"method" default:"POST" pattern:"[A-Z]+" doc:"Method of the request."`
	Headers         map[string]string  `vipward:"headers" doc:"Headers of the request."`
	ContentType     string             `vipward:"content_type" default:"application/json" doc:"Type of the body."`
	Token           sdk.Secret         `vipward:"token" doc:"Sent as Authorization: Bearer."`
	Secret          sdk.Secret         `vipward:"secret" doc:"Key of the signature. With dingtalk and feishu that of the robot."`
	SignatureHeader string             `vipward:"signature_header" default:"X-Vipward-Signature" doc:"Header with sha256= and the HMAC-SHA256 of the body in hex, where there is a secret."`
	RoutingKey      sdk.Secret         `vipward:"routing_key" doc:"Integration key of PagerDuty. Required with format pagerduty."`
	Batch           time.Duration      `vipward:"batch" default:"0s" min:"0s" max:"1h" doc:"How long to wait for more events, to send them in one request. A critical event is not held back."`
	Timeout         time.Duration      `vipward:"timeout" default:"10s" min:"100ms" max:"25s" doc:"Deadline of one request."`
	TLS             *tlsclient.Options `vipward:"tls,block" doc:"How to verify the server, and the client's own certificate."`

	open *open
}

// open is what a configuration keeps from its first use on.
type open struct {
	url      *url.URL
	form     form
	client   *http.Client
	progress message.Progress
}

// pagerDuty is where its events go.
const pagerDuty = "https://events.pagerduty.com/v2/enqueue"

// folds tells whether several events are one request.
func (c *Config) folds() bool {
	switch c.Format {
	case "pagerduty":
		return false
	case "json":
		return c.Batch > 0
	}
	return true
}

// Validate refuses what can never work.
func (c *Config) Validate() error {
	errs := []error{c.TLS.Validate("tls")}
	_, err := c.target()
	errs = append(errs, sdk.PathError(err, "url"))
	if c.Body != "" {
		if c.Format != "json" {
			errs = append(errs, sdk.PathError(fmt.Errorf("a body of your own excludes the format %s", c.Format), "body"))
		}
		if _, err := message.Parse(c.Body); err != nil {
			errs = append(errs, sdk.PathError(fmt.Errorf("no template: %w", err), "body"))
		}
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			errs = append(errs, sdk.PathError(fmt.Errorf("%q is no header", name), "headers"))
		}
	}
	if !httpguts.ValidHeaderFieldName(c.SignatureHeader) {
		errs = append(errs, sdk.PathError(fmt.Errorf("%q is no name of a header", c.SignatureHeader), "signature_header"))
	}
	if (c.RoutingKey != "") != (c.Format == "pagerduty") {
		errs = append(errs, sdk.PathError(errors.New("routing_key and format pagerduty need each other"), "routing_key"))
	}
	return errors.Join(errs...)
}

func (c *Config) target() (*url.URL, error) {
	text := c.URL
	if text == "" {
		if c.Format != "pagerduty" {
			return nil, errors.New(`required: write url = "https://HOST/PATH"`)
		}
		text = pagerDuty
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New(`no URL: write "http://HOST/PATH" or "https://HOST/PATH"`)
	}
	return u, nil
}

// Open makes the client, with its connections.
func (c *Config) Open(context.Context) error {
	u, err := c.target()
	if err != nil {
		return err
	}
	config, err := c.TLS.Config()
	if err != nil {
		return err
	}
	o := &open{url: u, form: forms(c.Format)}
	if c.Body != "" {
		t, err := message.Parse(c.Body)
		if err != nil {
			return err
		}
		o.form.body = own(t)
	}
	o.client = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would be told as GET
	}
	c.open = o
	return nil
}

// Close gives the connections up.
func (c *Config) Close() error {
	c.open.client.CloseIdleConnections()
	return nil
}

// own is a body by a template of the operator's.
func own(t *template.Template) func(Config, []sdk.Event, time.Time) ([]byte, error) {
	return func(_ Config, events []sdk.Event, _ time.Time) ([]byte, error) {
		text, err := message.Execute(t, message.DataOf(events))
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		return []byte(strings.TrimRight(text, "\n")), nil
	}
}
