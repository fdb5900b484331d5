package mysql

import (
	"context"
	"errors"
	"net/netip"
	"os"
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
		{"hangs up", servers.HangingUp(t), Config{}, ample, "fail: log in as vipward: the server closed the connection"},
		{"speaks another protocol", servers.Saying(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), Config{}, soon, "fail: log in as vipward: the answer is no MySQL protocol"},
		{
			"greets with an error", servers.Saying(t, "\x17\x00\x00\x00\xff\x10\x04Too many connections"),
			Config{},
			ample,
			"fail: log in as vipward: error 1040: Too many connections",
		},
		{
			"does not let this host in", servers.Saying(t, "\x13\x00\x00\x00\xff\x6a\x04Host not allowed"),
			Config{},
			ample,
			"error: log in as vipward: error 1130: Host not allowed",
		},
		{"has a name that does not resolve", netip.AddrPort{}, Config{Address: "db.invalid"}, ample, "error: the name db.invalid does not resolve: "},
		{"has a socket that is not there", netip.AddrPort{}, Config{Address: "/nowhere/socket"}, ample, "fail: dial unix /nowhere/socket: connect: no such file or directory"},
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

// healthy is the state of a server that nothing is wrong with.
func healthy() variables {
	return variables{
		"version": "10.11.1-MariaDB", "read_only": "OFF", "threads_connected": "9", "max_connections": "10", "wsrep_ready": "ON",
		"wsrep_connected": "ON", "wsrep_cluster_status": "Primary", "wsrep_cluster_size": "3", "wsrep_local_state": "4",
		"wsrep_local_state_comment": "Synced",
	}
}

func TestTheStateIsHeldAgainstTheConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		change variables
		want   string
	}{
		{"a writer", Config{Role: "writer"}, nil, ""},
		{"a writer that is read-only", Config{Role: "writer"}, variables{"read_only": "ON"}, "read_only is ON, want a writer"},
		{"a writer that is so for administrators, too", Config{Role: "writer"}, variables{"read_only": "ON", "super_read_only": "ON"}, "super_read_only is ON, want a writer"},
		{"a word of a newer server", Config{Role: "writer"}, variables{"read_only": "NO_LOCK"}, "read_only is ON, want a writer"},
		{"read-only as wanted", Config{ReadOnly: "on"}, variables{"read_only": "1"}, ""},
		{"not read-only", Config{ReadOnly: "on"}, variables{"read_only": "0"}, "read_only is OFF, want ON"},
		{"read-only", Config{ReadOnly: "off"}, variables{"read_only": "ON"}, "read_only is ON, want OFF"},
		{"connections at the limit", Config{MaxShare: 90}, nil, ""},
		{"above it", Config{MaxShare: 89}, nil, "9 of 10 connections are in use, more than 89 %"},
		{"a node of Galera", Config{Galera: &Galera{MinSize: 3}}, nil, ""},
		{"no node", Config{Galera: &Galera{}}, variables{"wsrep_cluster_status": ""}, "galera: the server is in no cluster"},
		{
			"a server without the provider",
			Config{Galera: &Galera{}},
			variables{"wsrep_cluster_status": "Disconnected", "wsrep_connected": "OFF", "wsrep_cluster_size": "0"},
			"galera: the server is in no cluster",
		},
		{
			"a node without a majority",
			Config{Galera: &Galera{}},
			variables{"wsrep_cluster_status": "non-Primary"},
			"galera: the cluster status is non-Primary, want Primary",
		},
		{
			"a node that joins",
			Config{Galera: &Galera{Donor: true}},
			variables{"wsrep_local_state": "1", "wsrep_local_state_comment": "Joining"},
			"galera: the state is Joining (1), want Synced (4)",
		},
		{
			"a donor",
			Config{Galera: &Galera{}},
			variables{"wsrep_local_state": "2", "wsrep_local_state_comment": "Donor/Desynced"},
			"galera: the state is Donor/Desynced (2), want Synced (4)",
		},
		{"a donor that is fine", Config{Galera: &Galera{Donor: true}}, variables{"wsrep_local_state": "2"}, ""},
		{"a node that is not ready", Config{Galera: &Galera{}}, variables{"wsrep_ready": "OFF"}, "galera: wsrep_ready is OFF"},
		{"a cluster that is too small", Config{Galera: &Galera{MinSize: 4}}, nil, "galera: the cluster has 3 nodes, want at least 4"},
	} {
		v := healthy()
		for name, value := range tt.change {
			v[name] = value
		}
		if got := tt.config.judgeGalera(v) + tt.config.judgeRole(v) + tt.config.judgeConnections(v); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTheReplicationIsHeldAgainstTheConfiguration(t *testing.T) {
	row := func(change ...string) map[string]string {
		r := map[string]string{
			"Connection_name": "", "Master_Host": "10.0.0.1", "Master_Port": "3306", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes",
			"Seconds_Behind_Master": "5", "Last_IO_Errno": "0", "Last_SQL_Errno": "0",
		}
		for i := 0; i < len(change); i += 2 {
			r[change[i]] = change[i+1]
		}
		return r
	}
	lost := row("Slave_IO_Running", "Connecting", "Last_IO_Errno", "2003", "Last_IO_Error", "cannot\n connect")
	delete(lost, "Seconds_Behind_Master")
	reader := Config{Role: "reader", MaxLag: 10 * time.Second}
	for _, tt := range []struct {
		name   string
		config Config
		rows   []map[string]string
		state  variables
		want   string
		lag    float64
	}{
		{"a replica", reader, []map[string]string{row()}, nil, "pass", 5},
		{"one that lags", reader, []map[string]string{row("Seconds_Behind_Master", "11")}, nil, "fail: replication lags 11s behind, limit 10s", 11},
		{
			"one whose source refuses it", reader,
			[]map[string]string{row("Slave_IO_Running", "No", "Last_IO_Errno", "1045", "Last_IO_Error", "Access denied")},
			nil,
			"fail: replication stopped: IO thread No: error 1045: Access denied", 5,
		},
		{
			"one that cannot apply", reader,
			[]map[string]string{row("Slave_SQL_Running", "No", "Last_SQL_Errno", "1062", "Last_SQL_Error", "Duplicate entry")},
			nil,
			"fail: replication stopped: SQL thread No: error 1062: Duplicate entry", 5,
		},
		{
			"one that an operator stopped", reader,
			[]map[string]string{row("Slave_IO_Running", "No", "Slave_SQL_Running", "No")},
			nil,
			"fail: replication stopped: SQL thread No", 5,
		},
		{"one whose source is gone", reader, []map[string]string{lost}, nil, "fail: replication is not connected to 10.0.0.1:3306: IO thread Connecting: error 2003: cannot connect", 0},
		{
			"one that may go on without",
			Config{Role: "reader", MaxLag: 10 * time.Second, OnSourceLoss: "warn"},
			[]map[string]string{lost},
			nil,
			"warn: replication is not connected to 10.0.0.1:3306: IO thread Connecting: error 2003: cannot connect", 0,
		},
		{
			"one of two sources", reader,
			[]map[string]string{row("Connection_name", "eu"), row("Connection_name", "us", "Seconds_Behind_Master", "60")},
			nil,
			`fail: replication "us" lags 1m0s behind, limit 10s`, 60,
		},
		{"the names of MySQL 8", reader, []map[string]string{{
			"Channel_Name": "", "Source_Host": "10.0.0.1", "Source_Port": "3306", "Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes",
			"Seconds_Behind_Source": "12",
		}}, nil, "fail: replication lags 12s behind, limit 10s", 12},
		{"a server that replicates from nobody", reader, nil, nil, "fail: no replication is configured, want a replica", 0},
		{"the writer, which may read", Config{Role: "reader", AllowWriter: true}, nil, nil, "pass", 0},
		{
			"a replica that lost its source for good",
			Config{Role: "reader", AllowWriter: true},
			nil,
			variables{"read_only": "ON"},
			"fail: no replication is configured and read_only is ON, want a replica or a writer", 0,
		},
	} {
		var channels []channel
		for _, r := range tt.rows {
			channels = append(channels, channelOf(r))
		}
		f := figures{}
		if got := tt.config.judgeReplication(tt.state, channels, f).String(); got != tt.want || f["lag_seconds"] != tt.lag {
			t.Errorf("%s: %s, lag %v, want %s, lag %v", tt.name, got, f["lag_seconds"], tt.want, tt.lag)
		}
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
		{Config{MaxLag: time.Second}, `max_lag: only a replica lags: set role = "reader" or replication = true`},
		{Config{MaxLag: time.Second, Replication: true}, ""},
		{Config{AllowWriter: true}, `allow_writer: it is for role = "reader"`},
		{Config{AllowWriter: true, Role: "reader", Replication: true}, "allow_writer: a writer does not replicate, which replication = true wants"},
		{Config{Role: "writer", ReadOnly: "on"}, "read_only: a writer is not read-only"},
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
	mysql := plugintest.Checker(t, "mysql", check, summary())
	mysql.Config(`{"user": "a", "tls": {"ca_file": "` + file + `"}}`).Against(servers.Refusing(t).String()).Error("configuration: open " + file)
	mysql.Config(`{}`).Invalid("user", "required")
	mysql.Config(`{"user": "a", "password": "p", "role": "reader", "max_lag": "10s", "on_source_loss": "warn"}`).Valid()
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	mysql.Config(`{"user": "a", "tls": {"ca_file": "` + file + `"}}`).Against(servers.Refusing(t).String()).Error("no certificate")
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
