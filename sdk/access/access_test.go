package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vipward/vipward/sdk"
)

func TestWhereACheckConnectsTo(t *testing.T) {
	at := func(s string) sdk.Target { return sdk.Target{Address: netip.MustParseAddrPort(s)} }
	for _, tt := range []struct {
		name    string
		target  sdk.Target
		address string
		port    uint16
		want    string
	}{
		{"a target", at("10.0.0.1:3307"), "", 0, "{tcp 10.0.0.1:3307 10.0.0.1}"},
		{"another port of it", at("10.0.0.1:80"), "", 3306, "{tcp 10.0.0.1:3306 10.0.0.1}"},
		{"a target without a port", at("10.0.0.1:0"), "", 0, "{tcp 10.0.0.1:99 10.0.0.1}"},
		{"a target goes before the address", at("[::1]:1"), "db:2", 0, "{tcp [::1]:1 ::1}"},
		{"a host", sdk.Target{}, "db", 0, "{tcp db:99 db}"},
		{"a host and a port", sdk.Target{}, "db.example:1", 0, "{tcp db.example:1 db.example}"},
		{"IPv6", sdk.Target{}, "::1", 0, "{tcp [::1]:99 ::1}"},
		{"IPv6 and a port", sdk.Target{}, "[::1]:5", 0, "{tcp [::1]:5 ::1}"},
		{"a socket", sdk.Target{}, "/run/db.sock", 0, "{unix /run/db.sock }"},
		{"nothing", sdk.Target{}, "", 0, "a check of the node itself needs address"},
		{"a port that is none", sdk.Target{}, "db:http", 0, `the port of "db:http" is no number from 1 to 65535`},
		{"a host that is none", sdk.Target{}, ":1", 0, `":1" has no host`},
		{"too many colons", sdk.Target{}, "a:b:c", 0, `"a:b:c" is no address: write "HOST", "HOST:PORT" or the absolute path of a socket`},
	} {
		p, err := PlaceOf(tt.target, tt.address, tt.port, 99)
		got := fmt.Sprint(p)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if bad := CheckAddress(tt.address) != nil; bad != (err != nil && tt.address != "") {
			t.Errorf("%s: CheckAddress = %v", tt.name, CheckAddress(tt.address))
		}
	}
}

func TestThePasswordOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for text, want := range map[string]string{"s3cret\n": "s3cret", "two words\r\n": "two words", " kept ": " kept "} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Password("", file); got != want || err != nil {
			t.Errorf("Password of %q = %q, %v, want %q", text, got, err, want)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("x", maxPassword+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Password("", file); err == nil || strings.Contains(err.Error(), "xx") {
		t.Errorf("a file without an end: %v", err)
	}
	if _, err := Password("", file+"-gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if got, err := Password("direct", ""); got != "direct" || err != nil {
		t.Errorf("Password = %q, %v, want direct", got, err)
	}
	if err := CheckPassword("a", "b"); err == nil || strings.Contains(err.Error(), "*") {
		t.Errorf("CheckPassword of both = %v", err)
	}
}

func TestWhatIsSaidOfAConnection(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}, Err: syscall.ECONNREFUSED}
	read := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{dial, "dial tcp 10.0.0.1:1: connection refused"},
		{context.DeadlineExceeded, "no answer in time"},
		{read(os.ErrDeadlineExceeded), "no answer in time"},
		{read(io.EOF), "the server closed the connection"},
		{fmt.Errorf("header: %w", io.ErrUnexpectedEOF), "the server closed the connection"},
		{read(syscall.ECONNRESET), "the server closed the connection"},
		{read(os.NewSyscallError("read", syscall.EHOSTUNREACH)), "no route to host"},
		{errors.New("anything else"), "anything else"},
	} {
		if got := Words(tt.err); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestWhatIsUnreachable(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{dial(syscall.ECONNREFUSED), "fail: dial tcp: connection refused"},
		{dial(&net.DNSError{Err: "no such host", Name: "db.invalid"}), "error: the name db.invalid does not resolve: no such host"},
		{dial(syscall.EMFILE), "error: dial tcp: too many open files"},
	} {
		if got := Unreachable(tt.err).String(); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
	}
}
