// Package tcp is the checker "tcp": it connects, may speak TLS, may send a text, and may look at what comes back. It is not
// for protocols with a checker of their own.
package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
)

// maxAnswer is how much of an answer is read, in bytes: what is expected must stand within it.
const maxAnswer = 64 << 10

// Config is the block of the checker.
type Config struct {
	Port     uint16         `vipward:"port" min:"1" doc:"Port to connect to. Default: the target's own."`
	Address  netip.AddrPort `vipward:"address" doc:"Address and port to connect to, for a check of the node itself."`
	Send     string         `vipward:"send" doc:"Text to send after connecting."`
	Expect   string         `vipward:"expect" doc:"Text that must be part of the answer."`
	ExpectRE string         `vipward:"expect_regexp" doc:"Regular expression (RE2) that must match the answer."`
	TLS      *TLS           `vipward:"tls,block" doc:"Speak TLS after connecting."`

	expect *regexp.Regexp
	tls    *tls.Config
}

// TLS is the block tls.
type TLS struct {
	ServerName string `vipward:"server_name" doc:"Name that the certificate must carry. Default: the target's address."`
	CAFile     string `vipward:"ca_file" doc:"File with the certificates to trust, in PEM. Default: the system's."`
	Insecure   bool   `vipward:"insecure" doc:"Do not verify the certificate."`
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Checker("tcp", check, sdk.Summary("connects by TCP, and may compare what the target answers"))
}

// Validate reports what the attributes do not allow together.
func (c *Config) Validate() error {
	var both, expr error
	if c.Expect != "" && c.ExpectRE != "" {
		both = errors.New("expect and expect_regexp exclude each other")
	}
	if _, err := regexp.Compile(c.ExpectRE); err != nil {
		expr = fmt.Errorf("no regular expression: %w", err)
	}
	return errors.Join(sdk.PathError(both, "expect"), sdk.PathError(expr, "expect_regexp"))
}

// Open compiles the expression and reads the certificates.
func (c *Config) Open(context.Context) error {
	expr := c.ExpectRE
	if c.Expect != "" {
		expr = regexp.QuoteMeta(c.Expect)
	}
	if expr != "" {
		c.expect = regexp.MustCompile(expr) // Validate compiled it
	}
	if c.TLS == nil {
		return nil
	}
	c.tls = &tls.Config{ServerName: c.TLS.ServerName, InsecureSkipVerify: c.TLS.Insecure} // the operator says so
	if c.TLS.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(c.TLS.CAFile)
	if err != nil {
		return err
	}
	c.tls.RootCAs = x509.NewCertPool()
	if !c.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: no certificate", c.TLS.CAFile)
	}
	return nil
}

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	switch {
	case !t.Address.IsValid():
		t.Address = c.Address
	case c.Port != 0:
		t.Address = netip.AddrPortFrom(t.Address.Addr(), c.Port)
	}
	conn, err := connect(ctx, t, c)
	switch {
	case errors.Is(err, sdk.ErrNoAddress):
		return sdk.Errorf("%v: set address or port", err)
	case err != nil:
		return sdk.Fail(err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if c.Send != "" {
		if _, err := io.WriteString(conn, c.Send); err != nil {
			return sdk.Failf("send: %v", err)
		}
	}
	if c.expect == nil {
		return sdk.Pass()
	}
	return expect(conn, c.expect)
}

// connect dials the target and shakes hands where TLS is asked for.
func connect(ctx context.Context, t sdk.Target, c Config) (net.Conn, error) {
	conn, err := t.Dial(ctx)
	if err != nil || c.tls == nil {
		return conn, err
	}
	config := c.tls.Clone()
	if config.ServerName == "" {
		config.ServerName = t.Address.Addr().String()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", t.Address, err)
	}
	return secure, nil
}

// expect reads until the answer matches, ends or is too long, or the deadline comes.
func expect(conn net.Conn, want *regexp.Regexp) sdk.Result {
	began := time.Now()
	var answer []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		answer = append(answer, buf[:n]...)
		switch {
		case want.Match(answer):
			return sdk.Pass().Value("answer_seconds", time.Since(began).Seconds())
		case len(answer) > maxAnswer:
			return sdk.Failf("the answer is longer than %d bytes and does not match %s", maxAnswer, want)
		case errors.Is(err, io.EOF):
			return sdk.Failf("the answer %s does not match %s", excerpt(answer), want)
		case err != nil:
			return sdk.Failf("the answer %s does not match %s yet: %v", excerpt(answer), want, err)
		}
	}
}

// excerpt is the beginning of an answer for a reason.
func excerpt(b []byte) string {
	s := strings.ToValidUTF8(string(b[:min(len(b), 80)]), "?")
	return fmt.Sprintf("%q", s)
}
