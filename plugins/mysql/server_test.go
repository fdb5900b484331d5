//go:build servers

package mysql

import (
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
	if c.Password == "" && c.PasswordFile == "" {
		c.Password = password
	}
	return c
}

// users are the accounts of a server: one as the README asks for, one that may do nothing, one that replicates.
func users(m *servers.MariaDB) {
	m.Do(
		"CREATE USER vipward IDENTIFIED BY '"+password+"'", "GRANT SLAVE MONITOR ON *.* TO vipward", "GRANT SELECT ON shop.* TO vipward", "GRANT SELECT ON gone.* TO vipward",
		"CREATE USER bare IDENTIFIED BY '"+password+"'",
		"CREATE USER locked IDENTIFIED BY '"+password+"' ACCOUNT LOCK",
		"CREATE USER repl IDENTIFIED BY '"+password+"'", "GRANT REPLICATION SLAVE ON *.* TO repl",
		"CREATE DATABASE shop", "CREATE TABLE shop.goods (id INT PRIMARY KEY, name TEXT)", "INSERT INTO shop.goods VALUES (1, 'tea'), (2, NULL)",
	)
}

// eventually waits until a check says what is wanted.
func eventually(t *testing.T, what string, m *servers.MariaDB, c Config, want string) {
	t.Helper()
	m.Until(what, func() error {
		if got := checked(t, m.Address, c, ample); got != want {
			return fmt.Errorf("the check says %s, want %s", got, want)
		}
		return nil
	})
}

func TestAgainstMariaDB(t *testing.T) {
	m := servers.StartMariaDB(t, "127.33.6.1", "--server-id=1", "--log-bin", "--max-connections=20")
	users(m)
	t.Run("what it answers", func(t *testing.T) { answers(t, m) })
	t.Run("over TLS", func(t *testing.T) { overTLS(t, m) })
	t.Run("as a writer", func(t *testing.T) { writer(t, m) })
	t.Run("with many connections", func(t *testing.T) { manyConnections(t, m) })
	t.Run("replication", func(t *testing.T) { replication(t, m) })
	t.Run("no connection is left behind", func(t *testing.T) { leavesNothing(t, m) })
	t.Run("the suite of vipward plugin test", func(t *testing.T) {
		plugintest.Checker(t, "mysql", check, summary()).Config(`{"user": "vipward", "password": "` + password + `", "role": "writer"}`).Conformance()
	})
	t.Run("paused and killed", func(t *testing.T) { pausedAndKilled(t, m) })
}

func answers(t *testing.T, m *servers.MariaDB) {
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
		{"a user without a privilege", Config{User: "bare"}, ample, "pass"},
		{"the wrong password", Config{Password: "wrong"}, ample, "error: log in as vipward: error 1045: Access denied for user 'vipward'@'127.0.0.1' (using password: YES)"},
		{"no such user", Config{User: "nobody"}, ample, "error: log in as nobody: error 1045: Access denied for user 'nobody'@'127.0.0.1' (using password: YES)"},
		{"a locked user", Config{User: "locked"}, ample, "error: log in as locked: error 4151: Access denied, this account is locked"},
		{"a database", Config{Database: "shop"}, ample, "pass"},
		{"a database that is not there", Config{Database: "gone"}, ample, "fail: log in as vipward: error 1049: Unknown database 'gone'"},
		{"a database that the user may not see", Config{Database: "mysql"}, ample, "error: log in as vipward: error 1044: Access denied for user 'vipward'@'%' to database 'mysql'"},
		{"a query", Config{Question: access.Question{Query: "SELECT name FROM shop.goods", Expect: "tea"}}, ample, "pass"},
		{"an answer that matches", Config{Question: access.Question{Query: "SELECT name FROM shop.goods", ExpectRE: "^t.a$"}}, ample, "pass"},
		{"a query whose answer nobody looks at", Config{Question: access.Question{Query: "SELECT 1 WHERE 1 = 0"}}, ample, "pass"},
		{"another answer", Config{Question: access.Question{Query: "SELECT name FROM shop.goods", Expect: "te"}}, ample, `fail: SELECT name FROM shop.goods: "tea", want "te"`},
		{"an answer that does not match", Config{Question: access.Question{Query: "SELECT 41 + 1", ExpectRE: "^7"}}, ample, `fail: SELECT 41 + 1: "42", want a match of ^7`},
		{"no row", Config{Question: access.Question{Query: "SELECT 1 WHERE 1 = 0", Expect: "1"}}, ample, `fail: SELECT 1 WHERE 1 = 0: no row, want "1"`},
		{"NULL", Config{Question: access.Question{Query: "SELECT name FROM shop.goods WHERE id = 2", Expect: "NULL"}}, ample, "pass"},
		{"a table that is not there", Config{Question: access.Question{Query: "SELECT 1 FROM shop.gone"}}, ample, "fail: SELECT 1 FROM shop.gone: error 1146: Table 'shop.gone' doesn't exist"},
		{"a query that is none", Config{Question: access.Question{Query: "SELCT 1"}}, ample, "error: SELCT 1: error 1064: "},
		{"a table that the user may not read", Config{User: "bare", Question: access.Question{Query: "SELECT 1 FROM shop.goods"}}, ample, "error: SELECT 1 FROM shop.goods: error 1142: "},
		{"a slow query", Config{Question: access.Question{Query: "SELECT SLEEP(300)"}}, soon, "fail: SELECT SLEEP(300): no answer in time"},
		{"no privilege to see the replication", Config{User: "bare", Role: "reader"}, ample, "error: ask for the replication: error 1227: "},
		{"no replica", Config{Role: "reader"}, ample, "fail: no replication is configured, want a replica"},
		{"no Galera", Config{Galera: &Galera{}}, ample, "fail: galera: the server is in no cluster"},
	} {
		got := checked(t, m.Address, as(tt.config), tt.timeout)
		if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := checked(t, netip.AddrPort{}, as(Config{Address: "localhost", Port: m.Address.Port()}), ample); !strings.HasPrefix(got, "fail: dial tcp ") {
		t.Errorf("a name, behind which nobody listens: %s", got)
	}
	if got := checked(t, netip.AddrPort{}, as(Config{Address: m.Address.String()}), ample); got != "pass" {
		t.Errorf("a check of the node itself: %s, want pass", got)
	}
	if got := checked(t, netip.AddrPort{}, as(Config{Address: m.Socket}), ample); got != "pass" {
		t.Errorf("by its socket: %s, want pass", got)
	}
}

func overTLS(t *testing.T, m *servers.MariaDB) {
	encrypted := Config{Question: access.Question{Query: "SELECT VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'", Expect: "1"}}
	for _, tt := range []struct {
		name string
		tls  *tlsclient.Options
		want string
	}{
		{"a certificate for the address", &tlsclient.Options{CAFile: m.CA}, "pass"},
		{"for a name", &tlsclient.Options{CAFile: m.CA, ServerName: "db.example"}, "pass"},
		{
			"for another name", &tlsclient.Options{CAFile: m.CA, ServerName: "db.example.org"},
			"fail: log in as vipward: tls: failed to verify certificate: x509: certificate is valid for db.example, not db.example.org",
		},
		{"that nobody vouches for", &tlsclient.Options{}, "fail: log in as vipward: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"that is not looked at", &tlsclient.Options{Insecure: true}, "pass"},
	} {
		c := encrypted
		c.TLS = tt.tls
		if got := checked(t, m.Address, as(c), ample); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func writer(t *testing.T, m *servers.MariaDB) {
	if got := checked(t, m.Address, as(Config{Role: "writer", ReadOnly: "off"}), ample); got != "pass" {
		t.Errorf("a writer: %s, want pass", got)
	}
	m.Do("SET GLOBAL read_only = 1")
	defer m.Do("SET GLOBAL read_only = 0")
	if got := checked(t, m.Address, as(Config{Role: "writer"}), ample); got != "fail: read_only is ON, want a writer" {
		t.Errorf("a writer that is read-only: %s", got)
	}
	result := plugintest.Checker(t, "mysql", check).Config(`{"user": "vipward", "password": "` + password + `", "read_only": "on"}`)
	result.Against(m.Address.String()).Pass().Value("read_only", 1).Value("max_connections", 20)
}

func manyConnections(t *testing.T, m *servers.MariaDB) {
	for range 18 {
		defer m.Open().Close()
	}
	eventually(t, "full", m, as(Config{MaxShare: 90}), "fail: 19 of 20 connections are in use, more than 90 %")
	for range 2 {
		defer m.Open().Close()
	}
	eventually(t, "more than full", m, as(Config{}), "fail: log in as vipward: error 1040: Too many connections")
}

// leavesNothing looks at what the server itself counts, also of the slow query, which the server gives up.
func leavesNothing(t *testing.T, m *servers.MariaDB) {
	for range 10 {
		if got := checked(t, m.Address, as(Config{Question: access.Question{Query: "SELECT 1"}, Role: "writer"}), ample); got != "pass" {
			t.Fatalf("check = %s, want pass", got)
		}
	}
	m.Until("left alone", func() error {
		conn := m.Open()
		defer conn.Close()
		var n int
		err := conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'vipward'").Scan(&n)
		if err != nil || n > 0 {
			return fmt.Errorf("%d connections of the checker are open (%v)", n, err)
		}
		return nil
	})
}

func replication(t *testing.T, m *servers.MariaDB) {
	second := servers.StartMariaDB(t, "127.33.6.2", "--server-id=2", "--log-bin")
	r := servers.StartMariaDB(t, "127.33.6.3", "--server-id=3", "--read-only", "--slave-net-timeout=60", "--gtid-domain-id=3")
	users(second)
	users(r)
	follow := func(name string, source *servers.MariaDB, user string) {
		r.Do(fmt.Sprintf("CHANGE MASTER '%s' TO MASTER_HOST = '%s', MASTER_PORT = %d, MASTER_USER = '%s', MASTER_PASSWORD = '%s', MASTER_CONNECT_RETRY = 1",
			name, source.Address.Addr(), source.Address.Port(), user, password), "START SLAVE '"+name+"'")
	}
	reader := as(Config{Role: "reader", MaxLag: 5 * time.Second})
	follow("", m, "repl")
	eventually(t, "a replica", r, reader, "pass")

	r.Do("STOP SLAVE SQL_THREAD")
	eventually(t, "stopped by an operator", r, reader, "fail: replication stopped: SQL thread No")
	r.Do("START SLAVE")
	eventually(t, "a replica again", r, reader, "pass")

	lagging(t, m, r, reader)

	follow("two", second, "repl")
	eventually(t, "a replica of two", r, reader, "pass")
	second.Kill()
	lost := as(Config{Role: "reader", OnSourceLoss: "warn"})
	r.Until("without one of its sources", func() error {
		want := fmt.Sprintf(`: replication "two" is not connected to %s: IO thread Connecting: error 2003: error reconnecting to master`, second.Address)
		fail, warn := checked(t, r.Address, reader, ample), checked(t, r.Address, lost, ample)
		if !strings.HasPrefix(fail, "fail"+want) || !strings.HasPrefix(warn, "warn"+want) {
			return fmt.Errorf("the checks say %s and %s, want %s", fail, warn, want)
		}
		return nil
	})
	r.Do("STOP SLAVE 'two'", "RESET SLAVE 'two' ALL")

	refused(t, m, r, reader)
}

// lagging holds the replica up at a row, and lets time pass in it.
func lagging(t *testing.T, m, r *servers.MariaDB, reader Config) {
	holder := r.Open()
	for _, s := range []string{"BEGIN", "SELECT * FROM shop.goods WHERE id = 1 FOR UPDATE"} {
		if _, err := holder.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	source := m.Open()
	defer source.Close()
	for _, s := range []string{"SET SESSION binlog_format = 'ROW'", "UPDATE shop.goods SET name = 'green tea' WHERE id = 1"} {
		if _, err := source.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	strict := reader
	strict.MaxLag = time.Second
	r.Until("behind", func() error {
		if got := checked(t, r.Address, strict, ample); !strings.HasPrefix(got, "fail: replication lags ") || !strings.HasSuffix(got, " behind, limit 1s") {
			return fmt.Errorf("the check says %s", got)
		}
		return nil
	})
	if _, err := holder.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	holder.Close()
	eventually(t, "abreast", r, reader, "pass")
}

// refused has the source refuse the replica, and then the replica fail at an event.
func refused(t *testing.T, m, r *servers.MariaDB, reader Config) {
	r.Do("STOP SLAVE", "CHANGE MASTER TO MASTER_PASSWORD = 'wrong'", "START SLAVE")
	r.Until("refused", func() error {
		want := fmt.Sprintf("fail: replication is not connected to %s: IO thread Connecting: error 1045: ", m.Address)
		if got := checked(t, r.Address, reader, ample); !strings.HasPrefix(got, want) || !strings.Contains(got, "Access denied for user 'repl'@'127.0.0.1'") {
			return fmt.Errorf("the check says %s, want %s", got, want)
		}
		return nil
	})
	r.Do("STOP SLAVE", "CHANGE MASTER TO MASTER_PASSWORD = '"+password+"'", "START SLAVE", "INSERT INTO shop.goods VALUES (7, 'here')")
	conn := m.Open()
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "INSERT INTO shop.goods VALUES (7, 'there')"); err != nil {
		t.Fatal(err)
	}
	r.Until("broken", func() error {
		got := checked(t, r.Address, reader, ample)
		if !strings.HasPrefix(got, "fail: replication stopped: SQL thread No: error 1062: ") || !strings.Contains(got, "Duplicate entry '7'") {
			return fmt.Errorf("the check says %s", got)
		}
		return nil
	})
}

// pausedAndKilled comes last: the server does not live through it.
func pausedAndKilled(t *testing.T, m *servers.MariaDB) {
	m.Pause()
	if got := checked(t, m.Address, as(Config{}), soon); got != "fail: log in as vipward: no answer in time" {
		t.Errorf("a paused server: %s", got)
	}
	m.Resume()
	eventually(t, "back", m, as(Config{}), "pass")
	m.Kill()
	if got, want := checked(t, m.Address, as(Config{}), ample), "fail: dial tcp "+m.Address.String()+": connect: connection refused"; got != want {
		t.Errorf("a killed server: %s, want %s", got, want)
	}
}

func TestAgainstGalera(t *testing.T) {
	addr := "127.33.6.4"
	group := servers.FreePort(t, addr)
	m := servers.StartMariaDB(t, addr, "--wsrep-on=ON", "--wsrep-provider="+servers.GaleraProvider(t), "--wsrep-cluster-address=gcomm://",
		"--wsrep-new-cluster", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-node-address="+addr,
		fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://%s;gcache.size=1M", group))
	m.Do("CREATE USER vipward IDENTIFIED BY '" + password + "'")
	eventually(t, "synced", m, as(Config{Galera: &Galera{}, Role: "writer"}), "pass")
	eventually(t, "small", m, as(Config{Galera: &Galera{MinSize: 2}}), "fail: galera: the cluster has 1 nodes, want at least 2")
	m.Do("SET GLOBAL wsrep_desync = ON")
	eventually(t, "desynced", m, as(Config{Galera: &Galera{}}), "fail: galera: the state is Donor/Desynced (2), want Synced (4)")
	eventually(t, "desynced, which is fine", m, as(Config{Galera: &Galera{Donor: true}}), "pass")
	m.Do("SET GLOBAL wsrep_desync = OFF")
	eventually(t, "synced again", m, as(Config{Galera: &Galera{}}), "pass")
}
