// Package postgres is the checker "postgres": it logs in to PostgreSQL as a client does and judges what the server says of
// itself: its role, how far it lags behind its primary, its connections, the answer to a query. It changes nothing but what a
// query of the operator's changes, and it is not for a monitoring of how well the server performs.
package postgres

import (
	"context"
	"time"

	"github.com/vipward/vipward/sdk"
)

// lagPause is how long a standby that seems to lag is given to apply what it has received already.
const lagPause = 200 * time.Millisecond

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("postgres", check, summary()) }

func summary() sdk.Option {
	return sdk.Summary("logs in to PostgreSQL; role, lag, connections, a query")
}

// check makes one run with a connection of its own, and adds the figures that it came by, whatever the verdict.
func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	s, bad := c.connect(ctx, t)
	if bad != nil {
		return *bad
	}
	defer s.close()
	f := figures{}
	r := c.judge(ctx, s, f)
	for name, v := range f {
		r = r.Value(name, v)
	}
	return r
}

// figures are the values of a result by name.
type figures map[string]float64

// judge looks at what is configured, one after the other, and ends with the first fault. A warning stands when there is none.
func (c *Config) judge(ctx context.Context, s *session, f figures) sdk.Result {
	if c.pings() {
		return s.verdict("ping", s.exec(ctx, "SELECT 1"))
	}
	if err := s.begin(ctx); err != nil {
		return s.verdict("begin", err)
	}
	v, err := s.state(ctx)
	if err == nil && c.lags(v) {
		v, err = s.settled(ctx, v)
	}
	if err != nil {
		return s.verdict("ask for the state", err)
	}
	v.report(f)
	result := c.judgeState(v)
	if c.Query == "" || result.Status() == "fail" {
		return result
	}
	if asked := c.ask(ctx, s); asked.Status() != "pass" {
		return asked
	}
	return result
}

// ask makes the operator's query.
func (c *Config) ask(ctx context.Context, s *session) sdk.Result {
	value, found, err := s.first(ctx, c.Query)
	if err == nil {
		err = s.exec(ctx, "COMMIT")
	}
	if err != nil {
		return s.verdict(c.Query, err)
	}
	return c.Judge(value, found)
}
