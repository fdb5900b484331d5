package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/message"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// The ports of the two ways to speak SMTP.
const (
	plainPort    = 25
	implicitPort = 465
)

// Config is the block.
type Config struct {
	Server       string             `vipward:"server,required" doc:"Mail server that takes the mail, HOST or HOST:PORT. Default port: 25, with implicit TLS 465."`
	From         string             `vipward:"from,required" doc:"Sender."`
	To           []string           `vipward:"to,required" doc:"Recipients."`
	Encryption   string             `vipward:"encryption" default:"auto" one_of:"auto,starttls,implicit,none" doc:"auto takes STARTTLS where it is offered, and insists on it with a user; starttls insists; implicit is TLS from the first byte."`
	User         string             `vipward:"user" doc:"Name to log in with. Default: no login."`
	Password     sdk.Secret         `vipward:"password" doc:"Password of user."`
	PasswordFile string             `vipward:"password_file" doc:"File that holds the password, read for each mail."`
	Subject      string             `vipward:"subject" default:"{{.Title}}" doc:"Template of the subject."`
	Body         string             `vipward:"body" default:"{{.Text}}" doc:"Template of the text."`
	Batch        time.Duration      `vipward:"batch" default:"2s" min:"0s" max:"1h" doc:"How long to wait for more events, to send them in one mail. A critical event is not held back."`
	Hello        string             `vipward:"hello" doc:"Name that the server is greeted with. Default: the host's name."`
	Timeout      time.Duration      `vipward:"timeout" default:"10s" min:"1s" max:"14s" doc:"For connecting and logging in, and again for the mail."`
	TLS          *tlsclient.Options `vipward:"tls,block" doc:"How to verify the server."`

	session *session
}

// Validate refuses what can never work.
func (c *Config) Validate() error {
	errs := []error{c.validateServer(), c.TLS.Validate("tls"), access.CheckPassword(c.Password, c.PasswordFile), checkTemplate(c.Subject, "subject"), checkTemplate(c.Body, "body")}
	if _, err := netmail.ParseAddress(c.From); err != nil {
		errs = append(errs, sdk.PathError(addressError(c.From), "from"))
	}
	if len(c.To) == 0 {
		errs = append(errs, sdk.PathError(errors.New("nobody would be told: write at least one address"), "to"))
	}
	for i, to := range c.To {
		if _, err := netmail.ParseAddress(to); err != nil {
			errs = append(errs, sdk.PathError(addressError(to), "to", i))
		}
	}
	secret := c.Password != "" || c.PasswordFile != ""
	switch {
	case secret && c.User == "":
		errs = append(errs, sdk.PathError(errors.New("a password needs a user"), "password"))
	case c.User != "" && !secret:
		errs = append(errs, sdk.PathError(errors.New("a user needs a password"), "user"))
	case c.User != "" && c.Encryption == "none":
		errs = append(errs, sdk.PathError(errors.New("a password is not sent without TLS: write starttls or implicit"), "encryption"))
	}
	if strings.ContainsAny(c.Hello, " \r\n\t") {
		errs = append(errs, sdk.PathError(fmt.Errorf("%q is no name of a host", c.Hello), "hello"))
	}
	return errors.Join(errs...)
}

func (c *Config) validateServer() error {
	_, _, err := c.split()
	return sdk.PathError(err, "server")
}

func addressError(text string) error {
	return fmt.Errorf(`%q is no mail address: write "user@example.org" or "Name <user@example.org>"`, text)
}

func checkTemplate(text, name string) error {
	_, err := message.Parse(text)
	if err != nil {
		err = fmt.Errorf("no template: %w", err)
	}
	return sdk.PathError(err, name)
}

// split is the server's host and port.
func (c *Config) split() (host string, port int, err error) {
	port = plainPort
	if c.Encryption == "implicit" {
		port = implicitPort
	}
	bad := fmt.Errorf(`%q is no server: write "HOST" or "HOST:PORT"`, c.Server)
	host = strings.Trim(c.Server, "[]")
	if net.ParseIP(host) == nil && strings.Contains(c.Server, ":") {
		var text string
		if host, text, err = net.SplitHostPort(c.Server); err != nil {
			return "", 0, bad
		}
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return "", 0, bad
		}
	}
	if host == "" || strings.ContainsAny(host, " /@") {
		return "", 0, bad
	}
	return host, port, nil
}

// session is what a configuration keeps from its first use on.
type session struct {
	host          string
	options       []gomail.Option
	subject, body *template.Template

	mu      sync.Mutex
	key     string   // of the latest delivery
	reached []string // by it
}

// Open reads the certificates and the templates.
func (c *Config) Open(context.Context) error {
	s := &session{}
	var port int
	var err error
	if s.host, port, err = c.split(); err != nil {
		return err
	}
	config, err := c.TLS.Config()
	if err != nil {
		return err
	}
	config = tlsclient.For(config, s.host)
	if c.Encryption == "auto" && c.User == "" && c.TLS == nil {
		config.InsecureSkipVerify = true // no worse than no TLS, which would be taken as well
	}
	s.options = []gomail.Option{gomail.WithPort(port), gomail.WithTimeout(c.Timeout), gomail.WithTLSConfig(config), c.encryption()}
	hello := c.Hello
	if hello == "" {
		hello, _ = os.Hostname() // without one, the library has a default
	}
	if hello != "" {
		s.options = append(s.options, gomail.WithHELO(hello))
	}
	if c.User != "" {
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(c.User))
	}
	if s.subject, err = message.Parse(c.Subject); err != nil {
		return err
	}
	if s.body, err = message.Parse(c.Body); err != nil {
		return err
	}
	c.session = s
	return nil
}

func (c *Config) encryption() gomail.Option {
	switch {
	case c.Encryption == "implicit":
		return gomail.WithSSL()
	case c.Encryption == "none":
		return gomail.WithTLSPolicy(gomail.NoTLS)
	case c.Encryption == "starttls" || c.User != "":
		return gomail.WithTLSPolicy(gomail.TLSMandatory)
	}
	return gomail.WithTLSPolicy(gomail.TLSOpportunistic)
}

// words are the subject and the text. A subject is one line.
func (s *session) words(events []sdk.Event) (subject, body string, err error) {
	d := message.DataOf(events)
	if subject, err = message.Execute(s.subject, d); err != nil {
		return "", "", fmt.Errorf("subject: %w", err)
	}
	if body, err = message.Execute(s.body, d); err != nil {
		return "", "", fmt.Errorf("body: %w", err)
	}
	return strings.Join(strings.Fields(subject), " "), body, nil
}

// remaining are those that the delivery has not reached yet.
func (s *session) remaining(key string, to []string) []string {
	if key == "" || key != s.key {
		s.key, s.reached = key, nil
	}
	left := slices.DeleteFunc(slices.Clone(to), func(one string) bool { return slices.Contains(s.reached, one) })
	if len(left) == 0 { // the same delivery once more
		s.reached = nil
		return to
	}
	return left
}

func (s *session) reach(to ...string) { s.reached = append(s.reached, to...) }
