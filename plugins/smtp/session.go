package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// maxSession is how much a server may say in all, in bytes.
const maxSession = 64 << 10

// session is a conversation with a mail server.
type session struct {
	conn   net.Conn
	tls    *tls.Config
	secret *tls.Conn // nil without TLS
	buf    *bufio.Reader
	text   *textproto.Reader
}

func newSession(conn net.Conn, config *tls.Config) *session {
	s := &session{tls: config}
	s.over(conn)
	return s
}

// over goes on over another connection, with nothing of what came by the one before.
func (s *session) over(conn net.Conn) {
	s.conn = conn
	s.buf = bufio.NewReader(&limited{conn, maxSession})
	s.text = textproto.NewReader(s.buf)
}

func (s *session) close() { s.conn.Close() }

// limited is a reader of so many bytes, and an error instead of more.
type limited struct {
	r    io.Reader
	left int
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("the server says more than %d bytes", maxSession)
	}
	n, err := l.r.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}

// reply reads one reply, of several lines perhaps. step is for the reason.
func (s *session) reply(step string) (code int, text string, err error) {
	code, text, err = s.text.ReadResponse(0) // 0 for any code
	var malformed textproto.ProtocolError
	switch {
	case errors.As(err, &malformed):
		_, line, _ := strings.Cut(string(malformed), ": ")
		if unquoted, err := strconv.Unquote(line); err == nil {
			line = unquoted
		}
		return 0, "", fmt.Errorf("%s: %s is no reply of SMTP", step, excerpt(line))
	case err != nil:
		return 0, "", fmt.Errorf("%s: %w", step, told(err))
	}
	return code, text, nil
}

// ask sends a command and reads the reply to it.
func (s *session) ask(step, command string) (code int, text string, err error) {
	if _, err := io.WriteString(s.conn, command+"\r\n"); err != nil {
		return 0, "", fmt.Errorf("%s: %w", step, told(err))
	}
	return s.reply(step)
}

// hello introduces the client and returns the extensions of the server, in upper case. A server that does not know EHLO is greeted
// as of old (RFC 5321 3.2), and has none.
func (s *session) hello(name string) ([]string, error) {
	step := "EHLO"
	code, text, err := s.ask(step, "EHLO "+name)
	if err == nil && code >= 500 && code <= 504 && code != 503 {
		step = "HELO"
		code, text, err = s.ask(step, "HELO "+name)
	}
	switch {
	case err != nil:
		return nil, err
	case code != 250:
		return nil, fmt.Errorf("%s %s: %d %s, want 250", step, name, code, excerpt(text))
	}
	var extensions []string
	for _, line := range strings.Split(text, "\n")[1:] { // the first is the server's name
		if word := strings.Fields(line); len(word) > 0 {
			extensions = append(extensions, strings.ToUpper(word[0]))
		}
	}
	return extensions, nil
}

// startTLS asks for TLS, and introduces the client again, since what was said before does not count (RFC 3207 4.2).
func (s *session) startTLS(ctx context.Context, name string, extensions []string) ([]string, error) {
	if !slices.Contains(extensions, "STARTTLS") {
		return nil, errors.New("EHLO: the server has no STARTTLS")
	}
	code, text, err := s.ask("STARTTLS", "STARTTLS")
	switch {
	case err != nil:
		return nil, err
	case code != 220:
		return nil, fmt.Errorf("STARTTLS: %d %s, want 220", code, excerpt(text))
	case s.buf.Buffered() > 0:
		return nil, errors.New("STARTTLS: the server says more before TLS than it may")
	}
	if err := s.secure(ctx); err != nil {
		return nil, err
	}
	return s.hello(name)
}

// secure shakes hands.
func (s *session) secure(ctx context.Context) error {
	s.secret = tls.Client(s.conn, s.tls)
	if err := s.secret.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", told(err))
	}
	s.over(s.secret)
	return nil
}

// quit ends the conversation. A server may end the connection without a word.
func (s *session) quit() error {
	code, text, err := s.ask("QUIT", "QUIT")
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case code != 221:
		return fmt.Errorf("QUIT: %d %s, want 221", code, excerpt(text))
	}
	return nil
}

// tlsState is the state of TLS, where it is spoken.
func (s *session) tlsState() (tls.ConnectionState, bool) {
	if s.secret == nil {
		return tls.ConnectionState{}, false
	}
	return s.secret.ConnectionState(), true
}

// values are the figures of a session that went well.
func (s *session) values(r sdk.Result) sdk.Result {
	if state, ok := s.tlsState(); ok {
		r = r.Value("certificate_seconds", tlsclient.Left(state, time.Now()).Seconds())
	}
	return r
}

// problem is an error in an operator's words.
type problem struct {
	words string
	cause error
}

func (p problem) Error() string { return p.words }
func (p problem) Unwrap() error { return p.cause }

// rejection is a certificate of ours that the server does not take: that says nothing about its service.
type rejection struct{ problem }

// told words an error of the connection.
func told(err error) error {
	p := problem{strings.TrimPrefix(access.Words(err), "tls: "), err}
	if e := (*net.OpError)(nil); errors.As(err, &e) && e.Op == "remote error" && strings.Contains(p.words, "certificate") {
		p.words = "the server does not take the client's certificate: " + strings.TrimPrefix(e.Err.Error(), "tls: ")
		return rejection{p}
	}
	return p
}

// excerpt is the beginning of what a server said, in one line.
func excerpt(s string) string {
	const most = 80
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
