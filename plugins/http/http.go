// Package http is the checker "http": one request or several, whose status, digest, body and JSON are compared with what the
// operator expects. It speaks HTTP/1.0, 1.1 and 2, with and without TLS. It is not a browser: no cookies, no proxy, no cache.
package http

import (
	"context"
	"fmt"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Component is the checker for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Checker("http", check, sdk.Summary("makes one HTTP request or several, and compares status, digest, body and JSON"))
}

// check makes the requests one after the other, until one does not pass. What fails carries the reason an operator needs.
func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	began := time.Now()
	result := sdk.Pass()
	for i := range c.state.asks {
		r := c.one(ctx, t, &c.state.asks[i])
		switch r.Status() {
		case "pass":
			if result.Status() == "pass" { // a warning stays
				result = r
			}
		case "warn":
			result = r
		default:
			return r
		}
	}
	return result.Value("answer_seconds", time.Since(began).Seconds())
}

// one makes one request and judges what comes.
func (c *Config) one(ctx context.Context, t sdk.Target, a *ask) sdk.Result {
	r, err := c.request(t, a)
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	what := r.method + " " + r.url.RequestURI()
	x, err := c.final(ctx, t, r)
	switch {
	case sdk.Local(err):
		return sdk.Errorf("%s: %v", what, err)
	case err != nil:
		return sdk.Failf("%s: %v", what, err)
	}
	defer x.end()
	if why := a.judge(x.Response, c.MaxBody); why != "" {
		return sdk.Failf("%s: %s", what, why)
	}
	return c.passed(x, what)
}

// final makes a request and follows its redirects. The reply is the last one.
func (c *Config) final(ctx context.Context, t sdk.Target, r *request) (*reply, error) {
	for hops := 0; ; hops++ {
		x, err := c.exchange(ctx, t, r)
		if err != nil || c.state.redirects == 0 {
			return x, err
		}
		r, err = r.next(x.Response)
		if err == nil && r == nil {
			return x, nil
		}
		x.end()
		if err == nil && hops == c.state.redirects {
			err = fmt.Errorf("more than %d redirects", hops)
		}
		if err != nil {
			return nil, err
		}
	}
}

// passed is the result of a response in which nothing is wrong, with what its certificate is worth.
func (c *Config) passed(x *reply, what string) sdk.Result {
	if x.tls == nil {
		return sdk.Pass()
	}
	now, result := time.Now(), sdk.Pass()
	if why := c.TLS.Expiring(*x.tls, now); why != "" {
		result = sdk.Warnf("%s: %s", what, why)
	}
	return result.Value("certificate_seconds", tlsclient.Left(*x.tls, now).Seconds())
}
