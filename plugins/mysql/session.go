package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// maxPacket is the longest packet that is taken from the server, in bytes.
const maxPacket = 1 << 20

// session is the one connection of a run.
type session struct {
	pool *sql.DB // of one connection, which is never used again
	conn *sql.Conn
	wire *wire
}

// connect dials and logs in, or says what came of it.
func (c *Config) connect(ctx context.Context, t sdk.Target) (*session, *sdk.Result) {
	no := func(r sdk.Result) (*session, *sdk.Result) { return nil, &r }
	place, err := access.PlaceOf(t, c.Address, c.Port, 3306)
	if err != nil {
		return no(sdk.Errorf("%v", err))
	}
	password, err := access.Password(c.Password, c.PasswordFile)
	if err != nil {
		return no(sdk.Errorf("%v", err))
	}
	s := &session{}
	options := mysql.NewConfig()
	options.User, options.Passwd, options.DBName = c.User, password, c.Database
	options.Net, options.Addr = place.Network, place.Address
	options.TLS = tlsclient.For(c.tls, place.Host)
	options.MaxAllowedPacket = maxPacket // else the driver asks the server, which costs a question
	options.Logger = &mysql.NopLogger{}  // what it would log is in the error, too
	options.ConnectionAttributes = "program_name:vipward"
	var dialing error
	options.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := t.DialContext(ctx, network, address)
		if err != nil {
			dialing = err
			return nil, err
		}
		s.wire = &wire{Conn: conn}
		return s.wire, nil
	}
	connector, err := mysql.NewConnector(options)
	if err != nil {
		return no(sdk.Errorf("%v", err))
	}
	s.pool = sql.OpenDB(connector)
	s.conn, err = s.pool.Conn(ctx)
	switch {
	case err == nil:
		return s, nil
	case dialing != nil:
		s.close()
		return no(access.Unreachable(dialing))
	}
	s.close()
	return no(s.verdict("log in as "+c.User, err))
}

// close says goodbye to the server, so that it does not count an aborted client.
func (s *session) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	_ = s.pool.Close() // the verdict stands already
}

func (s *session) ping(ctx context.Context) sdk.Result {
	if err := s.conn.PingContext(ctx); err != nil {
		return s.verdict("ping", err)
	}
	return sdk.Pass()
}

// limit has the server give up a query soon after nobody waits for it any more, so that slow ones do not pile up there. It is
// later than the deadline of the run, which is the one that is told.
func (s *session) limit(ctx context.Context, v variables) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	left := time.Until(deadline) + time.Second
	statement := fmt.Sprintf("SET SESSION max_execution_time = %d", left.Milliseconds())
	if v.mariaDB() {
		statement = fmt.Sprintf("SET SESSION max_statement_time = %.3f", left.Seconds())
	}
	_, err := s.conn.ExecContext(ctx, statement)
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) && e.Number == unknownVariable {
		return nil // a server that is too old to know it
	}
	return err
}

// first is the first column of the first row, NULL as a text.
func (s *session) first(ctx context.Context, query string) (value string, found bool, err error) {
	rows, err := s.conn.QueryContext(ctx, query)
	if err != nil {
		return "", false, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil || len(names) == 0 || !rows.Next() {
		return "", false, errors.Join(err, rows.Err())
	}
	cells := make([]sql.NullString, len(names))
	if err := rows.Scan(pointers(cells)...); err != nil {
		return "", false, err
	}
	if !cells[0].Valid {
		return "NULL", true, nil
	}
	return cells[0].String, true, nil
}

// table is the whole answer: a map by column name for each row; NULL is not in it.
func (s *session) table(ctx context.Context, query string) ([]map[string]string, error) {
	rows, err := s.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	for rows.Next() {
		cells := make([]sql.NullString, len(names))
		if err := rows.Scan(pointers(cells)...); err != nil {
			return nil, err
		}
		row := make(map[string]string, len(names))
		for i, cell := range cells {
			if cell.Valid {
				row[names[i]] = cell.String
			}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

func pointers(cells []sql.NullString) []any {
	all := make([]any, len(cells))
	for i := range cells {
		all[i] = &cells[i]
	}
	return all
}

// errForeign is what is said of a server that greets in another protocol.
var errForeign = errors.New("the answer is no MySQL protocol")

// wire is the connection; it keeps the first error, of which the driver only says that the connection is invalid.
type wire struct {
	net.Conn
	mu      sync.Mutex
	err     error
	greeted bool
}

// Read reads, and notes what goes wrong. A greeting has the sequence number 0 in its fourth byte. The driver does not mind
// another one, takes the three bytes before it for a length, and waits for megabytes that do not come.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if !w.greeted && n >= 4 && b[3] != 0 {
		n, err = 0, errForeign
	}
	w.greeted = w.greeted || n > 0
	w.note(err)
	return n, err
}

// Write writes, and notes what goes wrong.
func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.note(err)
	return n, err
}

func (w *wire) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// cause is what went wrong first, where the driver does not tell.
func (s *session) cause(err error) error {
	if s.wire == nil || !errors.Is(err, mysql.ErrInvalidConn) && !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	if s.wire.err != nil {
		return s.wire.err
	}
	return errForeign
}
