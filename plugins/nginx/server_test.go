//go:build servers

package nginx

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/tlsclient"
	"github.com/vipward/vipward/tests/servers"
)

// watched is a configuration that looks at everything of an nginx.
func watched(n *servers.Nginx) Config {
	return Config{
		URL: "http://" + n.Plain.String() + "/nginx_status", PIDFile: n.PIDFile(), Listen: []netip.AddrPort{n.Plain, n.Secure},
		TestConfig: true, TestCommand: append(n.Command(), "-t", "-q"),
	}
}

// restarting allows it to be restarted by a command.
func restarting(t *testing.T, c Config, command ...string) Config {
	c.Restart = &Restart{Command: command, StateDir: t.TempDir()}
	return c
}

func TestAgainstNginx(t *testing.T) {
	n := servers.StartNginx(t)
	with := func(edit func(*Config)) Config {
		c := watched(n)
		edit(&c)
		return c
	}
	at := func(a netip.AddrPort, page string) string { return "http://" + a.String() + page }
	refused, silent, strange := servers.Refusing(t), servers.Silent(t), servers.Saying(t, "SSH-2.0-OpenSSH_9.2\r\n")
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		config  Config
		want    string
	}{
		{"well", enough, watched(n), "pass"},
		{"another page", enough, with(func(c *Config) { c.URL = at(n.Plain, "/") }), "fail: GET " + at(n.Plain, "/") + `: no page of stub_status: "hello\n"`},
		{"a page for others", enough, with(func(c *Config) { c.URL = at(n.Plain, "/private") }), "fail: GET " + at(n.Plain, "/private") + ": status 401, want 200: is stub_status allowed there?"},
		{"too slow", time.Second, with(func(c *Config) { c.URL = at(n.Plain, "/slow") }), "fail: GET " + at(n.Plain, "/slow") + ": no answer in time"},
		{"nobody there", enough, with(func(c *Config) { c.URL = at(refused, "/") }), "fail: GET " + at(refused, "/") + ": dial tcp " + refused.String() + ": connect: connection refused"},
		{"half-open", time.Second, with(func(c *Config) { c.URL = at(silent, "/") }), "fail: GET " + at(silent, "/") + ": no answer in time"},
		{"garbage", enough, with(func(c *Config) { c.URL = at(strange, "/") }), "fail: GET " + at(strange, "/") + `: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		{"a port without a listener", enough, with(func(c *Config) { c.Listen = append(c.Listen, refused) }), "fail: listen " + refused.String() + ": dial tcp " + refused.String() + ": connect: connection refused"},
		{"by HTTPS", enough, with(func(c *Config) {
			c.URL, c.TLS = "https://"+n.Secure.String()+"/nginx_status", &tlsclient.Options{CAFile: n.Cert.Cert}
		}), "pass"},
		{"by HTTPS with a certificate that has expired", enough, with(func(c *Config) {
			c.URL, c.TLS = "https://"+n.Expired.String()+"/nginx_status", &tlsclient.Options{CAFile: n.Dir + "/expired/cert.pem"}
		}), "fail: GET https://" + n.Expired.String() + "/nginx_status: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: "},
	} {
		got := checked(t, tt.timeout, configured(t, tt.config))
		if open := strings.HasSuffix(tt.want, " "); got != tt.want && (!open || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTooManyActiveConnections(t *testing.T) {
	n := servers.StartNginx(t)
	c := watched(n)
	c.MaxActive = 5
	c = configured(t, restarting(t, c, "/bin/false"))
	if got := checked(t, enough, c); got != "pass" {
		t.Errorf("few connections: %s, want pass", got)
	}
	for range 20 {
		conn, err := net.Dial("tcp", n.Plain.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	n.Until("counting the connections", func() error { // it accepts them when it comes to it
		got := checked(t, enough, c)
		if !strings.HasPrefix(got, "fail: 2") || !strings.HasSuffix(got, " active connections, more than max_active, 5") {
			return net.UnknownNetworkError(got)
		}
		return nil
	})
	if c.state.restarter.current != nil {
		t.Error("nginx was restarted for being busy")
	}
}

func TestAKilledNginxIsRestartedOnce(t *testing.T) {
	n := servers.StartNginx(t)
	n.EndsWithTheTest(t)
	c := configured(t, restarting(t, watched(n), n.Command()...))
	if got := checked(t, enough, c); got != "pass" {
		t.Fatalf("well: %s, want pass", got)
	}
	master := strconv.Itoa(n.Pid())
	n.Kill()
	dir := n.Dir
	expect(t, "killed", said(t, enough, dir, c), "warn: restarted at TIME, since process "+master+" of pid_file DIR/nginx.pid does not run")
	expect(t, "restarted", said(t, enough, dir, c), "pass")
	text, err := os.ReadFile(n.PIDFile())
	if err != nil {
		t.Fatal(err)
	}
	again := strings.TrimSpace(string(text))
	pid, err := strconv.Atoi(again)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil { // the group of the nginx that the restart has started
		t.Fatal(err)
	}
	n.Kill() // waits until its ports are closed
	expect(t, "killed again", said(t, enough, dir, c),
		"fail: process "+again+" of pid_file DIR/nginx.pid does not run; not restarted: per_hour, 1, is reached, the last restart was at TIME")
}

// The workers of a master that was killed go on serving, so that only the pid_file tells.
func TestAKilledMasterIsSeen(t *testing.T) {
	n := servers.StartNginx(t)
	c := configured(t, watched(n))
	if err := syscall.Kill(n.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n.Ended()
	t.Cleanup(func() { _ = syscall.Kill(-n.Pid(), syscall.SIGKILL) }) // the workers, whose group bears the master's number
	expect(t, "without its master", said(t, enough, n.Dir, c), "fail: process "+strconv.Itoa(n.Pid())+" of pid_file DIR/nginx.pid does not run")
}

func TestABrokenConfigurationOfNginx(t *testing.T) {
	n := servers.StartNginx(t)
	n.EndsWithTheTest(t)
	const why = `the configuration is broken: unknown directive "lsten" in DIR/nginx.conf:1`
	mend := n.Break(t)
	c := configured(t, restarting(t, watched(n), n.Command()...))
	expect(t, "while it serves", said(t, enough, n.Dir, c), "warn: "+why)
	master := strconv.Itoa(n.Pid())
	n.Kill()
	dead := "fail: process " + master + " of pid_file DIR/nginx.pid does not run"
	expect(t, "killed", said(t, enough, n.Dir, c), dead+"; not restarted: "+why)
	expect(t, "killed, without a restart", said(t, enough, n.Dir, configured(t, watched(n))), dead+"; "+why)
	mend()
	expect(t, "mended", said(t, enough, n.Dir, c), "warn: restarted at TIME, since process "+master+" of pid_file DIR/nginx.pid does not run")
}

func TestARestartThatHangs(t *testing.T) {
	n := servers.StartNginx(t)
	dir := t.TempDir()
	hanging := script(t, dir, "echo waiting for the network; sleep 600 & wait")
	c := restarting(t, watched(n), hanging...)
	c.Restart.Timeout = 3 * time.Second
	c = configured(t, c)
	master := strconv.Itoa(n.Pid())
	n.Kill()
	dead := "process " + master + " of pid_file DIR/nginx.pid does not run"
	got := said(t, time.Second, n.Dir, c)
	if !strings.HasPrefix(got, "error: "+dead+"; restarting it since ") || !strings.HasSuffix(got, ", for 3s at most") {
		t.Errorf("while the restart hangs: %s", got)
	}
	want := "fail: " + dead + `; restarted at TIME by "` + hanging[0] + `": it did not end within 3s and was killed: waiting for the network, which did not help`
	expect(t, "when it was killed", said(t, enough, n.Dir, c), want)
	expect(t, "later", said(t, enough, n.Dir, c), want)
}

func TestConformance(t *testing.T) {
	text, err := json.Marshal(map[string]any{"url": "http://127.0.0.1/nginx_status", "max_active": 100})
	if err != nil {
		t.Fatal(err)
	}
	c := plugintest.Checker(t, "nginx", check).Config(string(text))
	c.Valid()
	c.Conformance()
}
