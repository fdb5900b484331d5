package syslog

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// patience is the deadline of what must happen, however busy the machine is.
const patience = 60 * time.Second

func logger(t *testing.T, config string, args ...any) plugintest.NotifierTest {
	t.Helper()
	n := plugintest.Notifier(t, "syslog", notify).Config(fmt.Sprintf(config, args...)).Timeout(patience)
	n.Valid()
	return n
}

var down = sdk.Event{
	Seq: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 600_000, time.UTC), Node: "lb 1", Code: "real_server.state", Severity: "warning",
	Kind: "real_server", Subject: "10.0.0.11:80", Service: "we]b", From: "up", To: "down", Reason: "said \"no\"\nand left",
}

func TestForms(t *testing.T) {
	h := header{facility: facilities()["local3"], name: "vipward", pid: 42}
	const want = `<156>1 2026-01-02T03:04:05.000600Z lb_1 vipward 42 real_server.state ` +
		`[vipward@32473 seq="7" code="real_server.state" severity="warning" kind="real_server" subject="10.0.0.11:80" service="we\]b" from="up" to="down" priority="0"] ` +
		`real server 10.0.0.11:80 of we]b: up -> down (said "no" and left)`
	if got := string(h.rfc5424(down)); got != want {
		t.Errorf("rfc5424 = %s, want %s", got, want)
	}
	if got, want := string(h.bsd(down)), fmt.Sprintf(`<156>%s vipward[42]: real server 10.0.0.11:80 of we]b: up -> down (said "no" and left)`, down.Time.Local().Format(time.Stamp)); got != want {
		t.Errorf("bsd = %s, want %s", got, want)
	}
	if got := string(h.rfc5424(sdk.Event{})); !strings.HasPrefix(got, "<158>1 0001-01-01T00:00:00.000000Z - vipward 42 - [vipward@32473 seq=") {
		t.Errorf("rfc5424 of nothing = %s", got)
	}
	long := down
	long.Reason = strings.Repeat("ä", maxMessage)
	if got := h.rfc5424(long); len(got) > maxMessage || len(got) < maxMessage-1 {
		t.Errorf("a message has %d bytes, want at most %d", len(got), maxMessage)
	}
}

func TestPriorities(t *testing.T) {
	for _, tt := range []struct {
		facility, severity string
		want               int
	}{
		{"kern", "critical", 2},
		{"daemon", "info", 30},
		{"daemon", "warning", 28},
		{"daemon", "unheard of", 30},
		{"authpriv", "info", 86},
		{"ftp", "info", 94},
		{"local0", "info", 134},
		{"local7", "critical", 186},
	} {
		if got := (header{facility: facilities()[tt.facility]}).priority(sdk.Event{Severity: tt.severity}); got != tt.want {
			t.Errorf("%s.%s = %d, want %d", tt.facility, tt.severity, got, tt.want)
		}
	}
}

// frame reads one message that is framed by its length.
func frame(r *bufio.Reader) (string, error) {
	length, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(length))
	if err != nil {
		return "", err
	}
	text := make([]byte, n)
	_, err = io.ReadFull(r, text)
	return string(text), err
}

func TestTCPIsFramedByLengthAndComesAgainAfterAnEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := logger(t, `{"address": "tcp://%s"}`, l.Addr())
	for life := range 3 {
		done := make(chan string, 1)
		go func() { // takes one connection, three messages, and goes
			conn, err := l.Accept()
			if err != nil {
				done <- err.Error()
				return
			}
			defer conn.Close()
			r, seen := bufio.NewReader(conn), ""
			for range 3 {
				text, err := frame(r)
				if err != nil {
					seen += err.Error()
					break
				}
				_, subject, _ := strings.Cut(text, `subject="`)
				seen += subject[:2] + " "
			}
			done <- seen
		}()
		for seq := range 3 {
			e := down
			e.Subject = fmt.Sprintf("i%d", seq)
			n.Events(e).Delivered()
		}
		select {
		case seen := <-done:
			if seen != "i0 i1 i2 " {
				t.Errorf("life %d of the receiver saw %q", life, seen)
			}
		case <-time.After(patience):
			t.Fatal("the receiver did not get its messages")
		}
	}
}

func TestAReceiverThatDoesNotReadIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it never takes a connection: the kernel does, up to its buffers
	n := logger(t, `{"address": "tcp://%s", "timeout": "100ms"}`, l.Addr())
	e := down
	e.Reason = strings.Repeat("x", maxMessage)
	for range 5000 {
		if r := n.Events(e); r.Reason() != "" {
			r.Retry("i/o timeout")
			return
		}
	}
	t.Error("40 MB were delivered to nobody")
}

func TestNobodyListens(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := conn.LocalAddr()
	conn.Close()
	logger(t, `{"address": "udp://%s"}`, addr).Events(down).Retry(fmt.Sprintf("udp://%s: nobody listens there", addr))
	logger(t, `{"address": "tcp://%s"}`, addr).Events(down).Retry("connection refused")
	path := filepath.Join(t.TempDir(), "log")
	logger(t, `{"address": %q}`, path).Events(down).Retry("no such file or directory")
}

func TestASocketOfStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	logger(t, `{"address": %q}`, path).Events(down).Delivered()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	text, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(text, "<28>") || !strings.Contains(text, "]: real server 10.0.0.11:80") {
		t.Errorf("the socket got %q, %v", text, err)
	}
}

func TestWhatTheBlockMaySay(t *testing.T) {
	for _, tt := range []struct{ config, path, want string }{
		{`{}`, "", ""},
		{`{"address": "tls://log.example.com", "tls": {}}`, "", ""},
		{`{"address": "udp://[::1]"}`, "", ""},
		{`{"address": "log.example.com"}`, "address", "is no address"},
		{`{"address": "http://a:1"}`, "address", "is no address"},
		{`{"address": "tcp://a:1/b"}`, "address", "is no address"},
		{`{"address": "tcp://a:1", "tls": {}}`, "tls", "only tls:// speaks TLS"},
		{`{"facility": "local8"}`, "facility", ""},
		{`{"name": "a b"}`, "name", ""},
	} {
		n := plugintest.Notifier(t, "syslog", notify).Config(tt.config)
		if tt.path == "" {
			n.Valid()
		} else {
			n.Invalid(tt.path, tt.want)
		}
	}
	for text, want := range map[string]string{
		"udp://a": "a:514", "tcp://a": "a:601", "tls://[::1]": "[::1]:6514", "tcp://10.0.0.1:99": "10.0.0.1:99", "/run/log": "/run/log",
	} {
		if p, err := placeOf(text); err != nil || p.address != want {
			t.Errorf("placeOf(%q) = %+v, %v, want %s", text, p, err, want)
		}
	}
}
