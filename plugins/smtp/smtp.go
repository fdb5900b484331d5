// Package smtp is the checker "smtp": the greeting of a mail server, EHLO, STARTTLS where it is wanted, and QUIT (RFC 5321,
// RFC 3207). It sends no mail and does not log in.
package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// The ports where mail servers listen: for SMTP, and for SMTP over TLS (RFC 8314).
const (
	standardPort = 25
	tlsPort      = 465
)

// Config is the block of the checker.
type Config struct {
	Port       uint16             `vipward:"port" min:"1" doc:"Port to connect to. Default: the target's own, or 25, or 465 with TLS from the beginning."`
	Address    string             `vipward:"address" doc:"Where to connect for a check of the node itself: HOST or HOST:PORT."`
	Helo       string             `vipward:"helo" pattern:"[!-~]+" doc:"Name to give in EHLO. Default: the name of this node."`
	Greeting   []int              `vipward:"greeting" default:"[220]" min:"100" max:"599" doc:"Codes of the greeting that pass."`
	Banner     string             `vipward:"banner" doc:"Regular expression (RE2) that must match the text of the greeting."`
	Extensions []string           `vipward:"extensions" pattern:"[A-Za-z0-9-]+" doc:"Extensions that the answer to EHLO must have, as SIZE or AUTH; with starttls those after it."`
	StartTLS   bool               `vipward:"starttls" doc:"Ask for TLS with STARTTLS."`
	TLS        *tlsclient.Checked `vipward:"tls,block" doc:"Options of TLS. Without starttls: speak TLS from the beginning."`

	banner *regexp.Regexp
	tls    *tls.Config
	helo   string
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("smtp", check, summary()) }

func summary() sdk.Option {
	return sdk.Summary("talks to a mail server: greeting, EHLO, STARTTLS, QUIT")
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	errs := []error{sdk.PathError(access.CheckAddress(c.Address), "address"), c.TLS.Validate("tls")}
	if strings.HasPrefix(c.Address, "/") {
		errs = append(errs, sdk.PathError(errors.New("a mail server has no unix socket"), "address"))
	}
	if _, err := regexp.Compile(c.Banner); err != nil {
		errs = append(errs, sdk.PathError(fmt.Errorf("no regular expression: %w", err), "banner"))
	}
	if len(c.Greeting) == 0 {
		errs = append(errs, sdk.PathError(errors.New("no greeting would pass"), "greeting"))
	}
	return errors.Join(errs...)
}

// Open compiles the expression, reads the certificates and asks for the name of this node.
func (c *Config) Open(context.Context) error {
	if c.Banner != "" {
		c.banner = regexp.MustCompile(c.Banner) // Validate compiled it
	}
	c.helo = c.Helo
	if c.helo == "" {
		name, err := os.Hostname()
		if err != nil {
			return err
		}
		c.helo = cmp.Or(name, "localhost")
	}
	var err error
	c.tls, err = c.TLS.Config()
	return err
}

// implicit tells whether TLS comes first.
func (c *Config) implicit() bool { return c.TLS != nil && !c.StartTLS }

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	standard := uint16(standardPort)
	if c.implicit() {
		standard = tlsPort
	}
	place, err := access.PlaceOf(t, c.Address, c.Port, standard)
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	began := time.Now()
	conn, err := t.DialContext(ctx, place.Network, place.Address)
	switch {
	case errors.As(err, new(*net.DNSError)):
		return access.Unreachable(err)
	case err != nil:
		return sdk.Fail(err)
	}
	s := newSession(conn, tlsclient.For(c.tls, place.Host))
	defer s.close()
	result := sdk.Pass()
	switch err := c.talk(ctx, s); {
	case errors.As(err, new(rejection)):
		return sdk.Errorf("%v", err)
	case err != nil:
		return sdk.Failf("%v", err)
	}
	if why := c.expiring(s); why != "" {
		result = sdk.Warnf("%s", why)
	}
	return s.values(result).Value("session_seconds", time.Since(began).Seconds())
}

// talk is the conversation. Its error is the reason, with the step at which it came.
func (c *Config) talk(ctx context.Context, s *session) error {
	if c.implicit() {
		if err := s.secure(ctx); err != nil {
			return err
		}
	}
	if err := c.greeting(s); err != nil {
		return err
	}
	extensions, err := s.hello(c.helo)
	if err != nil {
		return err
	}
	if c.StartTLS {
		if extensions, err = s.startTLS(ctx, c.helo, extensions); err != nil {
			return err
		}
	}
	for _, want := range c.Extensions {
		if !slices.Contains(extensions, strings.ToUpper(want)) {
			return fmt.Errorf("EHLO: the server has no %s, but %s", strings.ToUpper(want), excerpt(strings.Join(extensions, ", ")))
		}
	}
	return s.quit()
}

// greeting compares what the server says first.
func (c *Config) greeting(s *session) error {
	code, text, err := s.reply("greeting")
	switch {
	case err != nil:
		return err
	case !slices.Contains(c.Greeting, code):
		return fmt.Errorf("greeting: %d %s, want %s", code, excerpt(text), codes(c.Greeting))
	case c.banner != nil && !c.banner.MatchString(text):
		return fmt.Errorf("greeting: %s does not match %s", excerpt(text), c.Banner)
	}
	return nil
}

// expiring is the warning of a certificate that soon is not valid any more.
func (c *Config) expiring(s *session) string {
	if state, ok := s.tlsState(); ok {
		return c.TLS.Expiring(state, time.Now())
	}
	return ""
}

// codes are the codes of replies as a reason has them.
func codes(all []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(all)), ", "), "[]")
}
