//go:build linux

// Package nginx is the checker "nginx": whether nginx runs, listens and serves, within limits on its connections, and whether its
// configuration would stand a restart. It may restart it, once, before it says that it is down. It is not for what a site of
// nginx answers: that is the checker "http".
package nginx

import (
	"context"
	"fmt"
	"time"

	"github.com/vipward/vipward/sdk"
)

// Component is the checker for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Checker("nginx", check, sdk.Summary("watches nginx: process, ports, status page, configuration; may restart it once"))
}

// kind is what a look has found.
type kind int

const (
	well    kind = iota
	odd          // well, with something that an operator should look at
	unfit        // it answers, but not as it should: a restart would not help
	dead         // it does not answer: a restart may help
	unknown      // this node could not look
)

// finding is what one look has shown.
type finding struct {
	kind   kind
	why    string
	values map[string]float64
}

// result is the finding as a result of the check, with what else there is to say.
func (f finding) result(more string) sdk.Result {
	why := f.why
	if more != "" {
		why = join(why, more)
	}
	var r sdk.Result
	switch f.kind {
	case unknown:
		r = sdk.Errorf("%s", why)
	case dead, unfit:
		r = sdk.Failf("%s", why)
	default:
		r = sdk.Pass()
		if why != "" {
			r = sdk.Warnf("%s", why)
		}
	}
	for name, v := range f.values {
		r = r.Value(name, v)
	}
	return r
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// check looks, and restarts nginx where it is dead and the operator allows it.
func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	if name := c.ofThisNode(); name != "" && t.Address.IsValid() {
		return sdk.Errorf("%s is for a checker of the node itself, not for a check of %s", name, t.Address)
	}
	began := time.Now()
	f := c.look(ctx, t)
	if f.kind == dead && c.state.restarter != nil {
		return c.revive(ctx, t, f, began)
	}
	if c.state.restarter != nil && f.kind != unknown {
		c.state.restarter.recovered()
	}
	return f.result(c.state.tester.fault(ctx))
}

// revive restarts nginx, or waits for the restart that another run has begun, and looks again. While the restart goes on it says
// so, and nothing about nginx: nobody is to be told that it is down before it is tried.
func (c *Config) revive(ctx context.Context, t sdk.Target, f finding, looked time.Time) sdk.Result {
	a := c.state.restarter.begin(ctx, looked)
	select {
	case <-a.done:
	case <-ctx.Done():
		return sdk.Errorf("%s; restarting it since %v, for %v at most", f.why, time.Since(a.began).Round(time.Millisecond), c.Restart.Timeout)
	}
	switch {
	case a.elsewhere:
		return sdk.Errorf("%s; %s", f.why, a.words)
	case !a.ran:
		return f.result(a.words)
	}
	again := c.settle(ctx, t)
	switch {
	case ctx.Err() != nil && again.kind != well:
		return sdk.Errorf("%s; %s; not well yet", f.why, a.words)
	case again.kind == dead:
		return again.result(a.words + ", which did not help")
	}
	c.state.restarter.recovered()
	if again.kind == well {
		again.kind = odd
	}
	return again.result(fmt.Sprintf("%s, since %s", a.words, f.why))
}

// After a restart nginx may need a moment: its command returns before the master has written the pid_file.
const (
	settleTime = 2 * time.Second
	settlePace = 20 * time.Millisecond
)

// settle looks until nginx is no longer dead, for a moment or until ctx ends.
func (c *Config) settle(ctx context.Context, t sdk.Target) finding {
	end := time.Now().Add(settleTime)
	for {
		f := c.look(ctx, t)
		if f.kind != dead || ctx.Err() != nil || time.Now().After(end) {
			return f
		}
		select {
		case <-time.After(settlePace):
		case <-ctx.Done():
			return f
		}
	}
}

// look looks at everything that is configured, until something is wrong.
func (c *Config) look(ctx context.Context, t sdk.Target) finding {
	if c.PIDFile != "" {
		if f := process(c.PIDFile, c.Process); f.kind != well {
			return f
		}
	}
	for _, address := range c.Listen {
		conn, err := t.DialContext(ctx, "tcp", address.String())
		if err != nil {
			return broken(fmt.Sprintf("listen %s", address), err)
		}
		conn.Close()
	}
	if c.URL == "" {
		return finding{}
	}
	return c.page(ctx, t)
}
