package servers

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Redis is a server with a folder and an address of its own, without a disk.
type Redis struct {
	*Process
	Address netip.AddrPort
	TLS     netip.AddrPort // where it speaks TLS
	Socket  string
	Certificates

	t testing.TB
}

// StartRedis starts a server on an address of 127.0.0.0/8 that nobody else uses, with further options as on its command line.
func StartRedis(t testing.TB, addr string, options ...string) *Redis {
	t.Helper()
	a := accountOf(t, "redis")
	dir := a.folder(t)
	r := &Redis{Address: FreePort(t, addr), TLS: FreePort(t, addr), Socket: filepath.Join(dir, "socket"), t: t}
	r.Certificates = SelfSigned(t, dir, addr, "db.example")
	a.own(t, dir)
	port := func(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }
	args := append([]string{
		"--bind", addr, "--port", port(r.Address), "--tls-port", port(r.TLS), "--unixsocket", r.Socket, "--dir", dir, "--save", "",
		"--appendonly", "no", "--tls-cert-file", r.Cert, "--tls-key-file", r.Key, "--tls-ca-cert-file", r.Cert, "--tls-auth-clients", "optional",
		"--enable-debug-command", "local", "--repl-diskless-sync-delay", "0",
	}, options...)
	r.Process = Start(t, a.become(dir), "redis-server", args...)
	r.Until("ready", func() error {
		_, err := r.run("PING")
		return err
	})
	return r
}

// Do runs a command with redis-cli over the socket, as the default user without a password, and returns what it says.
func (r *Redis) Do(words ...string) string {
	r.t.Helper()
	out, err := r.run(words...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// Begin runs a command that does not come back soon, and does not wait for it. It ends with the test.
func (r *Redis) Begin(words ...string) {
	r.t.Helper()
	Start(r.t, nil, "redis-cli", append([]string{"-s", r.Socket}, words...)...)
}

func (r *Redis) run(words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-e", "-s", r.Socket}, words...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("redis-cli %v: %w: %s", words, err, out)
	}
	return string(out), nil
}
