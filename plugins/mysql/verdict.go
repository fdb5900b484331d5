package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
)

// Errors of the server that this package tells apart. Their numbers are those of MySQL's and MariaDB's reference.
const (
	syntaxError     = 1064
	unknownVariable = 1193
)

// ours are the errors by which the server refuses the checker and not its clients: the wrong user, password or grant, a fault
// in the query. They say nothing about the server.
func ours() []uint16 {
	return []uint16{
		1044, 1045, 1698, // access denied: to the database, to the user, without a password
		1129, 1130, // this host is blocked, or not allowed
		1142, 1143, 1227, 1370, // a privilege is missing: on the table, the column, the command, the routine
		1251, 1862, 1820, // a method of authentication, or a password that has expired
		3118, 4151, // the account is locked: MySQL, MariaDB
		syntaxError,
	}
}

// verdict is what an error of the server or of the connection says about the target.
func (s *session) verdict(what string, err error) sdk.Result {
	what = strings.Join(strings.Fields(what), " ")
	server := (*mysql.MySQLError)(nil)
	switch {
	case errors.As(err, &server) && slices.Contains(ours(), server.Number):
		return sdk.Errorf("%s: error %d: %s", what, server.Number, server.Message)
	case errors.As(err, &server):
		return sdk.Failf("%s: error %d: %s", what, server.Number, server.Message)
	case errors.Is(err, mysql.ErrNoTLS):
		return sdk.Failf("%s: the server does not speak TLS", what)
	}
	for _, e := range []error{mysql.ErrCleartextPassword, mysql.ErrNativePassword, mysql.ErrOldPassword, mysql.ErrUnknownPlugin} {
		if errors.Is(err, e) {
			return sdk.Errorf("%s: the user has a method of authentication that this checker does not know", what)
		}
	}
	return sdk.Failf("%s: %s", what, access.Words(s.cause(err)))
}

// lastError words an error as a replication channel has it.
func lastError(number, text string) string {
	if number == "" || number == "0" {
		return ""
	}
	return fmt.Sprintf(": error %s: %s", number, strings.Join(strings.Fields(text), " "))
}
