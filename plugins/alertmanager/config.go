package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block.
type Config struct {
	URLs     []string           `vipward:"urls,required" doc:"Alertmanagers, of a cluster all: http://HOST:9093. One that takes the alerts is enough."`
	Labels   map[string]string  `vipward:"labels" doc:"Labels of every alert, besides those of the event."`
	Resend   time.Duration      `vipward:"resend" default:"1m" min:"1s" max:"1h" doc:"How often an alert that fires is sent again."`
	Expire   time.Duration      `vipward:"expire" default:"24h" min:"10s" max:"168h" doc:"When an alert ends that is neither sent again nor resolved, as after the end of this node."`
	Hold     time.Duration      `vipward:"hold" default:"10m" min:"10s" max:"24h" doc:"How long an alert fires about what has no end that would be told, as a VIP that was repaired."`
	Batch    time.Duration      `vipward:"batch" default:"1s" min:"0s" max:"1h" doc:"How long to wait for more events, to send them in one request. A critical event is not held back."`
	User     string             `vipward:"user" doc:"Name for basic authentication."`
	Password sdk.Secret         `vipward:"password" doc:"Password of user."`
	Token    sdk.Secret         `vipward:"token" doc:"Sent as Authorization: Bearer."`
	Timeout  time.Duration      `vipward:"timeout" default:"10s" min:"100ms" max:"25s" doc:"Deadline of one request."`
	TLS      *tlsclient.Options `vipward:"tls,block" doc:"How to verify the servers, and the client's own certificate."`

	client *http.Client
}

// Validate refuses what can never work.
func (c *Config) Validate() error {
	errs := []error{c.TLS.Validate("tls")}
	if len(c.URLs) == 0 {
		errs = append(errs, sdk.PathError(errors.New("nobody would be told: write at least one"), "urls"))
	}
	for i, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" {
			errs = append(errs, sdk.PathError(fmt.Errorf(`%q is no URL of an Alertmanager: write "http://HOST:9093"`, text), "urls", i))
		}
	}
	name := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`) // of a label, by Prometheus' data model
	for label := range c.Labels {
		if !name.MatchString(label) {
			errs = append(errs, sdk.PathError(fmt.Errorf("%q is no name of a label: letters, digits and _, not a digit first", label), "labels"))
		}
	}
	if c.Expire < 2*c.Resend {
		errs = append(errs, sdk.PathError(fmt.Errorf("alerts would end between two times that they are sent, %v apart: make it at least %v", c.Resend, 2*c.Resend), "expire"))
	}
	if (c.User == "") != (c.Password == "") {
		errs = append(errs, sdk.PathError(errors.New("user and password need each other"), "user"))
	}
	if c.User != "" && c.Token != "" {
		errs = append(errs, sdk.PathError(errors.New("user and token exclude each other"), "token"))
	}
	return errors.Join(errs...)
}

// Open makes the client, with its connections.
func (c *Config) Open(context.Context) error {
	config, err := c.TLS.Config()
	if err != nil {
		return err
	}
	c.client = &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 2 * time.Minute,
	}}
	return nil
}

// key tells sets of Alertmanagers apart.
func (c *Config) key() string {
	sorted := slices.Clone(c.URLs)
	slices.Sort(sorted)
	return strings.Join(sorted, " ")
}
