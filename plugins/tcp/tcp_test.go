package tcp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
)

// serve answers each connection with talk, until the test ends.
func serve(t *testing.T, l net.Listener, talk func(net.Conn)) sdk.Target {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				talk(conn)
			}()
		}
	}()
	return sdk.Target{Address: netip.MustParseAddrPort(l.Addr().String())}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func checked(t *testing.T, target sdk.Target, c Config) string {
	t.Helper()
	if err := errors.Join(c.Validate(), c.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	return check(ctx, target, c).String()
}

// greet greets, then echoes one line.
func greet(conn net.Conn) {
	_, _ = io.WriteString(conn, "220 mail ")
	_, _ = io.WriteString(conn, "ready\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil {
		_, _ = io.WriteString(conn, "you said "+line)
	}
}

func TestWhatTheTargetSaysIsCompared(t *testing.T) {
	target := serve(t, listen(t), greet)
	for _, tt := range []struct {
		name   string
		config Config
		want   string
	}{
		{"nothing to compare", Config{}, "pass"},
		{"a text of the greeting", Config{Expect: "mail ready"}, "pass"},
		{"an expression, not a text", Config{ExpectRE: `^220 .*\r\n`}, "pass"},
		{"dots of a text are dots", Config{Expect: "220.mail", Send: "x\n"}, `fail: the answer "220 mail ready\r\nyou said x\n" does not match 220\.mail`},
		{"an answer to what was sent", Config{Send: "hello\r\n", Expect: "you said hello"}, "pass"},
		{"an answer that does not come", Config{Expect: "you said"}, `fail: the answer "220 mail ready\r\n" does not match you said yet: `},
	} {
		if got := checked(t, target, tt.config); got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAnEndlessAnswerEndsTheCheck(t *testing.T) {
	target := serve(t, listen(t), func(conn net.Conn) {
		for {
			if _, err := conn.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	if got := checked(t, target, Config{Expect: "x"}); !strings.HasPrefix(got, "fail: the answer ") {
		t.Errorf("check = %s", got)
	}
}

func TestWhereToConnect(t *testing.T) {
	target := serve(t, listen(t), greet)
	closed := listen(t)
	nobody := netip.MustParseAddrPort(closed.Addr().String())
	closed.Close()
	for _, tt := range []struct {
		name   string
		target sdk.Target
		config Config
		want   string
	}{
		{"a closed port", sdk.Target{Address: nobody}, Config{}, "fail: dial tcp " + nobody.String()},
		{"another port of the target", sdk.Target{Address: nobody}, Config{Port: target.Address.Port()}, "pass"},
		{"a check of the node itself", sdk.Target{}, Config{Address: target.Address}, "pass"},
		{"a target without a port", sdk.Target{Address: netip.AddrPortFrom(nobody.Addr(), 0)}, Config{}, "error: the target has no address and port: set address or port"},
	} {
		if got := checked(t, tt.target, tt.config); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOverTLS(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil) // for its certificate
	certificate.StartTLS()
	defer certificate.Close()
	target := serve(t, tls.NewListener(listen(t), &tls.Config{Certificates: certificate.TLS.Certificates}), greet)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		tls  *TLS
		want string
	}{
		{"a certificate for the address", &TLS{CAFile: ca}, "pass"},
		{"for a name", &TLS{CAFile: ca, ServerName: "example.com"}, "pass"},
		{"for another name", &TLS{CAFile: ca, ServerName: "example.org"}, "fail: TLS with "},
		{"that nobody vouches for", &TLS{}, "fail: TLS with "},
		{"that is not looked at", &TLS{Insecure: true}, "pass"},
	} {
		if got := checked(t, target, Config{TLS: tt.tls, Expect: "220"}); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestValidatePointsAtTheFault(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{ExpectRE: "("}, "expect_regexp: no regular expression: error parsing regexp: missing closing ): `(`"},
		{Config{Expect: "a", ExpectRE: "b"}, "expect: expect and expect_regexp exclude each other"},
	} {
		if err := tt.config.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("Validate = %v, want %s", err, tt.want)
		}
	}
}
