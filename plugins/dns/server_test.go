//go:build servers

package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/tests/servers"
)

func TestANameServer(t *testing.T) {
	records := []string{
		"example.test. SOA ns.example.test. root.example.test. 7 3600 600 86400 300", "example.test. NS ns.example.test.",
		"example.test. MX 10 mail.example.test.", `example.test. TXT "v=spf1 -all"`,
		"www.example.test. A 192.0.2.80", "www.example.test. A 192.0.2.81", "www.example.test. AAAA 2001:db8::80",
		"_ldap._tcp.example.test. SRV 0 5 389 ldap.example.test.",
	}
	for n := range 60 { // more than 512 bytes
		records = append(records, fmt.Sprintf("many.example.test. A 198.51.100.%d", n))
	}
	u := servers.StartUnbound(t, records...)
	address := u.Address.String()
	const www = `"name": "www.example.test", "type": "A"`
	for _, tt := range []struct{ name, config, want string }{
		{"two addresses", www + `, "answers": ["192.0.2.81", "192.0.2.80"]`, "pass"},
		{"by TCP", www + `, "answers": ["192.0.2.81", "192.0.2.80"], "protocol": "tcp"`, "pass"},
		{"an authority", www + `, "authoritative": true`, "pass"},
		{"IPv6", `"name": "WWW.example.test.", "type": "AAAA", "answers": ["2001:db8:0::80"]`, "pass"},
		{"SOA", `"name": "example.test", "answer_regexp": "^ns\\.example\\.test root\\.example\\.test 7 "`, "pass"},
		{"NS", `"name": "example.test", "type": "NS", "answers": ["ns.example.test."]`, "pass"},
		{"MX", `"name": "example.test", "type": "MX", "answers": ["10 mail.example.test"]`, "pass"},
		{"TXT", `"name": "example.test", "type": "TXT", "answers": ["v=spf1 -all"]`, "pass"},
		{"SRV", `"name": "_ldap._tcp.example.test", "type": "SRV", "answers": ["0 5 389 ldap.example.test"]`, "pass"},
		{"an answer that does not fit into UDP", `"name": "many.example.test", "type": "A", "min_answers": 60, "max_answers": 60`, "pass"},
		{
			"which is not what is expected", `"name": "many.example.test", "type": "A", "max_answers": 5`,
			"fail: A many.example.test by TCP, since it does not fit into UDP: 60 records, want at most 5: ",
		},
		{"another address", www + `, "answers": ["192.0.2.1"]`, "fail: A www.example.test by UDP: 192.0.2.80, 192.0.2.81, want 192.0.2.1"},
		{"a name that is not there", `"name": "gone.example.test", "type": "A"`, "fail: A gone.example.test by UDP: response code NXDOMAIN, want NOERROR"},
		{"a type that is not there", `"name": "www.example.test", "type": "MX", "min_answers": 1`, "fail: MX www.example.test by UDP: 0 records, want at least 1: no record"},
		{"a name that others know", `"name": "elsewhere.example.net", "type": "A"`, "fail: A elsewhere.example.net by UDP: response code SERVFAIL, want NOERROR"},
	} {
		got := checker(t, "{"+tt.config+"}").Against(address).String()
		if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	checker(t, fmt.Sprintf(`{%s, "address": %q}`, www, address)).Against("").Pass()
	if t.Failed() {
		return
	}
	u.Pause()
	for config, want := range map[string]string{
		`{` + www + `}`:                    "fail: A www.example.test by UDP: no answer in time",
		`{` + www + `, "protocol": "tcp"}`: "fail: A www.example.test by TCP: no answer in time",
	} {
		if got := checker(t, config).Timeout(500 * time.Millisecond).Against(address).String(); got != want {
			t.Errorf("a server that hangs: %s, want %s", got, want)
		}
	}
	u.Resume()
	checker(t, `{`+www+`}`).Against(address).Pass()
	u.Kill()
	for config, want := range map[string]string{
		`{` + www + `}`:                    "fail: A www.example.test by UDP: connection refused",
		`{` + www + `, "protocol": "tcp"}`: "fail: A www.example.test by TCP: dial tcp " + address + ": connect: connection refused",
	} {
		if got := checker(t, config).Against(address).String(); got != want {
			t.Errorf("a server that is gone: %s, want %s", got, want)
		}
	}
}

func TestConformance(t *testing.T) {
	checker(t, `{"name": "www.example.test", "type": "A"}`).Conformance()
}
