package tcp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
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
	"github.com/vipward/vipward/sdk/tlsclient"
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

// checked makes one run of at most 30 s, which is enough for everything that must come.
func checked(t *testing.T, target sdk.Target, c Config) string {
	t.Helper()
	return checkedWithin(t, 30*time.Second, target, c)
}

func checkedWithin(t *testing.T, timeout time.Duration, target sdk.Target, c Config) string {
	t.Helper()
	if err := errors.Join(c.Validate(), c.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
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
		{"bytes of the greeting", Config{ExpectHex: "6d61 69:6C 20"}, "pass"},
		{"an expression, not a text", Config{ExpectRE: `^220 .*\r\n`}, "pass"},
		{
			"dots of a text are dots",
			Config{Expect: "220.mail", Send: "x\n"},
			`fail: the answer "220 mail ready\r\nyou said x\n" does not match "220.mail"`,
		},
		{
			"bytes that are not there",
			Config{ExpectHex: "00ff", Send: "x\n"},
			`fail: the answer "220 mail ready\r\nyou said x\n" does not match 00ff`,
		},
		{"an answer to what was sent", Config{Send: "hello\r\n", Expect: "you said hello"}, "pass"},
		{"in bytes", Config{SendHex: "68 69 0a", Expect: "you said hi"}, "pass"},
	} {
		if got := checked(t, target, tt.config); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	want := `fail: the answer "220 mail ready\r\n" does not match "you said": no more came in time`
	if got := checkedWithin(t, 500*time.Millisecond, target, Config{Expect: "you said"}); got != want {
		t.Errorf("an answer that does not come: %s, want %s", got, want)
	}
}

func TestATargetThatAcceptsAndThen(t *testing.T) {
	silent := serve(t, listen(t), func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	closing := serve(t, listen(t), func(net.Conn) {})
	resetting := serve(t, listen(t), func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1)) // the client is connected now
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	counting := serve(t, listen(t), func(conn net.Conn) {
		n, _ := io.Copy(io.Discard, conn)
		fmt.Fprintf(conn, "%d bytes", n)
	})
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		target  sdk.Target
		config  Config
		want    string
	}{
		{"says nothing", 200 * time.Millisecond, silent, Config{Expect: "x"}, `fail: connected, but no answer in time; want "x"`},
		{"says nothing to a handshake", 200 * time.Millisecond, silent, Config{TLS: &tlsclient.Checked{}}, "fail: TLS with ADDRESS: no answer to the handshake in time"},
		{"stays", 30 * time.Second, silent, Config{Stay: 50 * time.Millisecond}, "pass"},
		{"stays until the run ends", 200 * time.Millisecond, silent, Config{Stay: time.Hour}, "pass"},
		{"closes the connection", 30 * time.Second, closing, Config{Expect: "x"}, `fail: connected, but the target closed the connection; want "x"`},
		{"does not stay", 30 * time.Second, closing, Config{Stay: 20 * time.Second}, "fail: the connection did not stay for 20s: the target closed the connection"},
		{"resets the connection", 30 * time.Second, resetting, Config{Send: "x", ExpectRE: "x+"}, "fail: connected, but the target reset the connection; want x+"},
		{"answers when we have ended", 30 * time.Second, counting, Config{Send: "hello", HalfClose: true, Expect: "5 bytes"}, "pass"},
	} {
		want := strings.ReplaceAll(tt.want, "ADDRESS", tt.target.Address.String())
		if got := checkedWithin(t, tt.timeout, tt.target, tt.config); got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
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
	if got, want := checked(t, target, Config{Expect: "x"}), `fail: the answer is longer than 65536 bytes and does not match "x"`; got != want {
		t.Errorf("check = %s, want %s", got, want)
	}
	if got := checked(t, target, Config{Stay: 20 * time.Second}); got != "pass" {
		t.Errorf("stays: %s, want pass", got)
	}
}

func TestATargetThatCannotBeReached(t *testing.T) {
	closed := listen(t)
	nobody := netip.MustParseAddrPort(closed.Addr().String())
	closed.Close()
	for _, tt := range []struct {
		name   string
		target sdk.Target
		want   string
	}{
		{"a closed port", sdk.Target{Address: nobody}, "fail: dial tcp " + nobody.String() + ": connect: connection refused"},
		{"a check of the node itself", sdk.Target{}, "error: the target has no address and port: set address or port"},
		{"a target without a port", sdk.Target{Address: netip.AddrPortFrom(nobody.Addr(), 0)}, "error: the target has no address and port: set address or port"},
	} {
		if got := checked(t, tt.target, Config{}); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOverTLS(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil) // for its certificate
	certificate.StartTLS()
	defer certificate.Close()
	target := serve(t, tls.NewListener(listen(t), &tls.Config{Certificates: certificate.TLS.Certificates}), greet)
	plain := serve(t, listen(t), greet)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	const forever = 1000000 * time.Hour
	for _, tt := range []struct {
		name   string
		target sdk.Target
		tls    *tlsclient.Checked
		want   string
	}{
		{"a certificate for the address", target, &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca}}, "pass"},
		{"for a name", target, &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca, ServerName: "example.com"}}, "pass"},
		{"for another name", target, &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca, ServerName: "example.org"}}, "fail: TLS with ADDRESS: tls: failed to verify certificate: x509: certificate is valid for example.com, *.example.com, not example.org"},
		{"that nobody vouches for", target, &tlsclient.Checked{}, "fail: TLS with ADDRESS: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"that is not looked at", target, &tlsclient.Checked{Options: tlsclient.Options{Insecure: true}}, "pass"},
		{"that expires, in a long while", target, &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca}, ExpiresWithin: forever}, "warn: the certificate expires in "},
		{"no TLS at all", plain, &tlsclient.Checked{}, "fail: TLS with ADDRESS: tls: first record does not look like a TLS handshake"},
	} {
		want := strings.ReplaceAll(tt.want, "ADDRESS", tt.target.Address.String())
		if got := checked(t, tt.target, Config{TLS: tt.tls, Expect: "220"}); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
}

func TestValidatePointsAtTheFault(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{ExpectRE: "("}, "expect_regexp: no regular expression: error parsing regexp: missing closing ): `(`"},
		{Config{Expect: "a", ExpectRE: "b"}, "expect_regexp: expect and expect_regexp exclude each other"},
		{Config{ExpectHex: "0a", ExpectRE: "b"}, "expect_regexp: expect_hex and expect_regexp exclude each other"},
		{Config{Send: "a", SendHex: "0a"}, "send_hex: send and send_hex exclude each other"},
		{Config{Expect: "a", Stay: 1}, "stay: stay and expect exclude each other"},
		{Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{KeyFile: "/dev/null"}}}, "tls.key_file: key_file is the key of cert_file, which is missing"},
	} {
		if err := tt.config.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("Validate = %v, want %s", err, tt.want)
		}
	}
}
