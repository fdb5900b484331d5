// Package etcd is the bundled witness etcd: a key with a lease says which node may hold something. It speaks etcd's JSON gateway
// (/v3/…, etcd 3.4 and newer) with the standard library, so that no client of etcd's is needed.
package etcd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/httpjson"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the witness.
type Config struct {
	Endpoints    []string           `vipward:"endpoints,required" doc:"Where the members listen, like http://10.9.0.5:2379; the next one is asked where one does not answer."`
	Prefix       string             `vipward:"prefix" default:"/vipward/" doc:"What the keys begin with; another one for each pair of the same node names."`
	User         string             `vipward:"user" doc:"User to log in as."`
	Password     sdk.Secret         `vipward:"password" doc:"Password of the user."`
	PasswordFile string             `vipward:"password_file" doc:"File that holds the password; read for each call."`
	TLS          *tlsclient.Options `vipward:"tls,block" doc:"How https is spoken."`

	tls *tls.Config
}

// Component is the witness.
func Component() sdk.Component {
	return sdk.WitnessOf("etcd", functions(), sdk.Summary("a key with a lease in etcd says which node may hold something"))
}

func functions() sdk.Witness[Config] {
	return sdk.Witness[Config]{
		Acquire: func(ctx context.Context, c sdk.Claim, cfg Config) sdk.Grant { return cfg.each(ctx, c, acquire) },
		Release: func(ctx context.Context, c sdk.Claim, cfg Config) sdk.Grant { return cfg.each(ctx, c, release) },
	}
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var faults []error
	for i, e := range c.Endpoints {
		faults = append(faults, sdk.PathError(httpjson.CheckURL(e), "endpoints", i))
	}
	if len(c.Endpoints) == 0 {
		faults = append(faults, sdk.PathError(errors.New("name one member at least"), "endpoints"))
	}
	if (c.User != "") != (c.Password != "" || c.PasswordFile != "") {
		faults = append(faults, sdk.PathError(errors.New("user and password belong together"), "user"))
	}
	return errors.Join(append(faults, access.CheckPassword(c.Password, c.PasswordFile), c.TLS.Validate("tls"))...)
}

// Open reads the certificates.
func (c *Config) Open(context.Context) (err error) {
	c.tls, err = c.TLS.Config()
	return err
}

// each asks one member after the other until one answers, each with a fair part of the time that is left.
func (c *Config) each(ctx context.Context, claim sdk.Claim, do func(context.Context, *member, sdk.Claim) (sdk.Grant, error)) sdk.Grant {
	var faults []error
	for i, endpoint := range c.Endpoints {
		g, err := c.once(ctx, endpoint, len(c.Endpoints)-i, claim, do)
		if err == nil {
			return g
		}
		faults = append(faults, fmt.Errorf("%s: %w", hostOf(endpoint), err))
	}
	return sdk.Unanswered(errors.Join(faults...))
}

func (c *Config) once(
	ctx context.Context, endpoint string, left int, claim sdk.Claim, do func(context.Context, *member, sdk.Claim) (sdk.Grant, error),
) (sdk.Grant, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	m := &member{client: httpjson.New(c.tls), base: strings.TrimRight(endpoint, "/"), prefix: c.Prefix}
	defer m.client.Close()
	if c.User != "" {
		if err := m.login(ctx, c); err != nil {
			return sdk.Grant{}, err
		}
	}
	return do(ctx, m, claim)
}

func hostOf(endpoint string) string {
	_, host, _ := strings.Cut(endpoint, "://")
	return strings.TrimRight(host, "/")
}

// acquire makes a lease and puts the key with it, where there is no key or it says that this node is the holder. The key then hangs
// on the new lease alone; the one before ends by itself. etcd counts from when it made the lease, which is after the asking.
func acquire(ctx context.Context, m *member, c sdk.Claim) (sdk.Grant, error) {
	lease, err := m.grant(ctx, int64((c.TTL+time.Second-1)/time.Second))
	if err != nil {
		return sdk.Grant{}, err
	}
	key, node := m.key(c.Name), encode(c.Node)
	put := op{Put: &put{Key: key, Value: node, Lease: lease}}
	get := op{Range: &keyed{Key: key}}
	mine := op{Txn: &txn{ // nested, so that one request decides
		Compare: []compare{{Key: key, Result: "EQUAL", Target: "VALUE", Value: node}},
		Success: []op{put}, Failure: []op{get},
	}}
	var a answer
	err = m.call(ctx, "kv/txn", txn{
		Compare: []compare{{Key: key, Result: "EQUAL", Target: "CREATE", CreateRevision: "0"}},
		Success: []op{put}, Failure: []op{mine},
	}, &a)
	if err != nil {
		return sdk.Grant{}, err
	}
	if a.Succeeded {
		return sdk.Granted(), nil
	}
	if len(a.Responses) != 1 || a.Responses[0].Txn == nil {
		return sdk.Grant{}, errors.New("the answer to the transaction lacks its inner part")
	}
	inner := a.Responses[0].Txn
	if inner.Succeeded {
		return sdk.Granted(), nil
	}
	_ = m.call(ctx, "lease/revoke", map[string]string{"ID": lease}, nil) // it would end by itself
	return refused(*inner)
}

// release deletes the key where it says that this node is the holder.
func release(ctx context.Context, m *member, c sdk.Claim) (sdk.Grant, error) {
	key := m.key(c.Name)
	var a answer
	err := m.call(ctx, "kv/txn", txn{
		Compare: []compare{{Key: key, Result: "EQUAL", Target: "VALUE", Value: encode(c.Node)}},
		Success: []op{{Delete: &keyed{Key: key}}}, Failure: []op{{Range: &keyed{Key: key}}},
	}, &a)
	if err != nil {
		return sdk.Grant{}, err
	}
	if a.Succeeded || len(a.Responses) == 1 && a.Responses[0].Range != nil && len(a.Responses[0].Range.KVs) == 0 {
		return sdk.Granted(), nil
	}
	return refused(a)
}

// refused reads the holder from the answer of a transaction that did not find what it wanted.
func refused(a answer) (sdk.Grant, error) {
	if len(a.Responses) != 1 || a.Responses[0].Range == nil || len(a.Responses[0].Range.KVs) != 1 {
		return sdk.Grant{}, errors.New("the answer to the transaction does not say who has the key")
	}
	holder, err := base64.StdEncoding.DecodeString(a.Responses[0].Range.KVs[0].Value)
	if err != nil {
		return sdk.Grant{}, fmt.Errorf("the key's value is not what it should be: %w", err)
	}
	return sdk.Refused(string(holder)), nil
}

// member is one member of the cluster, for one call.
type member struct {
	client       *httpjson.Client
	base, prefix string
}

func (m *member) key(claim string) string { return encode(m.prefix + claim) }

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func (m *member) call(ctx context.Context, what string, in, out any) error {
	if err := m.client.Call(ctx, http.MethodPost, m.base+"/v3/"+what, in, out); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// login gets a token.
func (m *member) login(ctx context.Context, c *Config) error {
	password, err := access.Password(c.Password, c.PasswordFile)
	if err != nil {
		return err
	}
	var a struct{ Token string }
	if err := m.call(ctx, "auth/authenticate", map[string]string{"name": c.User, "password": password}, &a); err != nil {
		return err
	}
	m.client.Header.Set("Authorization", a.Token)
	return nil
}

// grant makes a lease. etcd may make it longer than asked for.
func (m *member) grant(ctx context.Context, seconds int64) (id string, err error) {
	var a struct{ ID, TTL string }
	if err := m.call(ctx, "lease/grant", map[string]string{"TTL": strconv.FormatInt(seconds, 10)}, &a); err != nil {
		return "", err
	}
	if got, err := strconv.ParseInt(a.TTL, 10, 64); err != nil || got < seconds || a.ID == "" {
		return "", fmt.Errorf("lease/grant: asked for %d s, the answer is a lease %q of %q s", seconds, a.ID, a.TTL)
	}
	return a.ID, nil
}
