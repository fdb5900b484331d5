package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// maxMessage is the longest message that is taken from the server, in bytes.
const maxMessage = 1 << 20

// errOneConnection keeps the driver from a second connection, by which it would cancel a query: see [session.begin].
var errOneConnection = errors.New("a run has one connection")

// session is the one connection of a run.
type session struct {
	conn  *pgconn.PgConn
	place access.Place
}

// connect dials and logs in, or says what came of it.
func (c *Config) connect(ctx context.Context, t sdk.Target) (*session, *sdk.Result) {
	no := func(r sdk.Result) (*session, *sdk.Result) { return nil, &r }
	place, err := access.PlaceOf(t, c.Address, c.Port, 5432)
	if err != nil {
		return no(sdk.Errorf("%v", err))
	}
	password, err := access.Password(c.Password, c.PasswordFile)
	if err != nil {
		return no(sdk.Errorf("%v", err))
	}
	options := c.base.Copy()
	options.Password, options.Host, options.TLSConfig = password, "server", tlsclient.For(c.tls, place.Host)
	options.MaxProtocolMessageBodyLen = maxMessage
	var dialled atomic.Bool
	var dialing error
	options.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, errOneConnection
		}
		var conn net.Conn
		conn, dialing = t.DialContext(ctx, place.Network, place.Address)
		return conn, dialing
	}
	s := &session{place: place}
	s.conn, err = pgconn.ConnectConfig(ctx, options)
	switch {
	case err == nil:
		return s, nil
	case dialing != nil:
		return no(access.Unreachable(dialing))
	}
	return no(s.verdict("log in as "+c.User, err))
}

// close says goodbye to the server.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // what is left of the run may be nothing
	defer cancel()
	_ = s.conn.Close(ctx) // the verdict stands already
}

// begin opens a transaction in which the server gives up what it does soon after nobody waits for it any more, so that slow
// queries do not pile up there. It is later than the deadline of the run, which is the one that is told. A setting of the
// session would stay behind in a pooler.
func (s *session) begin(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return s.exec(ctx, "BEGIN")
	}
	left := time.Until(deadline) + time.Second
	return s.exec(ctx, fmt.Sprintf("BEGIN; SET LOCAL statement_timeout = %d", left.Milliseconds()))
}

// exec runs statements whose answer is of no interest.
func (s *session) exec(ctx context.Context, statements string) error {
	_, err := s.conn.Exec(ctx, statements).ReadAll()
	return err
}

// row is the first row of an answer, NULL as nil.
func (s *session) row(ctx context.Context, query string) (row [][]byte, err error) {
	answer := s.conn.ExecParams(ctx, query, nil, nil, nil, nil)
	if answer.NextRow() {
		for _, cell := range answer.Values() {
			if cell != nil {
				cell = append([]byte{}, cell...) // the driver uses its memory again
			}
			row = append(row, cell)
		}
	}
	_, err = answer.Close()
	return row, err
}

// first is the first column of the first row, NULL as a text.
func (s *session) first(ctx context.Context, query string) (value string, found bool, err error) {
	row, err := s.row(ctx, query)
	switch {
	case err != nil || len(row) == 0:
		return "", false, err
	case row[0] == nil:
		return "NULL", true, nil
	}
	return string(row[0]), true, nil
}

// ours are the beginnings of SQLSTATE codes by which the server refuses the checker and not its clients: the wrong user,
// password or grant, a fault in the query. They say nothing about the server.
func ours() []string { return []string{"28", "42501", "42601"} }

// verdict is what an error of the server or of the connection says about the target; nil is a pass.
func (s *session) verdict(what string, err error) sdk.Result {
	what = strings.Join(strings.Fields(what), " ")
	server := (*pgconn.PgError)(nil)
	switch {
	case err == nil:
		return sdk.Pass()
	case errors.As(err, &server):
		said := fmt.Sprintf("%s: %s: %s (%s)", what, server.Severity, server.Message, server.Code)
		for _, code := range ours() {
			if strings.HasPrefix(server.Code, code) {
				return sdk.Errorf("%s", said)
			}
		}
		return sdk.Failf("%s", said)
	}
	return sdk.Failf("%s: %s", what, access.Words(cause(err)))
}

// cause is an error without what the driver puts before it: the user, the address, and which step it was.
func cause(err error) error {
	connect := (*pgconn.ConnectError)(nil)
	switch {
	case !errors.As(err, &connect) && tooLong(err):
		return fmt.Errorf("a row is longer than %d bytes", maxMessage)
	case connect == nil:
		return err
	}
	inner := connect.Unwrap()
	if access.Words(inner) != inner.Error() {
		return inner // there are words for it
	}
	_, text, _ := strings.Cut(inner.Error(), "): ")
	for _, step := range []string{"failed to receive message: ", "failed to write startup message: ", "write failed: ", "tls error: ", "failed SASL auth: "} {
		text = strings.TrimPrefix(text, step)
	}
	if tooLong(err) || strings.HasPrefix(text, "unknown message type") {
		return errors.New("the answer is no PostgreSQL protocol")
	}
	return errors.New(text)
}

// tooLong tells whether a message was longer than is taken.
func tooLong(err error) bool { return errors.As(err, new(*pgproto3.ExceededMaxBodyLenErr)) }
