package udp

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vipward/vipward/sdk/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server sends back what answer makes of a datagram; nil is silence.
func server(t *testing.T, answer func(string) []byte) string {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			if m := answer(string(buf[:n])); m != nil {
				_, _ = l.WriteTo(m, from) // one that is lost shows in the test
			}
		}
	}()
	return l.LocalAddr().String()
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.LocalAddr().String()
}

func checker(t *testing.T, config string) plugintest.CheckerTest {
	t.Helper()
	return plugintest.Checker(t, "udp", check, summary()).Config(config).Timeout(20 * time.Second)
}

// talkative knows some questions.
func talkative(question string) []byte {
	switch question {
	case "ping":
		return []byte("pong 17")
	case "\x0a\x1b\x02":
		return []byte{0xff, 0x42, 0x00, 0x17}
	case "long":
		return []byte(strings.Repeat("x", 300))
	case "nothing":
		return []byte{}
	case "silence":
		return nil
	}
	return []byte("what?")
}

func TestAReplyIsJudgedByWhatIsConfigured(t *testing.T) {
	address := server(t, talkative)
	for _, tt := range []struct{ name, config, want string }{
		{"a reply that nobody waits for", `{}`, "pass"},
		{"any reply", `{"payload": "ping", "require_reply": true}`, "pass"},
		{"an empty one", `{"payload": "nothing", "require_reply": true}`, "pass"},
		{"a text", `{"payload": "ping", "reply": "pong"}`, "pass"},
		{"another text", `{"payload": "pong", "reply": "pong"}`, `fail: the reply "what?" does not begin with "pong"`},
		{"bytes", `{"payload_hex": "0A1B 2", "reply_hex": "ff42 00"}`, "pass"},
		{"digits that do not matter", `{"payload_hex": "0a 1b 02", "reply_hex": "fX 4x xx 17"}`, "pass"},
		{"a digit that does", `{"payload_hex": "0a 1b 02", "reply_hex": "xx xx 1x"}`, "fail: the reply ff420017 does not begin with xxxx1x"},
		{"shorter than what is expected", `{"payload_hex": "0a 1b 02", "reply_hex": "ff 42 00 17 99"}`, "fail: the reply ff420017 has 4 bytes, want at least 5"},
		{"as much of it as may be", `{"payload_hex": "0a 1b 02", "reply_hex": "ff 42 00 17 99", "min_length": 1}`, "pass"},
		{"shorter than it may be", `{"payload": "nothing", "min_length": 1}`, `fail: the reply "" has 0 bytes, want at least 1`},
		{"longer than it may be", `{"payload": "long", "max_length": 255}`, `fail: the reply "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… has more than 255 bytes`},
		{"as long as it may be", `{"payload": "ping", "min_length": 7, "max_length": 7}`, "pass"},
	} {
		if got := checker(t, tt.config).Against(address).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	checker(t, `{"payload": "ping", "reply": "pong"}`).Against(address).Value("reply_bytes", 7)
}

func TestSilence(t *testing.T) {
	address := server(t, talkative)
	const quiet = `"payload": "silence"`
	for _, tt := range []struct{ name, config, want string }{
		{"is fine where no reply is needed", `{` + quiet + `}`, "pass"},
		{"is a failure where one is", `{` + quiet + `, "require_reply": true}`, "fail: no reply in time"},
		{"is a failure where something is expected of one", `{` + quiet + `, "max_length": 9}`, "fail: no reply in time"},
	} {
		if got := checker(t, tt.config).Timeout(300 * time.Millisecond).Against(address).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	began := time.Now()
	checker(t, `{`+quiet+`, "wait": "50ms"}`).Against(address).Pass()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a wait of 50ms took %v", took)
	}
}

func TestHowLongSilenceIsEnough(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct{ timeout, wait, want time.Duration }{
		{time.Second, 0, 900 * time.Millisecond},
		{5 * time.Second, 0, 4750 * time.Millisecond},
		{5 * time.Second, time.Second, time.Second},
		{time.Second, time.Minute, 900 * time.Millisecond},
	} {
		ctx, cancel := context.WithDeadline(t.Context(), now.Add(tt.timeout))
		c := Config{Wait: tt.wait}
		if got := c.until(ctx, now).Sub(now); got != tt.want {
			t.Errorf("a timeout of %v and a wait of %v: %v, want %v", tt.timeout, tt.wait, got, tt.want)
		}
		cancel()
	}
}

func TestWhereNobodyListens(t *testing.T) {
	for _, config := range []string{`{}`, `{"require_reply": true}`, `{"payload": "ping", "reply": "pong"}`} {
		if got, want := checker(t, config).Against(refusing(t)).String(), "fail: connection refused"; got != want {
			t.Errorf("%s: %s, want %s", config, got, want)
		}
	}
	for _, tt := range []struct{ name, config, address, want string }{
		{"nobody to send to", `{}`, "", "error: a check of the node itself needs address"},
		{"no port", `{}`, "127.0.0.1:0", "error: the target has no port: set port"},
		{"no port in the address", `{"address": "127.0.0.1"}`, "", "error: the target has no port: set port"},
		{"a name that is none", `{"address": "no..host:53"}`, "", "error: the name no..host does not resolve: no such host"},
	} {
		if got := checker(t, tt.config).Against(tt.address).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestHexAsKeepalivedReadsIt(t *testing.T) {
	for _, tt := range []struct{ hex, want string }{
		{"Ab12f 3 456 546443123", "ab120f03450654644312" + "03"}, // the example of keepalived.conf(5)
		{"x", "0x"},
		{"xX 1X x", "xx1x0x"},
		{"", ""},
	} {
		p, err := parseHex(tt.hex)
		if got := p.digits(); got != tt.want || err != nil {
			t.Errorf("%q is %s, %v, want %s", tt.hex, got, err, tt.want)
		}
	}
	if _, err := parseHex("12 0g"); err == nil || err.Error() != `"12 0g": 'g' is no hex digit` {
		t.Errorf("a digit that is none: %v", err)
	}
}

func TestConfiguration(t *testing.T) {
	checker(t, `{}`).Valid()
	checker(t, `{"address": "log.example:514", "payload": "<14>vipward", "wait": "1s"}`).Valid()
	for _, tt := range []struct{ config, path, want string }{
		{`{"payload": "a", "payload_hex": "00"}`, "payload_hex", "payload and payload_hex exclude each other"},
		{`{"reply": "a", "reply_hex": "00"}`, "reply_hex", "reply and reply_hex exclude each other"},
		{`{"payload_hex": "0x"}`, "payload_hex", "an x stands for any digit: that is for what is expected, not for what is sent"},
		{`{"payload_hex": "zz"}`, "payload_hex", "'z' is no hex digit"},
		{`{"reply_hex": "-1"}`, "reply_hex", "'-' is no hex digit"},
		{`{"payload": "` + strings.Repeat("a", 65508) + `"}`, "payload", "65508 bytes are more than a datagram carries, which is 65507"},
		{`{"min_length": 9, "max_length": 8}`, "min_length", "9 is more than max_length, which is 8"},
		{`{"reply": "123456789", "max_length": 8}`, "max_length", "the reply that is expected is longer: it has 9 bytes"},
		{`{"wait": "1s", "reply": "x"}`, "wait", "it is for a check without a reply"},
		{`{"address": "/run/udp"}`, "address", "UDP has no socket by path"},
	} {
		checker(t, tt.config).Invalid(tt.path, tt.want)
	}
}

func FuzzHex(f *testing.F) {
	f.Add("Ab12f 3 x")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseHex(s)
		if err != nil {
			return
		}
		again, err := parseHex(p.digits())
		if err != nil || again.digits() != p.digits() {
			t.Errorf("%q is %s, and that is %s, %v", s, p.digits(), again.digits(), err)
		}
	})
}
