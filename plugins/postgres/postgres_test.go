package postgres

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/tlsclient"
	"github.com/vipward/vipward/tests/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is a time-out that a target is meant to exceed, ample one that it is not.
const (
	soon  = 300 * time.Millisecond
	ample = 30 * time.Second
)

// checked is what one run says.
func checked(t *testing.T, address netip.AddrPort, c Config, timeout time.Duration) string {
	t.Helper()
	if err := errors.Join(c.Validate(), c.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return check(ctx, sdk.Target{Name: "db", Address: address}, c).String()
}

// refusal is an error of the server in the protocol's form.
func refusal(code, message string) string {
	body := "SFATAL\x00VFATAL\x00C" + code + "\x00M" + message + "\x00\x00"
	return "E\x00\x00\x00" + string(rune(len(body)+4)) + body
}

func TestATargetThatIsNoServer(t *testing.T) {
	closed := servers.Refusing(t)
	for _, tt := range []struct {
		name    string
		address netip.AddrPort
		config  Config
		timeout time.Duration
		want    string
	}{
		{"refuses the connection", closed, Config{}, ample, "fail: dial tcp " + closed.String() + ": connect: connection refused"},
		{"says nothing", servers.Silent(t), Config{}, soon, "fail: log in as vipward: no answer in time"},
		{"says nothing, for TLS either", servers.Silent(t), Config{TLS: &tlsclient.Options{}}, soon, "fail: log in as vipward: no answer in time"},
		{"hangs up", servers.HangingUp(t), Config{}, ample, "fail: log in as vipward: the server closed the connection"},
		{
			"speaks another protocol", servers.Saying(t, "HTTP/1.1 400 Bad Request\r\n\r\n"),
			Config{},
			ample,
			"fail: log in as vipward: the answer is no PostgreSQL protocol",
		},
		{"speaks no TLS", servers.Saying(t, "N"), Config{TLS: &tlsclient.Options{}}, ample, "fail: log in as vipward: server refused TLS connection"},
		{
			"starts up", servers.Saying(t, refusal("57P03", "the database system is starting up")),
			Config{},
			ample,
			"fail: log in as vipward: FATAL: the database system is starting up (57P03)",
		},
		{
			"does not let this host in", servers.Saying(t, refusal("28000", "no pg_hba.conf entry")),
			Config{},
			ample,
			"error: log in as vipward: FATAL: no pg_hba.conf entry (28000)",
		},
		{
			"is full", servers.Saying(t, refusal("53300", "sorry, too many clients already")),
			Config{},
			ample,
			"fail: log in as vipward: FATAL: sorry, too many clients already (53300)",
		},
		{"has a name that does not resolve", netip.AddrPort{}, Config{Address: "db.invalid"}, ample, "error: the name db.invalid does not resolve: "},
		{
			"has a socket that is not there",
			netip.AddrPort{},
			Config{Address: "/nowhere/.s.PGSQL.5432"},
			ample,
			"fail: dial unix /nowhere/.s.PGSQL.5432: connect: no such file or directory",
		},
		{"has no address", netip.AddrPort{}, Config{}, ample, "error: a check of the node itself needs address"},
		{"has a password that cannot be read", closed, Config{PasswordFile: "/nowhere/password"}, ample, "error: password_file: open /nowhere/password: no such file or directory"},
	} {
		tt.config.User = "vipward"
		got := checked(t, tt.address, tt.config, tt.timeout)
		if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("a target that %s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTheStateIsHeldAgainstTheConfiguration(t *testing.T) {
	primary := state{used: 9, limit: 10}
	standby := state{recovery: true, readOnly: true, used: 9, limit: 10, receiving: true, received: 100, replayed: 100, behind: 3600}
	behind := standby
	behind.received = 200
	paused := behind
	paused.paused = true
	lost := standby
	lost.receiving = false
	locked := primary
	locked.readOnly = true
	reader := Config{Role: "reader", MaxLag: 10 * time.Second}
	for _, tt := range []struct {
		name   string
		config Config
		state  state
		want   string
	}{
		{"a writer", Config{Role: "writer"}, primary, "pass"},
		{"a standby as writer", Config{Role: "writer"}, standby, "fail: the server is in recovery, want a writer"},
		{"a writer that takes no writes", Config{Role: "writer"}, locked, "fail: default_transaction_read_only is on, want a writer"},
		{"a standby of a primary that has nothing to do", reader, standby, "pass"},
		{"a standby that lags", reader, behind, "fail: replay lags 1h0m0s behind, limit 10s"},
		{"a standby that is held up", reader, paused, "fail: replay is paused, and lags 1h0m0s behind, limit 10s"},
		{"a standby that may lag", Config{Role: "reader"}, behind, "pass"},
		{"a standby without its primary", reader, lost, "fail: the standby does not receive from a primary: no WAL receiver"},
		{"which may go on without", Config{Role: "reader", MaxLag: time.Second, OnSourceLoss: "warn"}, lost, "warn: the standby does not receive from a primary: no WAL receiver"},
		{"the primary as reader", reader, primary, "fail: the server is not in recovery, want a standby"},
		{"which may be one", Config{Role: "reader", AllowWriter: true}, primary, "pass"},
		{"connections at the limit", Config{MaxShare: 90}, primary, "pass"},
		{"above it", Config{MaxShare: 89}, primary, "fail: 9 of 10 connections are in use, more than 89 %"},
	} {
		if got := tt.config.judgeState(tt.state).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	later := behind
	later.received, later.replayed = 300, 200
	if lag := later.after(behind).lag(); lag != 0 {
		t.Errorf("a standby that has replayed what it had received lags %v, want 0", lag)
	}
	later.replayed = 199
	if lag := later.after(behind).lag(); lag != time.Hour {
		t.Errorf("a standby that has not lags %v, want 1h", lag)
	}
}

func TestValidatePointsAtTheFault(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{}, ""},
		{Config{Question: access.Question{Expect: "1"}}, "query: there is something to expect and no query"},
		{Config{Question: access.Question{Query: "q", Expect: "1", ExpectRE: "1"}}, "expect: expect and expect_regexp exclude each other"},
		{Config{Question: access.Question{Query: "q", ExpectRE: "("}}, "expect_regexp: no regular expression: error parsing regexp: missing closing ): `(`"},
		{Config{MaxLag: time.Second}, `max_lag: only a standby lags: set role = "reader"`},
		{Config{AllowWriter: true}, `allow_writer: it is for role = "reader"`},
		{Config{Address: "db:x"}, `address: the port of "db:x" is no number from 1 to 65535`},
		{Config{Password: "x", PasswordFile: "y"}, "password_file: password and password_file exclude each other"},
		{Config{TLS: &tlsclient.Options{KeyFile: "/dev/null"}}, "tls.key_file: key_file is the key of cert_file, which is missing"},
	} {
		got := ""
		if err := tt.config.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.config, got, tt.want)
		}
	}
}

func TestAMissingFileIsNoFaultOfTheTarget(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	postgres := plugintest.Checker(t, "postgres", check, summary())
	postgres.Config(`{"user": "a", "tls": {"ca_file": "` + file + `"}}`).Against(servers.Refusing(t).String()).Error("configuration: open " + file)
	postgres.Config(`{}`).Invalid("user", "required")
	postgres.Config(`{"user": "a", "password": "p", "role": "reader", "max_lag": "10s", "on_source_loss": "warn"}`).Valid()
}

func TestTheEnvironmentChangesNothing(t *testing.T) {
	for name, value := range map[string]string{"PGHOST": "elsewhere", "PGPORT": "1", "PGUSER": "other", "PGSSLMODE": "verify-full", "PGPASSWORD": "x", "PGCONNECT_TIMEOUT": "7"} {
		t.Setenv(name, value)
	}
	base, err := baseOf(&Config{User: "vipward", Database: "postgres"})
	if err != nil || base.User != "vipward" || base.Password != "" || base.TLSConfig != nil || base.ConnectTimeout != 0 || len(base.Fallbacks) > 0 {
		t.Errorf("the driver is configured with %+v, %v", base, err)
	}
}

func TestARunHasOneConnection(t *testing.T) {
	address, connections := servers.Counting(t)
	for range 20 {
		if got := checked(t, address, Config{User: "vipward"}, ample); got != "fail: log in as vipward: the server closed the connection" {
			t.Errorf("check = %s", got)
		}
	}
	if n := connections(); n != 20 {
		t.Errorf("20 runs made %d connections", n)
	}
}
