// Package consul is the bundled witness consul: a key that a session locks says which node may hold something. It speaks Consul's
// HTTP interface with the standard library.
package consul

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/httpjson"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// leastSession is the shortest life of a session that Consul takes (session TTL, 10s to 24h).
const leastSession = 10 * time.Second

// Config is the block of the witness.
type Config struct {
	URL       string             `vipward:"url" default:"http://127.0.0.1:8500" doc:"Where the agent listens."`
	Prefix    string             `vipward:"prefix" default:"vipward/" doc:"What the keys begin with; another one for each pair of the same node names."`
	Token     sdk.Secret         `vipward:"token" doc:"Token of the access control; it needs session:write and key:write of the prefix."`
	TokenFile string             `vipward:"token_file" doc:"File that holds the token; read for each call."`
	TLS       *tlsclient.Options `vipward:"tls,block" doc:"How https is spoken."`

	tls *tls.Config
}

// Component is the witness.
func Component() sdk.Component {
	return sdk.WitnessOf("consul", functions(), sdk.Summary("a key locked by a session of Consul says which node may hold something"))
}

func functions() sdk.Witness[Config] {
	by := func(do func(context.Context, *agent, sdk.Claim) (sdk.Grant, error)) func(context.Context, sdk.Claim, Config) sdk.Grant {
		return func(ctx context.Context, c sdk.Claim, cfg Config) sdk.Grant {
			a, err := cfg.agent()
			if err != nil {
				return sdk.Unanswered(err)
			}
			defer a.client.Close()
			g, err := do(ctx, a, c)
			if err != nil {
				return sdk.Unanswered(err)
			}
			return g
		}
	}
	return sdk.Witness[Config]{Acquire: by(acquire), Release: by(release)}
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var one error
	if c.Token != "" && c.TokenFile != "" {
		one = errors.New("token and token_file exclude each other")
	}
	return errors.Join(sdk.PathError(httpjson.CheckURL(c.URL), "url"), sdk.PathError(one, "token_file"), c.TLS.Validate("tls"))
}

// Open reads the certificates.
func (c *Config) Open(context.Context) (err error) {
	c.tls, err = c.TLS.Config()
	return err
}

func (c *Config) agent() (*agent, error) {
	token, err := access.Secret("token_file", c.Token, c.TokenFile)
	if err != nil {
		return nil, err
	}
	a := &agent{client: httpjson.New(c.tls), base: strings.TrimRight(c.URL, "/") + "/v1/", prefix: c.Prefix}
	if token != "" {
		a.client.Header.Set("X-Consul-Token", token)
	}
	return a, nil
}

// agent is the agent of Consul, for one call.
type agent struct {
	client       *httpjson.Client
	base, prefix string
}

// lock is what stands at a key.
type lock struct{ session, holder string }

// acquire renews the session that holds the key for this node, or makes one and lets it lock the key. Consul lets a session live
// for its time at least, from its making or renewal on, which is after the asking.
func acquire(ctx context.Context, a *agent, c sdk.Claim) (sdk.Grant, error) {
	l, err := a.look(ctx, c.Name)
	switch {
	case err != nil:
		return sdk.Grant{}, err
	case l.session != "" && l.holder != c.Node:
		return sdk.Refused(l.holder), nil
	case l.session != "":
		alive, err := a.renew(ctx, l.session)
		if err != nil || alive {
			return sdk.Granted(), err
		}
	}
	session, err := a.open(ctx, c)
	if err != nil {
		return sdk.Grant{}, err
	}
	won, err := a.truth(ctx, http.MethodPut, a.key(c.Name)+"?acquire="+session, []byte(c.Node))
	if err != nil || won {
		return sdk.Granted(), err
	}
	_, _ = a.truth(ctx, http.MethodPut, "session/destroy/"+session, nil) // it would end by itself
	if l, err = a.look(ctx, c.Name); err != nil {
		return sdk.Grant{}, err
	}
	if l.holder == "" || l.holder == c.Node {
		return sdk.Grant{}, errors.New("the key could not be locked, and nobody else has it: Consul's lock delay may run")
	}
	return sdk.Refused(l.holder), nil
}

// release ends the session that holds the key for this node; with it the key goes.
func release(ctx context.Context, a *agent, c sdk.Claim) (sdk.Grant, error) {
	l, err := a.look(ctx, c.Name)
	switch {
	case err != nil:
		return sdk.Grant{}, err
	case l.session == "":
		return sdk.Granted(), nil
	case l.holder != c.Node:
		return sdk.Refused(l.holder), nil
	}
	if _, err := a.truth(ctx, http.MethodPut, "session/destroy/"+l.session, nil); err != nil {
		return sdk.Grant{}, err
	}
	return sdk.Granted(), nil
}

func (a *agent) key(claim string) string {
	parts := strings.Split(a.prefix+claim, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "kv/" + strings.Join(parts, "/")
}

// look reads the key from the leader.
func (a *agent) look(ctx context.Context, claim string) (lock, error) {
	r, err := a.client.Do(ctx, http.MethodGet, a.base+a.key(claim)+"?consistent", nil, nil)
	switch {
	case err != nil:
		return lock{}, fmt.Errorf("read the key: %w", err)
	case r.Status == http.StatusNotFound:
		return lock{}, nil
	case r.Status != http.StatusOK:
		return lock{}, fmt.Errorf("read the key: %w", r.Error())
	}
	var list []struct{ Session, Value string }
	if err := json.Unmarshal(r.Body, &list); err != nil || len(list) != 1 {
		return lock{}, fmt.Errorf("read the key: the answer has %d keys, %v", len(list), err)
	}
	value, err := base64.StdEncoding.DecodeString(list[0].Value)
	if err != nil {
		return lock{}, fmt.Errorf("read the key: %w", err)
	}
	return lock{list[0].Session, string(value)}, nil
}

// renew lets a session live on, and tells whether there is one.
func (a *agent) renew(ctx context.Context, session string) (alive bool, err error) {
	r, err := a.client.Do(ctx, http.MethodPut, a.base+"session/renew/"+url.PathEscape(session), nil, nil)
	switch {
	case err != nil:
		return false, fmt.Errorf("renew the session: %w", err)
	case r.Status == http.StatusNotFound:
		return false, nil
	case r.Status != http.StatusOK:
		return false, fmt.Errorf("renew the session: %w", r.Error())
	}
	return true, nil
}

// open makes a session. Its end deletes the key at once: a delay would only keep the other node waiting, since the holder lets go by
// its own count.
func (a *agent) open(ctx context.Context, c sdk.Claim) (id string, err error) {
	var out struct{ ID string }
	err = a.client.Call(ctx, http.MethodPut, a.base+"session/create", map[string]string{
		"Name": "vipward " + c.Node, "TTL": max(c.TTL, leastSession).String(), "Behavior": "delete", "LockDelay": "0s",
	}, &out)
	if err == nil && out.ID == "" {
		err = errors.New("the answer has no ID")
	}
	if err != nil {
		return "", fmt.Errorf("make a session: %w", err)
	}
	return url.PathEscape(out.ID), nil
}

// truth is a request that is answered with true or false.
func (a *agent) truth(ctx context.Context, method, path string, body []byte) (yes bool, err error) {
	r, err := a.client.Do(ctx, method, a.base+path, body, nil)
	what, _, _ := strings.Cut(path, "?")
	switch {
	case err != nil:
		return false, fmt.Errorf("%s: %w", what, err)
	case r.Status != http.StatusOK:
		return false, fmt.Errorf("%s: %w", what, r.Error())
	}
	if err := json.Unmarshal(r.Body, &yes); err != nil {
		return false, fmt.Errorf("%s: %w", what, r.Error())
	}
	return yes, nil
}
