//go:build servers

package postgres

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/tlsclient"
	"github.com/vipward/vipward/tests/servers"
)

const password = "correct horse"

// as is a configuration with the user that the tests make.
func as(c Config) Config {
	if c.User == "" {
		c.User = "vipward"
	}
	if c.Database == "" {
		c.Database = "postgres"
	}
	if c.Password == "" && c.PasswordFile == "" {
		c.Password = password
	}
	return c
}

// eventually waits until a check says what is wanted.
func eventually(t *testing.T, what string, p *servers.Postgres, c Config, want string) {
	t.Helper()
	p.Until(what, func() error {
		if got := checked(t, p.Address, c, ample); got != want {
			return fmt.Errorf("the check says %s, want %s", got, want)
		}
		return nil
	})
}

func TestAgainstPostgreSQL(t *testing.T) {
	p := servers.StartPostgres(t, "127.33.7.1", "max_connections=20", "superuser_reserved_connections=1", "max_wal_senders=4", "autovacuum=off")
	p.Do("CREATE ROLE vipward LOGIN PASSWORD '" + password + "'")
	p.Do("CREATE ROLE idle NOLOGIN")
	p.Do("CREATE TABLE goods (id int PRIMARY KEY, name text)")
	p.Do("INSERT INTO goods VALUES (1, 'tea'), (2, NULL)")
	p.Do("GRANT SELECT ON goods TO vipward")
	p.Do("CREATE TABLE closed (id int)")
	t.Run("what it answers", func(t *testing.T) { answers(t, p) })
	t.Run("over TLS", func(t *testing.T) { overTLS(t, p) })
	t.Run("as a writer", func(t *testing.T) { writer(t, p) })
	t.Run("with many connections", func(t *testing.T) { manyConnections(t, p) })
	t.Run("no connection is left behind", func(t *testing.T) { leavesNothing(t, p) })
	t.Run("the suite of vipward plugin test", func(t *testing.T) {
		plugintest.Checker(t, "postgres", check, summary()).Config(`{"user": "vipward", "password": "` + password + `", "role": "writer"}`).Conformance()
	})
	t.Run("replication", func(t *testing.T) { replication(t, p) })
}

func answers(t *testing.T, p *servers.Postgres) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		config  Config
		timeout time.Duration
		want    string
	}{
		{"a login", Config{}, ample, "pass"},
		{"with a password from a file", Config{PasswordFile: file}, ample, "pass"},
		{"the wrong password", Config{Password: "wrong"}, ample, `error: log in as vipward: FATAL: password authentication failed for user "vipward" (28P01)`},
		{"no such user", Config{User: "nobody"}, ample, `error: log in as nobody: FATAL: password authentication failed for user "nobody" (28P01)`},
		{"a database that is not there", Config{Database: "gone"}, ample, `fail: log in as vipward: FATAL: database "gone" does not exist (3D000)`},
		{"a query", Config{Question: access.Question{Query: "SELECT name FROM goods", Expect: "tea"}}, ample, "pass"},
		{"an answer that matches", Config{Question: access.Question{Query: "SELECT name FROM goods", ExpectRE: "^t.a$"}}, ample, "pass"},
		{"a query whose answer nobody looks at", Config{Question: access.Question{Query: "SELECT 1 WHERE false"}}, ample, "pass"},
		{"another answer", Config{Question: access.Question{Query: "SELECT name FROM goods", Expect: "te"}}, ample, `fail: SELECT name FROM goods: "tea", want "te"`},
		{"an answer that does not match", Config{Question: access.Question{Query: "SELECT 41 + 1", ExpectRE: "^7"}}, ample, `fail: SELECT 41 + 1: "42", want a match of ^7`},
		{"no row", Config{Question: access.Question{Query: "SELECT 1 WHERE false", Expect: "1"}}, ample, `fail: SELECT 1 WHERE false: no row, want "1"`},
		{"NULL", Config{Question: access.Question{Query: "SELECT name FROM goods WHERE id = 2", Expect: "NULL"}}, ample, "pass"},
		{"a table that is not there", Config{Question: access.Question{Query: "SELECT 1 FROM gone"}}, ample, `fail: SELECT 1 FROM gone: ERROR: relation "gone" does not exist (42P01)`},
		{"a query that is none", Config{Question: access.Question{Query: "SELCT 1"}}, ample, `error: SELCT 1: ERROR: syntax error at or near "SELCT" (42601)`},
		{"a table that the user may not read", Config{Question: access.Question{Query: "SELECT 1 FROM closed"}}, ample, `error: SELECT 1 FROM closed: ERROR: permission denied for table closed (42501)`},
		{"a slow query", Config{Question: access.Question{Query: "SELECT pg_sleep(300)"}}, soon, "fail: SELECT pg_sleep(300): no answer in time"},
		{"a row of two megabytes", Config{Question: access.Question{Query: "SELECT repeat('x', 2000000)", Expect: "x"}}, ample, "fail: SELECT repeat('x', 2000000): a row is longer than 1048576 bytes"},
		{"no standby", Config{Role: "reader"}, ample, "fail: the server is not in recovery, want a standby"},
		{"no standby, which is fine", Config{Role: "reader", AllowWriter: true}, ample, "pass"},
	} {
		if got := checked(t, p.Address, as(tt.config), tt.timeout); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := checked(t, netip.AddrPort{}, as(Config{Address: p.Address.String()}), ample); got != "pass" {
		t.Errorf("a check of the node itself: %s, want pass", got)
	}
	if got := checked(t, netip.AddrPort{}, as(Config{Address: p.Socket}), ample); got != "pass" {
		t.Errorf("by its socket: %s, want pass", got)
	}
}

func overTLS(t *testing.T, p *servers.Postgres) {
	encrypted := Config{Question: access.Question{Query: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", Expect: "t"}}
	for _, tt := range []struct {
		name string
		tls  *tlsclient.Options
		want string
	}{
		{"a certificate for the address", &tlsclient.Options{CAFile: p.CA}, "pass"},
		{"for a name", &tlsclient.Options{CAFile: p.CA, ServerName: "db.example"}, "pass"},
		{
			"for another name", &tlsclient.Options{CAFile: p.CA, ServerName: "db.example.org"},
			"fail: log in as vipward: tls: failed to verify certificate: x509: certificate is valid for db.example, not db.example.org",
		},
		{"that nobody vouches for", &tlsclient.Options{}, "fail: log in as vipward: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"that is not looked at", &tlsclient.Options{Insecure: true}, "pass"},
	} {
		c := encrypted
		c.TLS = tt.tls
		if got := checked(t, p.Address, as(c), ample); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func writer(t *testing.T, p *servers.Postgres) {
	if got := checked(t, p.Address, as(Config{Role: "writer"}), ample); got != "pass" {
		t.Errorf("a writer: %s, want pass", got)
	}
	p.Do("ALTER ROLE vipward SET default_transaction_read_only = on")
	defer p.Do("ALTER ROLE vipward RESET default_transaction_read_only")
	if got, want := checked(t, p.Address, as(Config{Role: "writer"}), ample), "fail: default_transaction_read_only is on, want a writer"; got != want {
		t.Errorf("a writer that is read-only: %s, want %s", got, want)
	}
}

func manyConnections(t *testing.T, p *servers.Postgres) {
	for range 18 {
		conn := p.Connect()
		defer conn.Close(context.Background())
	}
	eventually(t, "full", p, as(Config{MaxShare: 90}), "fail: 19 of 20 connections are in use, more than 90 %")
	conn := p.Connect()
	defer conn.Close(context.Background())
	eventually(t, "more than full", p, as(Config{}),
		"fail: log in as vipward: FATAL: remaining connection slots are reserved for non-replication superuser connections (53300)")
}

// leavesNothing looks at what the server itself counts, also of the slow query, which the server gives up.
func leavesNothing(t *testing.T, p *servers.Postgres) {
	for range 10 {
		if got := checked(t, p.Address, as(Config{Question: access.Question{Query: "SELECT 1"}, Role: "writer"}), ample); got != "pass" {
			t.Fatalf("check = %s, want pass", got)
		}
	}
	p.Until("left alone", func() error {
		if n := p.Do("SELECT count(*) FROM pg_stat_activity WHERE usename = 'vipward'"); n != "0" {
			return fmt.Errorf("%s connections of the checker are open", n)
		}
		return nil
	})
}

// replication comes last: the primary does not live through it.
func replication(t *testing.T, p *servers.Postgres) {
	s := p.Standby("127.33.7.2", "max_connections=20", "max_wal_senders=4", "wal_retrieve_retry_interval=200ms")
	reader, lost := as(Config{Role: "reader", MaxLag: 10 * time.Second}), as(Config{Role: "reader", OnSourceLoss: "warn"})
	strict := as(Config{Role: "reader", MaxLag: time.Second})
	eventually(t, "a standby", s, reader, "pass")
	eventually(t, "no writer", s, as(Config{Role: "writer"}), "fail: the server is in recovery, want a writer")

	quiet(t, p, s, strict)

	s.Do("SELECT pg_wal_replay_pause()")
	p.Do("INSERT INTO goods VALUES (3, 'coffee')")
	s.Until("behind", func() error {
		if got := checked(t, s.Address, strict, ample); !strings.HasPrefix(got, "fail: replay is paused, and lags ") || !strings.HasSuffix(got, " behind, limit 1s") {
			return fmt.Errorf("the check says %s", got)
		}
		return nil
	})
	s.Do("SELECT pg_wal_replay_resume()")
	eventually(t, "abreast", s, strict, "pass")

	p.Pause()
	if got := checked(t, p.Address, as(Config{}), soon); got != "fail: log in as vipward: no answer in time" {
		t.Errorf("a paused server: %s", got)
	}
	p.Resume()
	eventually(t, "back", p, as(Config{}), "pass")
	p.Kill()
	if got, want := checked(t, p.Address, as(Config{}), ample), "fail: dial tcp "+p.Address.String()+": connect: connection refused"; got != want {
		t.Errorf("a killed server: %s, want %s", got, want)
	}
	eventually(t, "without its primary", s, reader, "fail: the standby does not receive from a primary: no WAL receiver")
	eventually(t, "which may be", s, lost, "warn: the standby does not receive from a primary: no WAL receiver")
	s.Do("SELECT pg_promote()")
	eventually(t, "promoted", s, as(Config{Role: "writer"}), "pass")
}

// quiet has the primary do nothing for longer than the standby may lag.
func quiet(t *testing.T, p, s *servers.Postgres, strict Config) {
	p.Do("INSERT INTO goods VALUES (4, 'water')")
	s.Until("quiet", func() error {
		if age := s.Do("SELECT coalesce(clock_timestamp() - pg_last_xact_replay_timestamp() > '1500ms', false)"); age != "t" {
			return fmt.Errorf("the last transaction is not old yet")
		}
		return nil
	})
	if got := checked(t, s.Address, strict, ample); got != "pass" {
		t.Errorf("a standby of a primary that has nothing to do: %s, want pass", got)
	}
	result := plugintest.Checker(t, "postgres", check).Config(`{"user": "vipward", "password": "` + password + `", "role": "reader"}`)
	result.Against(s.Address.String()).Pass().Value("in_recovery", 1).Value("lag_seconds", 0).Value("lag_bytes", 0).Value("max_connections", 20)
}
