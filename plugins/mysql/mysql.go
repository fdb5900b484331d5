// Package mysql is the checker "mysql": it logs in to MySQL or MariaDB as a client does and judges what the server says of
// itself: its role, its replication, its Galera cluster, its connections, the answer to a query. It changes nothing but what a
// query of the operator's changes, and it is not for a monitoring of how well the server performs.
package mysql

import (
	"context"

	"github.com/vipward/vipward/sdk"
)

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("mysql", check, summary()) }

func summary() sdk.Option {
	return sdk.Summary("logs in to MySQL or MariaDB; role, replication, Galera, connections, a query")
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
		return s.ping(ctx)
	}
	v, err := s.variables(ctx)
	if err != nil {
		return s.verdict("ask for the state", err)
	}
	v.report(f)
	for _, why := range []string{c.judgeGalera(v), c.judgeRole(v), c.judgeConnections(v)} {
		if why != "" {
			return sdk.Failf("%s", why)
		}
	}
	result := sdk.Pass()
	if c.replicates() {
		channels, err := s.channels(ctx, v)
		if err != nil {
			return s.verdict("ask for the replication", err)
		}
		result = c.judgeReplication(v, channels, f)
	}
	if c.Query == "" || result.Status() == "fail" {
		return result
	}
	if asked := c.ask(ctx, s, v); asked.Status() != "pass" {
		return asked
	}
	return result
}

// ask makes the operator's query.
func (c *Config) ask(ctx context.Context, s *session, v variables) sdk.Result {
	if err := s.limit(ctx, v); err != nil {
		return s.verdict("limit the time of the query", err)
	}
	value, found, err := s.first(ctx, c.Query)
	if err != nil {
		return s.verdict(c.Query, err)
	}
	return c.Judge(value, found)
}
