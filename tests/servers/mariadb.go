package servers

import (
	"database/sql"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"
)

// MariaDB is a server with a folder and an address of its own. Root has no password on its socket, which is at Socket.
type MariaDB struct {
	*Process
	Address netip.AddrPort
	Socket  string
	CA      string // certificate of the server, which vouches for itself

	t    testing.TB
	root *sql.DB
}

// StartMariaDB starts a server on an address of 127.0.0.0/8 that nobody else uses, with further options as --name=value.
func StartMariaDB(t testing.TB, addr string, options ...string) *MariaDB {
	t.Helper()
	a := accountOf(t, "mysql")
	dir := a.folder(t)
	data := filepath.Join(dir, "data")
	a.run(t, dir, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M")
	certificates := SelfSigned(t, dir, addr, "db.example")
	a.own(t, dir)
	m := &MariaDB{Address: FreePort(t, addr), Socket: filepath.Join(dir, "socket"), CA: certificates.Cert, t: t}
	args := append([]string{
		"--no-defaults", "--datadir=" + data, "--socket=" + m.Socket, "--pid-file=" + filepath.Join(dir, "pid"),
		"--bind-address=" + addr, "--port=" + strconv.Itoa(int(m.Address.Port())), "--skip-name-resolve", "--innodb-log-file-size=4M",
		"--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0", "--innodb-fast-shutdown=2",
		"--ssl-cert=" + certificates.Cert, "--ssl-key=" + certificates.Key,
	}, options...)
	m.Process = Start(t, a.become(dir), "mariadbd", args...)
	var err error
	if m.root, err = sql.Open("mysql", "root@unix("+m.Socket+")/"); err != nil {
		t.Fatal(err)
	}
	m.root.SetMaxIdleConns(0) // it may be paused at any time, and counts its connections
	t.Cleanup(func() { _ = m.root.Close() })
	m.Until("ready", func() error { return m.root.PingContext(t.Context()) })
	return m
}

// Do runs statements as root, without telling replicas.
func (m *MariaDB) Do(statements ...string) {
	m.t.Helper()
	conn, err := m.root.Conn(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close()
	for _, s := range append([]string{"SET SESSION sql_log_bin = 0"}, statements...) {
		if _, err := conn.ExecContext(m.t.Context(), s); err != nil {
			m.t.Fatalf("%s: %v", s, err)
		}
	}
}

// Open is a connection as root, for what needs one that stays. Close it.
func (m *MariaDB) Open() *sql.Conn {
	m.t.Helper()
	conn, err := m.root.Conn(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return conn
}

// GaleraProvider is the library that makes a server a node of a cluster.
func GaleraProvider(t testing.TB) string {
	t.Helper()
	const file = "/usr/lib/galera/libgalera_smm.so"
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%v (make deps installs what the tests need)", err)
	}
	return file
}
