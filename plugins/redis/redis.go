// Package redis is the checker "redis": it asks Redis, and what speaks its protocol, whether it answers, which role it has, and
// whether a replica hears of its master. It writes nothing, and it knows nothing of Sentinel and of Redis Cluster.
package redis

import (
	"context"
	"errors"
	"strings"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
)

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("redis", check, summary()) }

func summary() sdk.Option { return sdk.Summary("asks Redis by PING; role, link to the master, lag") }

// check makes one run with a connection of its own, and adds the figures that it came by, whatever the verdict.
func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	s, bad := c.connect(ctx, t)
	if bad != nil {
		return *bad
	}
	defer s.conn.Close()
	f := figures{}
	r := c.judge(s, f)
	for name, v := range f {
		r = r.Value(name, v)
	}
	return r
}

// figures are the values of a result by name.
type figures map[string]float64

// judge logs in and looks at what is configured, one after the other.
func (c *Config) judge(s *session, f figures) sdk.Result {
	if bad := c.login(s); bad != nil {
		return *bad
	}
	switch pong, err := s.ask("PING"); {
	case err != nil:
		return verdict("PING", err)
	case pong != "PONG":
		return sdk.Failf("PING: %s, want PONG", access.Excerpt(pong))
	case c.Role == "":
		return sdk.Pass()
	}
	text, err := s.ask("INFO", "replication")
	if err != nil {
		return verdict("INFO", err)
	}
	return c.judgeReplication(infoOf(text), f)
}

// login says who the checker is, where that is configured.
func (c *Config) login(s *session) *sdk.Result {
	password, err := access.Password(c.Password, c.PasswordFile)
	if err != nil {
		r := sdk.Errorf("%v", err)
		return &r
	}
	if password == "" && c.User == "" {
		return nil
	}
	who := []string{"AUTH", password}
	if c.User != "" {
		who = []string{"AUTH", c.User, password}
	}
	if _, err := s.ask(who...); err != nil {
		r := verdict("AUTH", err)
		return &r
	}
	return nil
}

// refused tells whether the server refuses the checker and not its clients: the wrong user, password or grant, a command that
// an operator has renamed. That says nothing about the server.
func refused(e serverError) bool {
	for _, p := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH ", "ERR Client sent AUTH", "ERR invalid password", "ERR unknown command"} {
		if strings.HasPrefix(string(e), p) {
			return true
		}
	}
	return false
}

// verdict is what an error of the server or of the connection says about the target.
func verdict(what string, err error) sdk.Result {
	if e := serverError(""); errors.As(err, &e) && refused(e) {
		return sdk.Errorf("%s: %v", what, err)
	}
	return sdk.Failf("%s: %s", what, access.Words(err))
}
