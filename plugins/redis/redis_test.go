package redis

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
	return check(ctx, sdk.Target{Name: "cache", Address: address}, c).String()
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
		{"says nothing", servers.Silent(t), Config{}, soon, "fail: PING: no answer in time"},
		{"says nothing to a login", servers.Silent(t), Config{Password: "x"}, soon, "fail: AUTH: no answer in time"},
		{"says nothing to TLS", servers.Silent(t), Config{TLS: &tlsclient.Options{}}, soon, "fail: TLS: no answer in time"},
		{"says half a line", servers.Saying(t, "+PO"), Config{}, soon, "fail: PING: no answer in time"},
		{"says half a text", servers.Saying(t, "$9\r\nPO"), Config{}, soon, "fail: PING: no answer in time"},
		{"hangs up", servers.HangingUp(t), Config{}, ample, "fail: PING: the server closed the connection"},
		{"speaks another protocol", servers.Saying(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), Config{}, ample, "fail: PING: the answer is no Redis protocol"},
		{"begins in another protocol", servers.Saying(t, "\x16\x03\x01"), Config{}, soon, "fail: PING: the answer is no Redis protocol"},
		{"ends its lines otherwise", servers.Saying(t, "+PONG\n"), Config{}, ample, "fail: PING: the answer is no Redis protocol"},
		{"has a line without an end", servers.Saying(t, "+"+strings.Repeat("x", maxLine)), Config{}, ample, "fail: PING: the answer is no Redis protocol"},
		{"has a length that is none", servers.Saying(t, "$-2\r\n"), Config{}, ample, "fail: PING: the answer is no Redis protocol"},
		{"has a text without an end", servers.Saying(t, "$999999999\r\n"), Config{}, ample, "fail: PING: the answer is longer than 1048576 bytes"},
		{"gives another answer", servers.Saying(t, "+OK\r\n"), Config{}, ample, `fail: PING: "OK", want PONG`},
		{"gives the answer as a text", servers.Saying(t, "$4\r\nPONG\r\n"), Config{}, ample, "pass"},
		{"gives nothing", servers.Saying(t, "$-1\r\n"), Config{}, ample, `fail: PING: "", want PONG`},
		{"loads its data", servers.Saying(t, "-LOADING Redis is loading the dataset in memory\r\n"), Config{}, ample, "fail: PING: LOADING Redis is loading the dataset in memory"},
		{"wants a password", servers.Saying(t, "-NOAUTH Authentication required.\r\n"), Config{}, ample, "error: PING: NOAUTH Authentication required."},
		{"is full", servers.Saying(t, "-ERR max number of clients reached\r\n"), Config{}, ample, "fail: PING: ERR max number of clients reached"},
		{"has a name that does not resolve", netip.AddrPort{}, Config{Address: "cache.invalid"}, ample, "error: the name cache.invalid does not resolve: "},
		{"has a socket that is not there", netip.AddrPort{}, Config{Address: "/nowhere/socket"}, ample, "fail: dial unix /nowhere/socket: connect: no such file or directory"},
		{"has no address", netip.AddrPort{}, Config{}, ample, "error: a check of the node itself needs address"},
		{
			"has a password that cannot be read", servers.Silent(t),
			Config{PasswordFile: "/nowhere/password"},
			ample,
			"error: password_file: open /nowhere/password: no such file or directory",
		},
	} {
		got := checked(t, tt.address, tt.config, tt.timeout)
		if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("a target that %s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTheReplicationIsHeldAgainstTheConfiguration(t *testing.T) {
	const (
		master  = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"
		replica = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n"
		linked  = replica + "master_link_status:up\r\nmaster_last_io_seconds_ago:7\r\nmaster_sync_in_progress:0\r\nslave_read_repl_offset:120\r\nslave_repl_offset:100\r\n"
		lost    = replica + "master_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:0\r\nmaster_link_down_since_seconds:75\r\n"
		never   = replica + "master_link_status:down\r\nmaster_sync_in_progress:0\r\nmaster_link_down_since_seconds:-1\r\n"
		copying = replica + "master_link_status:down\r\nmaster_sync_in_progress:1\r\n"
	)
	for _, tt := range []struct {
		name   string
		config Config
		info   string
		want   string
	}{
		{"a master", Config{Role: "master"}, master, "pass"},
		{"a replica as master", Config{Role: "master"}, linked, "fail: the server is a replica of 10.0.0.1:6379, want a master"},
		{"a master as replica", Config{Role: "replica"}, master, "fail: the server is a master, want a replica"},
		{"a replica", Config{Role: "replica", MaxLag: 7 * time.Second}, linked, "pass"},
		{"a replica that hears nothing", Config{Role: "replica", MaxLag: 6 * time.Second}, linked, "fail: the replica has not heard of its master 10.0.0.1:6379 for 7s, limit 6s"},
		{"a replica without its master", Config{Role: "replica"}, lost, "fail: the link to the master 10.0.0.1:6379 is down since 1m15s"},
		{"which may be", Config{Role: "replica", OnSourceLoss: "warn", MaxLag: time.Second}, lost, "warn: the link to the master 10.0.0.1:6379 is down since 1m15s"},
		{"a replica that never had one", Config{Role: "replica"}, never, "fail: the link to the master 10.0.0.1:6379 is down"},
		{
			"a replica that copies",
			Config{Role: "replica", OnSourceLoss: "warn"},
			copying,
			"fail: the replica is copying the data of 10.0.0.1:6379, and has not all of it yet",
		},
		{"no role", Config{Role: "master"}, "redis_mode:sentinel\r\n", `fail: INFO: the role is "", want a master`},
	} {
		if got := tt.config.judgeReplication(infoOf(tt.info), figures{}).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	f := figures{}
	infoOf(linked).report(f)
	if f["lag_seconds"] != 7 || f["lag_bytes"] != 20 {
		t.Errorf("the figures of a replica are %v, want a lag of 7 s and 20 bytes", f)
	}
}

func TestValidatePointsAtTheFault(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{}, ""},
		{Config{User: "a"}, "user: a user has a password: set password or password_file"},
		{Config{User: "a", PasswordFile: "f"}, ""},
		{Config{MaxLag: time.Second, Role: "master"}, `max_lag: only a replica lags: set role = "replica"`},
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
	redis := plugintest.Checker(t, "redis", check, summary())
	redis.Config(`{"tls": {"ca_file": "` + file + `"}}`).Against(servers.Refusing(t).String()).Error("configuration: open " + file)
	redis.Config(`{"password": "p", "role": "replica", "max_lag": "30s", "on_source_loss": "warn"}`).Valid()
	redis.Config(`{"role": "slave"}`).Invalid("role", `"slave" is not one of master, replica`)
}
