package servers

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Postgres is a server with a folder and an address of its own. The user postgres has no password on its socket.
type Postgres struct {
	*Process
	Address netip.AddrPort
	Socket  string // path of the socket
	CA      string // certificate of the server, which vouches for itself

	t      testing.TB
	folder string
}

// StartPostgres starts a server on an address of 127.0.0.0/8 that nobody else uses, with further settings as "name=value".
func StartPostgres(t testing.TB, addr string, settings ...string) *Postgres {
	t.Helper()
	return startPostgres(t, addr, settings, func(a account, dir, data string) {
		a.run(t, dir, postgresCommand(t, "initdb"), "--pgdata="+data, "--username=postgres", "--auth=trust", "--no-sync",
			"--no-locale", "--encoding=UTF8", "--no-instructions")
		access := "local all all trust\nlocal replication all trust\nhost all all 127.0.0.0/8 scram-sha-256\n"
		if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(access), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// Standby starts a server that replicates from this one.
func (p *Postgres) Standby(addr string, settings ...string) *Postgres {
	p.t.Helper()
	return startPostgres(p.t, addr, settings, func(a account, dir, data string) {
		a.run(p.t, dir, postgresCommand(p.t, "pg_basebackup"), "--pgdata="+data, "--host="+p.folder,
			"--port="+strconv.Itoa(int(p.Address.Port())), "--username=postgres", "--write-recovery-conf", "--wal-method=stream",
			"--checkpoint=fast", "--no-sync")
	})
}

func startPostgres(t testing.TB, addr string, settings []string, fill func(a account, dir, data string)) *Postgres {
	t.Helper()
	a := accountOf(t, "postgres")
	dir := a.folder(t)
	data := filepath.Join(dir, "data")
	fill(a, dir, data)
	certificates := SelfSigned(t, dir, addr, "db.example")
	a.own(t, dir)
	address := FreePort(t, addr)
	port := strconv.Itoa(int(address.Port()))
	p := &Postgres{Address: address, Socket: filepath.Join(dir, ".s.PGSQL."+port), CA: certificates.Cert, t: t, folder: dir}
	args := []string{"-D", data}
	for _, s := range append([]string{
		"listen_addresses=" + addr, "port=" + port, "unix_socket_directories=" + dir, "fsync=off", "shared_buffers=16MB", "wal_level=replica",
		"password_encryption=scram-sha-256", "ssl=on", "ssl_cert_file=" + certificates.Cert, "ssl_key_file=" + certificates.Key,
	}, settings...) {
		args = append(args, "-c", s)
	}
	p.Process = Start(t, func(c *exec.Cmd) {
		a.become(dir)(c)
		c.SysProcAttr.Pdeathsig = syscall.SIGQUIT // it ends its children, which a signal to its group does not reach
	}, postgresCommand(t, "postgres"), args...)
	t.Cleanup(p.Kill)
	p.Until("ready", func() error {
		_, err := p.ask("SELECT 1")
		return err
	})
	return p
}

// postgresCommand is a command of the version that is installed.
func postgresCommand(t testing.TB, name string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s below /usr/lib/postgresql (make deps installs what the tests need)", name)
	}
	return found[len(found)-1]
}

// Kill ends the server and its children, which have groups of their own, without a checkpoint.
func (p *Postgres) Kill() {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGQUIT)
	p.wait()
}

// Connect is a connection as postgres by the socket. Close it.
func (p *Postgres) Connect() *pgconn.PgConn {
	p.t.Helper()
	conn, err := p.connect(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return conn
}

// Do runs a statement as postgres, and returns the first column of the first row.
func (p *Postgres) Do(statement string) string {
	p.t.Helper()
	answer, err := p.ask(statement)
	if err != nil {
		p.t.Fatalf("%s: %v", statement, err)
	}
	return answer
}

func (p *Postgres) connect(ctx context.Context) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, "host="+p.folder+" port="+strconv.Itoa(int(p.Address.Port()))+" user=postgres dbname=postgres sslmode=disable passfile=/dev/null")
}

func (p *Postgres) ask(statement string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := p.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, statement).ReadAll()
	if err != nil || len(results) == 0 || len(results[0].Rows) == 0 {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}
