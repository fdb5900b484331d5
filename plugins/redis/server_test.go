//go:build servers

package redis

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/tlsclient"
	"github.com/vipward/vipward/tests/servers"
)

const password = "correct horse"

// eventually waits until a check says what is wanted, or begins with it where that ends with an ellipsis.
func eventually(t *testing.T, what string, r *servers.Redis, c Config, want string) {
	t.Helper()
	r.Until(what, func() error {
		got := checked(t, r.Address, c, ample)
		if start, ok := strings.CutSuffix(want, "…"); got != want && !(ok && strings.HasPrefix(got, start)) {
			return fmt.Errorf("the check says %s, want %s", got, want)
		}
		return nil
	})
}

func TestAgainstRedis(t *testing.T) {
	r := servers.StartRedis(t, "127.33.8.1", "--repl-ping-replica-period", "1")
	r.Do("ACL", "SETUSER", "vipward", "on", ">"+password, "+ping", "+info")
	r.Do("ACL", "SETUSER", "bare", "on", ">"+password, "+ping")
	t.Run("what it answers", func(t *testing.T) { answers(t, r) })
	t.Run("over TLS", func(t *testing.T) { overTLS(t, r) })
	t.Run("that is busy", func(t *testing.T) { busy(t, r) })
	t.Run("with too many clients", func(t *testing.T) { full(t, r) })
	t.Run("the suite of vipward plugin test", func(t *testing.T) {
		plugintest.Checker(t, "redis", check, summary()).Config(`{"user": "vipward", "password": "` + password + `", "role": "master"}`).Conformance()
	})
	t.Run("replication", func(t *testing.T) { replication(t, r) })
}

func answers(t *testing.T, r *servers.Redis) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		config Config
		want   string
	}{
		{"a PING", Config{}, "pass"},
		{"a login", Config{User: "vipward", Password: password}, "pass"},
		{"with a password from a file", Config{User: "vipward", PasswordFile: file}, "pass"},
		{"the wrong password", Config{User: "vipward", Password: "wrong"}, "error: AUTH: WRONGPASS invalid username-password pair or user is disabled."},
		{"no such user", Config{User: "nobody", Password: password}, "error: AUTH: WRONGPASS invalid username-password pair or user is disabled."},
		{
			"a password that nobody asks for",
			Config{Password: sdk.Secret(password)},
			"error: AUTH: ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
		},
		{"a master", Config{User: "vipward", Password: password, Role: "master"}, "pass"},
		{"no replica", Config{Role: "replica"}, "fail: the server is a master, want a replica"},
		{"a user without a privilege", Config{User: "bare", Password: password, Role: "master"}, "error: INFO: NOPERM this user has no permissions to run the 'info' command"},
	}
	for _, tt := range cases {
		if got := checked(t, r.Address, tt.config, ample); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	r.Do("CONFIG", "SET", "requirepass", password)
	if got := checked(t, r.Address, Config{Password: password, Role: "master"}, ample); got != "pass" {
		t.Errorf("the password of the default user: %s, want pass", got)
	}
	if got := checked(t, r.Address, Config{}, ample); got != "error: PING: NOAUTH Authentication required." {
		t.Errorf("no password: %s", got)
	}
	r.Do("--no-auth-warning", "-a", password, "CONFIG", "SET", "requirepass", "")
	if got := checked(t, netip.AddrPort{}, Config{Address: r.Address.String()}, ample); got != "pass" {
		t.Errorf("a check of the node itself: %s, want pass", got)
	}
	if got := checked(t, netip.AddrPort{}, Config{Address: r.Socket}, ample); got != "pass" {
		t.Errorf("by its socket: %s, want pass", got)
	}
}

func overTLS(t *testing.T, r *servers.Redis) {
	for _, tt := range []struct {
		name string
		tls  *tlsclient.Options
		want string
	}{
		{"a certificate for the address", &tlsclient.Options{CAFile: r.Cert}, "pass"},
		{"for a name", &tlsclient.Options{CAFile: r.Cert, ServerName: "db.example"}, "pass"},
		{
			"for another name", &tlsclient.Options{CAFile: r.Cert, ServerName: "db.example.org"},
			"fail: TLS: failed to verify certificate: x509: certificate is valid for db.example, not db.example.org",
		},
		{"that nobody vouches for", &tlsclient.Options{}, "fail: TLS: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"that is not looked at", &tlsclient.Options{Insecure: true}, "pass"},
	} {
		if got := checked(t, r.TLS, Config{TLS: tt.tls}, ample); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := checked(t, r.Address, Config{TLS: &tlsclient.Options{}}, soon); !strings.HasPrefix(got, "fail: TLS: ") {
		t.Errorf("TLS with a port that speaks none: %s", got)
	}
	r.Do("CONFIG", "SET", "tls-auth-clients", "yes")
	defer r.Do("CONFIG", "SET", "tls-auth-clients", "optional")
	if got := checked(t, r.TLS, Config{TLS: &tlsclient.Options{CAFile: r.Cert, CertFile: r.Cert, KeyFile: r.Key}}, ample); got != "pass" {
		t.Errorf("with a certificate of its own: %s, want pass", got)
	}
	// In TLS 1.3 the server looks at it after the handshake of the client, which may see the connection end before it sees why.
	got := checked(t, r.TLS, Config{TLS: &tlsclient.Options{CAFile: r.Cert}}, ample)
	if got != "fail: PING: remote error: tls: certificate required" && got != "fail: PING: the server closed the connection" {
		t.Errorf("without one: %s", got)
	}
}

// busy has a script run that does not end, and then the server do nothing at all.
func busy(t *testing.T, r *servers.Redis) {
	r.Do("CONFIG", "SET", "busy-reply-threshold", "5")
	r.Begin("EVAL", "while true do end", "0")
	eventually(t, "busy", r, Config{}, "fail: PING: BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")
	r.Do("SCRIPT", "KILL")
	eventually(t, "idle", r, Config{}, "pass")

	r.Pause()
	if got := checked(t, r.Address, Config{}, soon); got != "fail: PING: no answer in time" {
		t.Errorf("a paused server: %s", got)
	}
	r.Resume()
	eventually(t, "back", r, Config{}, "pass")
}

func full(t *testing.T, r *servers.Redis) {
	r.Begin("SUBSCRIBE", "nothing") // takes the one place
	r.Until("subscribed", func() error {
		if channels := r.Do("PUBSUB", "CHANNELS"); !strings.Contains(channels, "nothing") {
			return fmt.Errorf("the channels are %q", channels)
		}
		return nil
	})
	r.Do("CONFIG", "SET", "maxclients", "1")
	eventually(t, "full", r, Config{User: "vipward", Password: password}, "fail: AUTH: ERR max number of clients reached")
	eventually(t, "full", r, Config{}, "fail: PING: ERR max number of clients reached")
}

// replication comes last: the master does not live through it.
func replication(t *testing.T, full *servers.Redis) {
	full.Kill()
	m := servers.StartRedis(t, "127.33.8.2", "--repl-ping-replica-period", "1")
	r := servers.StartRedis(t, "127.33.8.3", "--repl-timeout", "3")
	m.Do("SET", "goods", "tea")
	r.Do("REPLICAOF", m.Address.Addr().String(), fmt.Sprint(m.Address.Port()))
	replica := Config{Role: "replica", MaxLag: 30 * time.Second}
	eventually(t, "a replica", r, replica, "pass")
	eventually(t, "no master", r, Config{Role: "master"}, "fail: the server is a replica of "+m.Address.String()+", want a master")
	plugintest.Checker(t, "redis", check).Config(`{"role": "master"}`).Against(m.Address.String()).Pass().Value("replicas", 1)

	m.Pause()
	eventually(t, "without a word", r, Config{Role: "replica", MaxLag: time.Second}, "fail: the replica has not heard of its master "+m.Address.String()+" for …")
	eventually(t, "cut off", r, replica, "fail: the link to the master "+m.Address.String()+" is down since …")
	m.Resume()
	eventually(t, "a replica again", r, replica, "pass")

	m.Kill()
	if got, want := checked(t, m.Address, Config{}, ample), "fail: dial tcp "+m.Address.String()+": connect: connection refused"; got != want {
		t.Errorf("a killed server: %s, want %s", got, want)
	}
	eventually(t, "without its master", r, replica, "fail: the link to the master "+m.Address.String()+" is down since …")
	eventually(t, "which may be", r, Config{Role: "replica", OnSourceLoss: "warn"}, "warn: the link to the master "+m.Address.String()+" is down since …")
	r.Do("REPLICAOF", "NO", "ONE")
	eventually(t, "promoted", r, Config{Role: "master"}, "pass")
}
