package smtp

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/tests/servers"
)

// server is a mail server of the tests: what it says first, and what to each command, by its first word. A command without an
// answer is met with silence; an answer "-" ends the connection.
type server struct {
	greeting string
	answers  map[string]string
	tls      *tls.Config
}

// usual answers as a mail server does.
func usual(more map[string]string) server {
	s := server{greeting: "220 mail.example ESMTP\r\n", answers: map[string]string{
		"EHLO": "250-mail.example greets you\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n", "QUIT": "221 bye\r\n",
		"STARTTLS": "220 go ahead\r\n",
	}}
	for command, answer := range more {
		s.answers[command] = answer
	}
	return s
}

// start serves until the test ends; heard gets each command.
func (s server) start(t *testing.T, heard chan<- string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				s.talk(c, heard)
			}()
		}
	}()
	return l.Addr().String()
}

func (s server) talk(c net.Conn, heard chan<- string) {
	_, _ = io.WriteString(c, s.greeting) // a client that is gone shows below
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if heard != nil {
			heard <- strings.TrimSpace(line)
		}
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ") // the line may be empty: a handshake of TLS is anything
		answer := s.answers[command]
		if answer == "-" {
			return
		}
		_, _ = io.WriteString(c, answer)
		if command == "STARTTLS" && strings.HasPrefix(answer, "220") {
			c = tls.Server(c, s.tls)
			r = bufio.NewReader(c)
		}
	}
}

func checker(t *testing.T, config string) plugintest.CheckerTest {
	t.Helper()
	return plugintest.Checker(t, "smtp", check, summary()).Config(config).Timeout(20 * time.Second)
}

func TestAConversation(t *testing.T) {
	edited := func(command, answer string) server { return usual(map[string]string{command: answer}) }
	greeted := func(greeting string) server {
		s := usual(nil)
		s.greeting = greeting
		return s
	}
	for _, tt := range []struct {
		name   string
		server server
		config string
		want   string
	}{
		{"all is well", usual(nil), `{}`, "pass"},
		{"a greeting of several lines", greeted("220-mail.example\r\n220-no spam\r\n220 ready\r\n"), `{"banner": "^mail\\.example\nno spam"}`, "pass"},
		{"another greeting", greeted("554 5.3.2 no service here\r\n"), `{}`, `fail: greeting: 554 "5.3.2 no service here", want 220`},
		{"which is fine", greeted("421 later\r\n"), `{"greeting": [220, 421]}`, "pass"},
		{"neither of two", greeted("554 no\r\n"), `{"greeting": [220, 421]}`, `fail: greeting: 554 "no", want 220, 421`},
		{"another banner", usual(nil), `{"banner": "^mx1"}`, `fail: greeting: "mail.example ESMTP" does not match ^mx1`},
		{"a refused EHLO", edited("EHLO", "550 5.7.1 who are you?\r\n"), `{"helo": "lb1"}`, `fail: EHLO lb1: 550 "5.7.1 who are you?", want 250`},
		{"a server from before EHLO", usual(map[string]string{"EHLO": "502 what?\r\n", "HELO": "250 hello\r\n"}), `{}`, "pass"},
		{"which refuses HELO, too", usual(map[string]string{"EHLO": "500 what?\r\n", "HELO": "500 what?\r\n"}), `{"helo": "lb1"}`, `fail: HELO lb1: 500 "what?", want 250`},
		{"extensions that are there", usual(nil), `{"extensions": ["size", "AUTH"]}`, "pass"},
		{"one that is not", usual(nil), `{"extensions": ["DSN"]}`, `fail: EHLO: the server has no DSN, but "SIZE, STARTTLS, AUTH"`},
		{"no STARTTLS", edited("EHLO", "250 mail.example\r\n"), `{"starttls": true}`, "fail: EHLO: the server has no STARTTLS"},
		{"STARTTLS that is refused", edited("STARTTLS", "454 4.7.0 no certificate\r\n"), `{"starttls": true}`, `fail: STARTTLS: 454 "4.7.0 no certificate", want 220`},
		{"words before TLS that a man in the middle could have put there", edited("STARTTLS", "220 go\r\n250 injected\r\n"), `{"starttls": true}`, "fail: STARTTLS: the server says more before TLS than it may"},
		{"a server that hangs up on EHLO", edited("EHLO", "-"), `{}`, "fail: EHLO: the server closed the connection"},
		{"a server that hangs up on QUIT", edited("QUIT", "-"), `{}`, "pass"},
		{"a strange answer to QUIT", edited("QUIT", "451 busy\r\n"), `{}`, `fail: QUIT: 451 "busy", want 221`},
		{"garbage", greeted("HTTP/1.1 400 Bad Request\r\n\r\n"), `{}`, `fail: greeting: "HTTP/1.1 400 Bad Request" is no reply of SMTP`},
		{"an empty line", greeted("\r\n"), `{}`, `fail: greeting: "" is no reply of SMTP`},
		{"a greeting without an end", greeted(strings.Repeat("220-more and more\r\n", 5000)), `{}`, "fail: greeting: the server says more than 65536 bytes"},
		{"a line without an end", greeted(strings.Repeat("220", 50000)), `{}`, "fail: greeting: the server says more than 65536 bytes"},
	} {
		if got := checker(t, tt.config).Against(tt.server.start(t, nil)).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAServerThatIsSlow(t *testing.T) {
	for step, s := range map[string]server{
		"greeting": {}, "EHLO": usual(map[string]string{"EHLO": ""}), "QUIT": usual(map[string]string{"QUIT": ""}),
		"STARTTLS": usual(map[string]string{"STARTTLS": ""}),
	} {
		got := checker(t, `{"starttls": `+fmt.Sprint(step == "STARTTLS")+`}`).Timeout(300 * time.Millisecond).Against(s.start(t, nil)).String()
		if want := "fail: " + step + ": no answer in time"; got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
	}
	silent := servers.Silent(t).String()
	if got, want := checker(t, `{"tls": {}}`).Timeout(300*time.Millisecond).Against(silent).String(), "fail: TLS: no answer in time"; got != want {
		t.Errorf("TLS: %s, want %s", got, want)
	}
}

func TestOverTLS(t *testing.T) {
	c := servers.SelfSigned(t, t.TempDir(), "127.0.0.1", "mail.example")
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(c.Cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s, strict, strict13 := usual(nil), usual(nil), usual(nil)
	s.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	strict.tls = &tls.Config{ // up to 1.2 the server says during the handshake what it thinks of the client
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MaxVersion: tls.VersionTLS12,
	}
	strict13.tls = strict.tls.Clone()
	strict13.tls.MaxVersion = 0
	plain, wants, wants13 := s.start(t, nil), strict.start(t, nil), strict13.start(t, nil)
	with := func(options string) string {
		return fmt.Sprintf(`{"starttls": true, "extensions": ["AUTH"], "tls": {"ca_file": %q%s}}`, c.Cert, options)
	}
	other := servers.SelfSigned(t, t.TempDir(), "other")
	for _, tt := range []struct{ name, address, config, want string }{
		{"a certificate for the address", plain, with(""), "pass"},
		{"for a name", plain, with(`, "server_name": "mail.example"`), "pass"},
		{"for another name", plain, with(`, "server_name": "mx.example"`), "fail: TLS: failed to verify certificate: x509: certificate is valid for mail.example, not mx.example"},
		{"that nobody vouches for", plain, `{"starttls": true}`, "fail: TLS: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"that is not looked at", plain, `{"starttls": true, "tls": {"insecure": true}}`, "pass"},
		{"that expires soon", plain, with(`, "expires_within": "720h"`), "warn: the certificate expires in 24 h, at "},
		{"a client's certificate", wants, with(fmt.Sprintf(`, "cert_file": %q, "key_file": %q`, c.Cert, c.Key)), "pass"},
		{"a wrong one", wants, with(fmt.Sprintf(`, "cert_file": %q, "key_file": %q`, other.Cert, other.Key)), "error: TLS: the server does not take the client's certificate: unknown certificate authority"},
		{"none", wants, with(""), "fail: TLS: remote error: tls: handshake failure"},
		{"none, and TLS 1.3", wants13, with(""), "error: EHLO: the server does not take the client's certificate: certificate required"},
		{"TLS where there is none", plain, `{"tls": {}}`, "fail: TLS: first record does not look like a TLS handshake"},
	} {
		got := checker(t, tt.config).Against(tt.address).String()
		if got != tt.want && (!strings.HasSuffix(tt.want, " ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestWhatTheServerHears(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for config, name := range map[string]string{`{}`: host, `{"helo": "smtpchecker.example"}`: "smtpchecker.example"} {
		heard := make(chan string, 8)
		checker(t, config).Against(usual(nil).start(t, heard)).Pass()
		if ehlo, quit := <-heard, <-heard; ehlo != "EHLO "+name || quit != "QUIT" {
			t.Errorf("%s: the server hears %q and %q", config, ehlo, quit)
		}
	}
}

func TestConfiguration(t *testing.T) {
	checker(t, `{}`).Valid()
	checker(t, `{"address": "mx.example:587", "helo": "lb1.example", "starttls": true, "tls": {"min_version": "1.3"}}`).Valid()
	for _, tt := range []struct{ config, path, want string }{
		{`{"banner": "("}`, "banner", "no regular expression"},
		{`{"helo": "a b"}`, "helo", `"a b" does not match`},
		{`{"helo": "a\r\nRSET"}`, "helo", "does not match"},
		{`{"greeting": []}`, "greeting", "no greeting would pass"},
		{`{"greeting": [99]}`, "greeting[0]", "out of range"},
		{`{"extensions": ["A B"]}`, "extensions[0]", "does not match"},
		{`{"address": "/run/smtp"}`, "address", "a mail server has no unix socket"},
		{`{"tls": {"key_file": "/nowhere"}}`, "tls.key_file", "key_file is the key of cert_file, which is missing"},
	} {
		checker(t, tt.config).Invalid(tt.path, tt.want)
	}
	refusing := servers.Refusing(t).String()
	for _, tt := range []struct{ name, config, address, want string }{
		{"nobody to ask", `{}`, "", "error: a check of the node itself needs address"},
		{"a name that is none", `{"address": "no..host"}`, "", "error: the name no..host does not resolve: no such host"},
		{"nobody listens", `{}`, refusing, "fail: dial tcp " + refusing + ": connect: connection refused"},
		{"a file that is not there", `{"tls": {"ca_file": "/nowhere.pem"}}`, refusing, "error: configuration: open /nowhere.pem: no such file or directory"},
	} {
		if got := checker(t, tt.config).Against(tt.address).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
