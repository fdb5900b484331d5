package ping

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replyTo is the reply to a request, or a message of another type.
func replyTo(request []byte, kind byte) []byte {
	reply := slices.Clone(request)
	reply[0] = kind
	return reply
}

// against is a socket to somebody who answers the requests, counted from 0, with the messages that answer gives.
func against(t *testing.T, answer func(n int, request []byte) [][]byte) socket {
	t.Helper()
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for n := 0; ; n++ {
			size, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, m := range answer(n, slices.Clone(buf[:size])) {
				_, _ = l.WriteTo(m, from) // one that is lost shows in the test
			}
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	conn, err := net.DialUDP("udp4", nil, l.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return socket{conn}
}

// rounds exchanges count requests within a time.
func rounds(t *testing.T, s socket, count int, within time.Duration) round {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r, err := s.exchange(ctx, newEchoes(false, 56), count, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRepliesAreKnownFromOtherMessages(t *testing.T) {
	others := func(_ int, request []byte) [][]byte {
		foreign := replyTo(request, 0)
		foreign[len(foreign)-1]++ // of another program
		late := replyTo(request, 0)
		late[7] = 200 // a number that has not been sent
		return [][]byte{replyTo(request, 8), replyTo(request, 129), foreign, late, {}, {0}, []byte("220 mail ready"), replyTo(request, 0)[:12]}
	}
	r := rounds(t, against(t, others), 3, 300*time.Millisecond)
	if r.sent != 3 || len(r.trips) != 0 {
		t.Errorf("%d of %d requests are answered, want none of 3", len(r.trips), r.sent)
	}
	twice := func(n int, request []byte) [][]byte {
		return append(others(n, request), replyTo(request, 0), replyTo(request, 0))
	}
	if r := rounds(t, against(t, twice), 3, 30*time.Second); len(r.trips) != 3 {
		t.Errorf("%d requests are answered, want 3: each counts once", len(r.trips))
	}
}

func TestALostRequestIsWaitedForToTheDeadline(t *testing.T) {
	second := func(n int, request []byte) [][]byte {
		if n == 1 {
			return nil
		}
		return [][]byte{replyTo(request, 0)}
	}
	began := time.Now()
	r := rounds(t, against(t, second), 4, 500*time.Millisecond)
	if r.sent != 4 || len(r.trips) != 3 || r.why() != "no answer in time" {
		t.Errorf("%d of %d requests are answered, %s, want 3 of 4", len(r.trips), r.sent, r.why())
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("the round took %v, want the time that it has", took)
	}
}

func TestWhatTheNetworkSaysEndsTheWaiting(t *testing.T) {
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", nil, l.LocalAddr().(*net.UDPAddr))
	l.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	r := rounds(t, socket{conn}, 3, time.Minute)
	if took := time.Since(began); took > 50*time.Second {
		t.Errorf("the round took %v: it waits for replies that will not come", took)
	}
	if r.sent != 3 || len(r.trips) != 0 || r.why() != "connection refused" {
		t.Errorf("%d of %d answered, %s; want 0 of 3, connection refused", len(r.trips), r.sent, r.why())
	}
}

func TestARoundIsJudgedByItsLimits(t *testing.T) {
	addr := netip.MustParseAddr("10.0.0.1")
	ms := time.Millisecond
	for _, tt := range []struct {
		name   string
		config Config
		round  round
		want   string
	}{
		{"all are back", Config{}, round{sent: 2, trips: []time.Duration{ms, ms}}, "pass"},
		{"the only one is lost", Config{}, round{sent: 1}, "fail: ping 10.0.0.1: no answer to 1 request: no answer in time"},
		{"all are lost, and any loss but that is allowed", Config{MaxLoss: 99}, round{sent: 3, trouble: syscall.EHOSTUNREACH}, "fail: ping 10.0.0.1: no answer to 3 requests: no route to host"},
		{"one of three is lost", Config{}, round{sent: 3, trips: []time.Duration{ms, ms}}, "fail: ping 10.0.0.1: 1 of 3 requests lost, 33 %, want at most 0 %: no answer in time"},
		{"as many as may be", Config{MaxLoss: 50}, round{sent: 2, trips: []time.Duration{ms}}, "pass"},
		{"more than may be", Config{MaxLoss: 50}, round{sent: 4, trips: []time.Duration{ms}}, "fail: ping 10.0.0.1: 3 of 4 requests lost, 75 %, want at most 50 %: no answer in time"},
		{"fast enough on average", Config{MaxRoundTrip: 3 * ms}, round{sent: 2, trips: []time.Duration{ms, 5 * ms}}, "pass"},
		{"too slow", Config{MaxRoundTrip: 2 * ms}, round{sent: 2, trips: []time.Duration{ms, 5 * ms}}, "fail: ping 10.0.0.1: the round trip takes 3ms on average, want at most 2ms"},
	} {
		if got := tt.config.judge(addr, tt.round).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestMessages(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		e := newEchoes(v6, 8)
		request, err := e.request(7)
		if err != nil {
			t.Fatal(err)
		}
		kind := byte(0)
		if v6 {
			kind = 129
		}
		if seq, ok := e.answers(replyTo(request, kind)); seq != 7 || !ok || len(request) != 16 {
			t.Errorf("IPv6 %v: the reply answers %d, %v, and has %d bytes", v6, seq, ok, len(request))
		}
		if _, ok := e.answers(request); ok {
			t.Errorf("IPv6 %v: the request itself is taken for a reply", v6)
		}
		if _, ok := newEchoes(v6, 8).answers(replyTo(request, kind)); ok {
			t.Errorf("IPv6 %v: the reply to another run is taken", v6)
		}
	}
}

func FuzzAMessageFromAnywhere(f *testing.F) {
	e := newEchoes(false, 56)
	request, _ := e.request(1)
	f.Add(replyTo(request, 0), false)
	f.Add([]byte{129}, true)
	f.Fuzz(func(_ *testing.T, message []byte, v6 bool) { echoes{v6: v6, data: e.data}.answers(message) })
}

func TestConfiguration(t *testing.T) {
	c := plugintest.Checker(t, "ping", check, summary())
	c.Valid()
	c.Config(`{"address": "gateway.example", "count": 5, "gap": "20ms", "size": 1000, "max_loss_percent": 40, "max_round_trip": "20ms"}`).Valid()
	c.Config(`{"address": "2001:db8::1"}`).Valid()
	c.Config(`{"address": "10.0.0.1:80"}`).Invalid("address", `"10.0.0.1:80" is no host and no address; ICMP has no ports`)
	c.Config(`{"address": "a b"}`).Invalid("address", `"a b" is no host`)
	c.Config(`{"count": 0}`).Invalid("count", "0 is out of range: 1 to 100")
	c.Config(`{"size": 7}`).Invalid("size", "7 is out of range: 8 to 65000")
	c.Config(`{"max_loss_percent": 100}`).Invalid("max_loss_percent", "out of range")
	for _, tt := range []struct{ config, want string }{
		{`{}`, "error: a check of the node itself needs address"},
		{`{"address": "no..host"}`, "error: the name no..host does not resolve: no such host"},
		{`{"address": "127.0.0.1", "count": 100, "gap": "1s"}`, "error: 100 requests with a gap of 1s do not fit into the timeout"},
	} {
		if got := c.Config(tt.config).Against("").String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.config, got, tt.want)
		}
	}
}

func TestTroublesOfThisNodeSayNothingAboutTheTarget(t *testing.T) {
	addr := netip.MustParseAddr("10.0.0.1")
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errNoPermission, "error: ping 10.0.0.1: no permission for ICMP: give the plugin the capability NET_RAW"},
		{syscall.EADDRNOTAVAIL, "error: ping 10.0.0.1: cannot assign requested address"},
		{syscall.ENETUNREACH, "fail: ping 10.0.0.1: network is unreachable"},
	} {
		if got := unable(addr, tt.err).String(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
	}
	var target sdk.Target
	if _, err := (&Config{}).where(t.Context(), target); err == nil {
		t.Error("a check of nothing has an address")
	}
}
