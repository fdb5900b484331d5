//go:build servers

package smtp

import (
	"fmt"
	"testing"
	"time"

	"github.com/vipward/vipward/tests/servers"
)

func TestMailServers(t *testing.T) {
	m := servers.OpenSMTPD(t)
	plain, start, secure := m.Plain.String(), m.StartTLS.String(), m.TLS.String()
	ca := fmt.Sprintf(`"tls": {"ca_file": %q}`, m.CA)
	for _, tt := range []struct{ name, address, config, want string }{
		{"OpenSMTPD", plain, `{"banner": "^mail\\.example\\.org ESMTP OpenSMTPD", "extensions": ["SIZE", "ENHANCEDSTATUSCODES"]}`, "pass"},
		{"another banner", plain, `{"banner": "Postfix"}`, `fail: greeting: "mail.example.org ESMTP OpenSMTPD" does not match Postfix`},
		{"no STARTTLS", plain, `{"starttls": true}`, "fail: EHLO: the server has no STARTTLS"},
		{"no AUTH", plain, `{"extensions": ["AUTH"]}`, `fail: EHLO: the server has no AUTH, but "8BITMIME, ENHANCEDSTATUSCODES, SIZE, DSN, HELP"`},
		{"TLS where there is none", plain, `{"tls": {}}`, "fail: TLS: first record does not look like a TLS handshake"},
		{"STARTTLS", start, `{"starttls": true, "extensions": ["AUTH"], ` + ca + `}`, "pass"},
		{"AUTH only after STARTTLS", start, `{"extensions": ["AUTH"]}`, ""},
		{"STARTTLS with a certificate that nobody vouches for", start, `{"starttls": true}`, "fail: TLS: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"TLS from the beginning", secure, `{` + ca + `}`, "pass"},
		{
			"for another name", secure, fmt.Sprintf(`{"tls": {"ca_file": %q, "server_name": "mx.example.org"}}`, m.CA),
			"fail: TLS: failed to verify certificate: x509: certificate is valid for mail.example.org, not mx.example.org",
		},
	} {
		r := checker(t, tt.config).Against(tt.address)
		if tt.want == "" {
			r.Fail("EHLO: the server has no AUTH, but ")
		} else if got := r.String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	checker(t, fmt.Sprintf(`{"address": %q}`, plain)).Against("").Pass()
	m.Pause()
	for address, want := range map[string]string{plain: "fail: greeting: no answer in time", secure: "fail: TLS: no answer in time"} {
		config := `{}`
		if address == secure {
			config = `{` + ca + `}`
		}
		if got := checker(t, config).Timeout(500 * time.Millisecond).Against(address).String(); got != want {
			t.Errorf("a server that hangs: %s, want %s", got, want)
		}
	}
	m.Resume()
	checker(t, `{}`).Against(plain).Pass()
	m.Kill()
	if got, want := checker(t, `{}`).Against(plain).String(), "fail: dial tcp "+plain+": connect: connection refused"; got != want {
		t.Errorf("a server that is gone: %s, want %s", got, want)
	}
}

func TestConformance(t *testing.T) { checker(t, `{}`).Conformance() }
