package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Bounds on what is taken from the server, in bytes.
const (
	maxLine = 4 << 10
	maxBulk = 1 << 20
)

// session is the one connection of a run. It speaks version 2 of the protocol RESP, which every server begins with.
type session struct {
	conn net.Conn
	in   *bufio.Reader
}

// serverError is an error as the server words it.
type serverError string

// Error is the text.
func (e serverError) Error() string { return string(e) }

// errProtocol is what is said of a server that answers in another protocol.
var errProtocol = errors.New("the answer is no Redis protocol")

// connect dials, and shakes hands where TLS is asked for, or says what came of it.
func (c *Config) connect(ctx context.Context, t sdk.Target) (*session, *sdk.Result) {
	no := func(r sdk.Result) (*session, *sdk.Result) { return nil, &r }
	place, err := access.PlaceOf(t, c.Address, c.Port, 6379)
	if err != nil {
		return no(sdk.Errorf("%v", err))
	}
	conn, err := t.DialContext(ctx, place.Network, place.Address)
	if err != nil {
		return no(access.Unreachable(err))
	}
	if c.tls != nil {
		secure := tls.Client(conn, tlsclient.For(c.tls, place.Host))
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return no(sdk.Failf("TLS: %s", strings.TrimPrefix(access.Words(err), "tls: ")))
		}
		conn = secure
	}
	return &session{conn: conn, in: bufio.NewReaderSize(conn, maxLine)}, nil
}

// ask sends a command and reads its answer, which is a text, a number as a text, or "" for none. A server that has no place for
// another client says so and hangs up, without waiting for the command: hence the answer counts, even if it could not be sent.
func (s *session) ask(words ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	_, sending := io.WriteString(s.conn, b.String())
	answer, err := s.answer()
	if err == nil {
		err = sending
	}
	return answer, err
}

// answer reads one answer. Lists are not among those to what this checker asks.
func (s *session) answer() (string, error) {
	line, err := s.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errProtocol
	case err != nil && len(line) > 0 && !strings.ContainsRune("+-:$", rune(line[0])):
		return "", errProtocol // no line at all
	case err != nil:
		return "", err
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok || text == "" {
		return "", errProtocol
	}
	switch text[0] {
	case '+', ':':
		return text[1:], nil
	case '-':
		return "", serverError(text[1:])
	case '$':
		return s.bulk(text[1:])
	}
	return "", errProtocol
}

// bulk reads a text of a given length.
func (s *session) bulk(length string) (string, error) {
	n, err := strconv.Atoi(length)
	switch {
	case err != nil || n < -1:
		return "", errProtocol
	case n == -1:
		return "", nil
	case n > maxBulk:
		return "", fmt.Errorf("the answer is longer than %d bytes", maxBulk)
	}
	text := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(s.in, text); err != nil {
		return "", err
	}
	return string(text[:n]), nil
}
