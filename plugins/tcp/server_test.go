//go:build servers

package tcp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/tlsclient"
	"github.com/vipward/vipward/tests/servers"
)

func TestAgainstNginx(t *testing.T) {
	n := servers.StartNginx(t)
	trusted := func() *tlsclient.Checked { return &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert}} }
	const request = "GET / HTTP/1.0\r\n\r\n"
	for _, tt := range []struct {
		name    string
		address netip.AddrPort
		config  Config
		want    string
	}{
		{"a connection", n.Plain, Config{}, "pass"},
		{"that stays", n.Plain, Config{Stay: 100 * time.Millisecond}, "pass"},
		{"an answer", n.Plain, Config{Send: request, Expect: "200 OK"}, "pass"},
		{"an expression", n.Plain, Config{Send: request, ExpectRE: `(?s)^HTTP/1\.1 200 .*hello\n$`}, "pass"},
		{"a wrong answer", n.Plain, Config{Send: "GET /sorry HTTP/1.0\r\n\r\n", Expect: "200 OK"}, `fail: the answer "HTTP/1.1 503 Service Temporarily Unavailable\r\nServer: nginx/`},
		{"over TLS", n.Secure, Config{Send: request, Expect: "200 OK", TLS: trusted()}, "pass"},
		{
			"a certificate that has expired", n.Expired,
			Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Dir + "/expired/cert.pem"}}},
			"fail: TLS with ADDRESS: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: ",
		},
		{
			"one for another name", n.Secure,
			Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert, ServerName: "www.example.org"}}},
			"fail: TLS with ADDRESS: tls: failed to verify certificate: x509: certificate is valid for www.example.com, not www.example.org",
		},
		{
			"one that expires soon", n.Secure,
			Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert}, ExpiresWithin: 48 * time.Hour}},
			"warn: the certificate expires in 24 h, at ",
		},
		{
			"a client certificate", n.Mutual,
			Config{Send: request, Expect: "200 OK", TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: n.Cert.Cert, CertFile: n.Cert.Cert, KeyFile: n.Cert.Key}}},
			"pass",
		},
		{"no client certificate", n.Mutual, Config{Send: request, Expect: "200 OK", TLS: trusted()}, `fail: the answer "HTTP/1.1 400 Bad Request\r\nServer: nginx/`},
		{"TLS with a port that does not speak it", n.Plain, Config{TLS: trusted()}, "fail: TLS with ADDRESS: tls: first record does not look like a TLS handshake"},
	} {
		want := strings.ReplaceAll(tt.want, "ADDRESS", tt.address.String())
		got := checked(t, sdk.Target{Address: tt.address}, tt.config)
		if open := strings.HasSuffix(want, " ") || strings.HasSuffix(want, "/"); got != want && (!open || !strings.HasPrefix(got, want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
}

func TestNginxThatHangsAndDies(t *testing.T) {
	n := servers.StartNginx(t)
	target, c := sdk.Target{Address: n.Plain}, Config{Send: "GET / HTTP/1.0\r\n\r\n", Expect: "200 OK"}
	n.Pause()
	if got, want := checkedWithin(t, time.Second, target, c), `fail: connected, but no answer in time; want "200 OK"`; got != want {
		t.Errorf("paused: %s, want %s", got, want)
	}
	n.Resume()
	if got := checked(t, target, c); got != "pass" {
		t.Errorf("resumed: %s, want pass", got)
	}
	n.Kill()
	if got, want := checked(t, target, c), "fail: dial tcp "+n.Plain.String()+": connect: connection refused"; got != want {
		t.Errorf("killed: %s, want %s", got, want)
	}
}

func TestConformance(t *testing.T) {
	c := plugintest.Checker(t, "tcp", check).Config(`{"send": "hi\n", "expect": "hi"}`)
	c.Valid()
	c.Conformance()
}
