//go:build servers

package http

import (
	"context"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/tlsclient"
	"github.com/vipward/vipward/tests/servers"
)

// against is one run of at most a minute, or of a time for what must come to nothing.
func against(t *testing.T, address netip.AddrPort, timeout time.Duration, c Config) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return check(ctx, sdk.Target{Address: address}, configured(t, c)).String()
}

const enough = time.Minute

func TestAgainstNginx(t *testing.T) {
	n := servers.StartNginx(t)
	trusted := func() *tlsclient.Checked { return &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert}} }
	named := func() *tlsclient.Checked {
		return &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert, ServerName: "www.example.com"}}
	}
	const hello5 = "b1946ac92492d2347c6235b4d2611184" // of "hello\n"
	for _, tt := range []struct {
		name    string
		address netip.AddrPort
		config  Config
		want    string
	}{
		{"a page", n.Plain, Config{}, "pass"},
		{"its digest", n.Plain, Config{Digest: hello5}, "pass"},
		{"another digest", n.Plain, Config{Path: "/json", Digest: hello5}, "fail: GET /json: digest c351453cc1c74e07233c59cb54572fa4, want " + hello5},
		{"its body", n.Plain, Config{Body: "^hello\n$", BodyAbsent: "sorry"}, "pass"},
		{"another body", n.Plain, Config{Body: "^bye"}, "fail: GET /: the body does not match ^bye"},
		{"a status", n.Plain, Config{Path: "/sorry"}, "fail: GET /sorry: status 503, want 200-299"},
		{"a status that is wanted", n.Plain, Config{Path: "/sorry", Status: []string{"503"}}, "pass"},
		{"a page that is not there", n.Plain, Config{Path: "/nginx.conf.old/", Status: []string{"404"}}, "fail: GET /nginx.conf.old/: status 200, want 404"},
		{"JSON", n.Plain, Config{Path: "/json", JSON: map[string]string{"status": "UP", "nodes.0.name": "a"}}, "pass"},
		{"another value", n.Plain, Config{Path: "/json", JSON: map[string]string{"status": "DOWN"}}, `fail: GET /json: JSON status is "UP", want "DOWN"`},
		{"a user", n.Plain, Config{Path: "/private", Username: "u", Password: "p"}, "pass"},
		{"no user", n.Plain, Config{Path: "/private"}, "fail: GET /private: status 401, want 200-299"},
		{"a wrong password", n.Plain, Config{Path: "/private", Username: "u", Password: "geheim"}, "fail: GET /private: status 401, want 200-299"},
		{"a redirect", n.Plain, Config{Path: "/moved"}, "fail: GET /moved: status 302, want 200-299"},
		{"a redirect that is followed", n.Plain, Config{Path: "/moved", Follow: "1", Body: "^www.example.com HTTP/1.1 GET$"}, "pass"},
		{"HTTP/1.0", n.Plain, Config{Path: "/host", HTTP: "1.0", Host: "a.example.com", Body: "^a.example.com HTTP/1.0 GET$"}, "pass"},
		{"HTTP/2 where it is not spoken", n.Plain, Config{HTTP: "2"}, "fail: GET /: "},
		{"HTTPS by address", n.Secure, Config{TLS: trusted()}, "pass"},
		{"HTTPS by name, and HTTP/2", n.Secure, Config{Path: "/host", Host: "www.example.com", TLS: trusted(), Body: "^www.example.com HTTP/2.0 GET$"}, "pass"},
		{"HTTP/1.1 over TLS", n.Secure, Config{Path: "/host", HTTP: "1.1", TLS: trusted(), Body: " HTTP/1.1 "}, "pass"},
		{"HTTP/2 over TLS where it is not spoken", n.Mutual, Config{HTTP: "2", TLS: trusted()}, "fail: GET /: "},
		{
			"a certificate for another name", n.Secure,
			Config{Host: "www.example.org", TLS: trusted()},
			"fail: GET /: tls: failed to verify certificate: x509: certificate is valid for www.example.com, not www.example.org",
		},
		{"a server name apart from the host", n.Secure, Config{Path: "/host", Host: "www.example.org", TLS: named(), Body: "^www.example.org"}, "pass"},
		{
			"a certificate that nobody vouches for", n.Secure,
			Config{TLS: &tlsclient.Checked{}},
			"fail: GET /: tls: failed to verify certificate: x509: certificate signed by unknown authority",
		},
		{"that is not looked at", n.Secure, Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{Insecure: true}}}, "pass"},
		{
			"a certificate that has expired", n.Expired,
			Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Dir + "/expired/cert.pem"}}},
			"fail: GET /: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: ",
		},
		{
			"one that expires soon", n.Secure,
			Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert}, ExpiresWithin: 48 * time.Hour}},
			"warn: GET /: the certificate expires in 24 h, at ",
		},
		{"one that does not expire soon", n.Secure, Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert}, ExpiresWithin: time.Hour}}, "pass"},
		{"a client certificate", n.Mutual, Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert, CertFile: n.Cert.Cert, KeyFile: n.Cert.Key}}}, "pass"},
		{"no client certificate", n.Mutual, Config{TLS: trusted()}, "fail: GET /: status 400, want 200-299"},
		{
			"a wrong client certificate", n.Mutual,
			Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert, CertFile: n.Dir + "/expired/cert.pem", KeyFile: n.Dir + "/expired/key.pem"}}},
			"fail: GET /: status 400, want 200-299",
		},
		{"HTTP to a port of HTTPS", n.Secure, Config{}, "fail: GET /: status 400, want 200-299"},
		{"HTTPS to a port of HTTP", n.Plain, Config{TLS: trusted()}, "fail: GET /: tls: first record does not look like a TLS handshake"},
		{"several requests", n.Plain, Config{Requests: []Request{{Digest: hello5}, {Path: "/json", JSON: map[string]string{"status": "UP"}}, {Path: "/sorry"}}}, "fail: GET /sorry: status 503, want 200-299"},
	} {
		got := against(t, tt.address, enough, tt.config)
		if open := strings.HasSuffix(tt.want, " "); got != tt.want && (!open || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got, want := against(t, n.Plain, time.Second, Config{Path: "/slow"}), "fail: GET /slow: the answer broke off: no more came in time"; got != want {
		t.Errorf("a header that is too slow: %s, want %s", got, want)
	}
	if got := against(t, n.Plain, time.Second, Config{Path: "/long"}); !regexp.MustCompile(`^fail: GET /long: the body broke off after [0-9]+ bytes: no more came in time$`).MatchString(got) {
		t.Errorf("a page that is too slow: %s", got)
	}
}

func TestNginxThatHangsComesBackAndDies(t *testing.T) {
	n := servers.StartNginx(t)
	n.Pause()
	if got, want := against(t, n.Plain, time.Second, Config{}), "fail: GET /: connected, but no answer in time"; got != want {
		t.Errorf("paused: %s, want %s", got, want)
	}
	if got, want := against(t, n.Secure, time.Second, Config{TLS: &tlsclient.Checked{}}), "fail: GET /: connected, but no answer to the TLS handshake in time"; got != want {
		t.Errorf("paused, with TLS: %s, want %s", got, want)
	}
	n.Resume()
	if got := against(t, n.Plain, enough, Config{}); got != "pass" {
		t.Errorf("resumed: %s, want pass", got)
	}
	n.Kill()
	if got, want := against(t, n.Plain, enough, Config{}), "fail: GET /: dial tcp "+n.Plain.String()+": connect: connection refused"; got != want {
		t.Errorf("killed: %s, want %s", got, want)
	}
}

// The digest of keepalived's own tool is the one that its configurations carry.
func TestTheDigestIsThatOfKeepalivedsTool(t *testing.T) {
	n := servers.StartNginx(t)
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	out, err := exec.CommandContext(ctx, "genhash", "-s", n.Plain.Addr().String(), "-p", strconv.Itoa(int(n.Plain.Port())), "-u", "/").CombinedOutput()
	digest := regexp.MustCompile(`[0-9a-f]{32}`).FindString(string(out))
	if digest == "" {
		t.Fatalf("genhash: %v: %s", err, out)
	}
	if got := against(t, n.Plain, enough, Config{Digest: digest}); got != "pass" {
		t.Errorf("check with the digest of genhash = %s, want pass", got)
	}
}

func TestConformance(t *testing.T) {
	c := plugintest.Checker(t, "http", check).Config(`{"body": "hello", "tls": {"insecure": true}}`)
	c.Valid()
	c.Conformance()
}
