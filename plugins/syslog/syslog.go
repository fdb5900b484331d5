// Package syslog is the notifier "syslog": it writes events to a syslog server, by RFC 5424 over the network and in the form of
// syslog(3) through the socket of the node's own. It is not for the daemon's log, which has a block of its own.
package syslog

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block.
type Config struct {
	Address  string             `vipward:"address" default:"/dev/log" doc:"Path of a socket, or udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT. Default ports: 514, 601 and 6514."`
	Facility string             `vipward:"facility" default:"daemon" one_of:"kern,user,mail,daemon,auth,syslog,lpr,news,uucp,cron,authpriv,ftp,local0,local1,local2,local3,local4,local5,local6,local7" doc:"Facility of the messages."`
	Format   string             `vipward:"format" default:"auto" one_of:"auto,rfc5424,bsd" doc:"Form of a message. auto is bsd, the form of syslog(3), for a socket and rfc5424 for the network."`
	Name     string             `vipward:"name" default:"vipward" pattern:"[!-~]{1,48}" doc:"Name of the application."`
	Timeout  time.Duration      `vipward:"timeout" default:"5s" min:"100ms" max:"25s" doc:"Deadline of a delivery."`
	TLS      *tlsclient.Options `vipward:"tls,block" doc:"How to verify the server of tls://."`

	open *open
}

// Component is the notifier for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Notifier("syslog", notify, sdk.Summary("writes events to syslog, locally or by RFC 5424"))
}

// Validate refuses what can never work.
func (c *Config) Validate() error {
	_, err := placeOf(c.Address)
	errs := []error{sdk.PathError(err, "address"), c.TLS.Validate("tls")}
	if c.TLS != nil && !strings.HasPrefix(c.Address, "tls://") {
		errs = append(errs, sdk.PathError(errors.New("only tls:// speaks TLS"), "tls"))
	}
	return errors.Join(errs...)
}

// place is where to send to.
type place struct {
	network string // unix, udp, tcp or tls
	address string
	host    string
}

func placeOf(text string) (place, error) {
	if strings.HasPrefix(text, "/") {
		return place{network: "unix", address: text}, nil
	}
	ports := map[string]string{"udp": "514", "tcp": "601", "tls": "6514"}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || ports[u.Scheme] == "" || strings.Trim(u.Path, "/") != "" {
		return place{}, fmt.Errorf(`%q is no address: write "/PATH", "udp://HOST:PORT", "tcp://HOST:PORT" or "tls://HOST:PORT"`, text)
	}
	if u.Port() != "" {
		return place{u.Scheme, u.Host, u.Hostname()}, nil
	}
	return place{u.Scheme, strings.TrimSuffix(u.Host, ":") + ":" + ports[u.Scheme], u.Hostname()}, nil
}

// open is what a configuration keeps from its first use on: one connection.
type open struct {
	place place
	form  func(sdk.Event) []byte

	mu   sync.Mutex
	dial func(context.Context) (*link, error)
	link *link
}

// Open reads the certificates. The connection comes with the first event.
func (c *Config) Open(context.Context) error {
	p, err := placeOf(c.Address)
	if err != nil {
		return err
	}
	config, err := c.TLS.Config()
	if err != nil {
		return err
	}
	config = tlsclient.For(config, p.host)
	o := &open{place: p, dial: func(ctx context.Context) (*link, error) { return dial(ctx, p, config) }}
	h := header{facility: facilities()[c.Facility], name: c.Name, pid: os.Getpid()}
	o.form = h.rfc5424
	if c.Format == "bsd" || (c.Format == "auto" && p.network == "unix") {
		o.form = h.bsd
	}
	c.open = o
	return nil
}

// Close gives the connection up.
func (c *Config) Close() error {
	c.open.mu.Lock()
	defer c.open.mu.Unlock()
	c.open.hangUp()
	return nil
}

// notify writes the events in their order.
func notify(ctx context.Context, events []sdk.Event, c Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	o := c.open
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		if err := o.write(ctx, o.form(e)); err != nil {
			return fmt.Errorf("%s: %w", c.Address, err)
		}
	}
	return nil
}

// write sends a message over the connection that is there, and where that has gone over a new one.
func (o *open) write(ctx context.Context, message []byte) error {
	if o.link != nil && !o.link.alive() {
		o.hangUp()
	}
	old := o.link != nil
	err := o.try(ctx, message)
	if err != nil && old && ctx.Err() == nil {
		err = o.try(ctx, message)
	}
	return err
}

func (o *open) try(ctx context.Context, message []byte) (err error) {
	if o.link == nil {
		if o.link, err = o.dial(ctx); err != nil {
			o.link = nil
			return err
		}
	}
	if err = o.link.send(ctx, message); err != nil {
		o.hangUp() // what follows half a message would not be understood
	}
	return err
}

func (o *open) hangUp() {
	if o.link != nil {
		_ = o.link.conn.Close() // nothing is kept in it
		o.link = nil
	}
}
