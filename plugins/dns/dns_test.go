package dns

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/vipward/vipward/sdk/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// response is what a server of the tests makes of a query.
type response func(q dnsmessage.Message) []byte

// pack is a response to q with what edit does to it.
func pack(q dnsmessage.Message, edit func(m *dnsmessage.Message)) []byte {
	q.Response, q.Questions = true, slices.Clone(q.Questions)
	if edit != nil {
		edit(&q)
	}
	b, err := q.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// a answers with addresses, behind an alias.
func a(addresses ...[4]byte) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		header := func(t dnsmessage.Type) dnsmessage.ResourceHeader {
			return dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: t, Class: dnsmessage.ClassINET}
		}
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: header(dnsmessage.TypeCNAME), Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("real.example.")},
		})
		for _, addr := range addresses {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header(dnsmessage.TypeA), Body: &dnsmessage.AResource{A: addr}})
		}
	}
}

// server answers by UDP with the messages of udp, and by TCP with that of tcp, on one port. A nil function says nothing.
func server(t *testing.T, udp func(q dnsmessage.Message) [][]byte, tcp response) string {
	t.Helper()
	l, p := listen(t)
	t.Cleanup(func() {
		l.Close()
		p.Close()
	})
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if udp == nil || q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, m := range udp(q) {
				_, _ = p.WriteTo(m, from) // one that is lost shows in the test
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveTCP(c, tcp)
		}
	}()
	return l.Addr().String()
}

// listen takes a port that is free for both protocols.
func listen(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, p
		}
		l.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// serveTCP answers one query, then waits for the end of the connection.
func serveTCP(c net.Conn, tcp response) {
	defer c.Close()
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	var q dnsmessage.Message
	if _, err := io.ReadFull(c, buf); err != nil || q.Unpack(buf) != nil {
		return
	}
	if tcp != nil {
		_, _ = c.Write(tcp(q)) // as above
	}
	_, _ = io.Copy(io.Discard, c)
}

// framed is a message with its length, as TCP has it.
func framed(m []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...) }

func once(edit func(*dnsmessage.Message)) func(dnsmessage.Message) [][]byte {
	return func(q dnsmessage.Message) [][]byte { return [][]byte{pack(q, edit)} }
}

func checker(t *testing.T, config string) plugintest.CheckerTest {
	t.Helper()
	return plugintest.Checker(t, "dns", check, summary()).Config(config).Timeout(20 * time.Second)
}

func TestAnAnswerIsJudgedByWhatIsConfigured(t *testing.T) {
	two := server(t, once(a([4]byte{10, 0, 0, 2}, [4]byte{10, 0, 0, 1})), nil)
	none := server(t, once(nil), nil)
	missing := server(t, once(func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError }), nil)
	broken := server(t, once(func(m *dnsmessage.Message) { m.RCode, m.Questions = dnsmessage.RCodeFormatError, nil }), nil)
	const ask = `"name": "www.example", "type": "A"`
	for _, tt := range []struct {
		name, server, config, want string
	}{
		{"any answer", two, ask, "pass"},
		{"exactly these, in any order", two, ask + `, "answers": ["10.0.0.1", "10.0.0.2"]`, "pass"},
		{"one too many", two, ask + `, "answers": ["10.0.0.1"]`, "fail: A www.example by UDP: 10.0.0.1, 10.0.0.2, want 10.0.0.1"},
		{"one of these", two, ask + `, "answer_one_of": ["10.0.0.9", "10.0.0.1"]`, "pass"},
		{"none of these", two, ask + `, "answer_one_of": ["10.0.0.9", "10.0.0.8"]`, "fail: A www.example by UDP: 10.0.0.1, 10.0.0.2, want one of 10.0.0.9, 10.0.0.8"},
		{"an expression", two, ask + `, "answer_regexp": "^10\\."`, "pass"},
		{"an expression that matches none", two, ask + `, "answer_regexp": "^192"`, "fail: A www.example by UDP: 10.0.0.1, 10.0.0.2, want a match of ^192"},
		{"enough", two, ask + `, "min_answers": 2, "max_answers": 2`, "pass"},
		{"too few", two, ask + `, "min_answers": 3`, "fail: A www.example by UDP: 2 records, want at least 3: 10.0.0.2, 10.0.0.1"},
		{"too many", two, ask + `, "max_answers": 1`, "fail: A www.example by UDP: 2 records, want at most 1: 10.0.0.2, 10.0.0.1"},
		{"no authority", two, ask + `, "authoritative": true`, "fail: A www.example by UDP: the answer is not authoritative"},
		{"no record, and none wanted", none, `"name": "."`, "pass"},
		{"no record, and some wanted", none, ask + `, "answers": ["10.0.0.1"]`, "fail: A www.example by UDP: no record, want 10.0.0.1"},
		{"too few, which is none", none, ask + `, "min_answers": 1`, "fail: A www.example by UDP: 0 records, want at least 1: no record"},
		{"a name that is not there", missing, ask, "fail: A www.example by UDP: response code NXDOMAIN, want NOERROR"},
		{"a name that is not to be there", missing, ask + `, "rcode": ["NXDOMAIN"]`, "pass"},
		{"a refusal without the question", broken, ask, "fail: A www.example by UDP: response code FORMERR, want NOERROR"},
	} {
		if got := checker(t, "{"+tt.config+"}").Against(tt.server).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	checker(t, "{"+ask+"}").Against(two).Value("answers", 2)
}

func TestWhatIsNoAnswer(t *testing.T) {
	forged := func(q dnsmessage.Message) [][]byte {
		other := q
		other.ID++
		more := pack(q, nil)
		binary.BigEndian.PutUint16(more[6:], 9) // says that it has 9 answers
		return [][]byte{pack(other, a([4]byte{6, 6, 6, 6})), []byte("220 mail ready"), {}, pack(q, func(m *dnsmessage.Message) {
			m.Questions[0].Name = dnsmessage.MustNewName("other.example.")
		}), more}
	}
	good := func(q dnsmessage.Message) [][]byte { return append(forged(q), pack(q, a([4]byte{10, 0, 0, 1}))) }
	const config = `{"name": "www.example", "type": "A", "answers": ["10.0.0.1"]}`
	if got := checker(t, config).Against(server(t, good, nil)).String(); got != "pass" {
		t.Errorf("an answer after forged ones: %s, want pass", got)
	}
	short := func(udp func(dnsmessage.Message) [][]byte) string {
		return checker(t, config).Timeout(300 * time.Millisecond).Against(server(t, udp, nil)).String()
	}
	if got, want := short(nil), "fail: A www.example by UDP: no answer in time"; got != want {
		t.Errorf("silence: %s, want %s", got, want)
	}
	if got, want := short(forged), "fail: A www.example by UDP: no answer in time, but a message of 29 bytes that is not DNS"; got != want {
		t.Errorf("forged answers: %s, want %s", got, want)
	}
	foreign := func(q dnsmessage.Message) [][]byte { return forged(q)[:1] }
	if got, want := short(foreign), "fail: A www.example by UDP: no answer in time, but a message that is no answer to the query"; got != want {
		t.Errorf("the answer to another query: %s, want %s", got, want)
	}
}

func TestAnAnswerThatDoesNotFitComesByTCP(t *testing.T) {
	cut := once(func(m *dnsmessage.Message) { m.Truncated = true })
	const config = `{"name": "www.example", "type": "A", "answers": ["10.0.0.1"]}`
	const what = "A www.example by TCP, since it does not fit into UDP: "
	whole := func(q dnsmessage.Message) []byte { return framed(pack(q, a([4]byte{10, 0, 0, 1}))) }
	for _, tt := range []struct {
		name string
		tcp  response
		want string
	}{
		{"whole", whole, "pass"},
		{"another one", func(q dnsmessage.Message) []byte { return framed(pack(q, nil)) }, "fail: " + what + "no record, want 10.0.0.1"},
		{"truncated again", func(q dnsmessage.Message) []byte {
			return framed(pack(q, func(m *dnsmessage.Message) { m.Truncated = true }))
		}, "fail: " + what + "the answer is truncated"},
		{"garbage", func(dnsmessage.Message) []byte { return framed([]byte("220 mail")) }, "fail: " + what + "a message of 8 bytes that is not DNS"},
		{"half of it", func(q dnsmessage.Message) []byte { return whole(q)[:20] }, "fail: " + what + "no answer in time"},
		{"nothing", nil, "fail: " + what + "no answer in time"},
	} {
		timeout := 20 * time.Second
		if strings.HasSuffix(tt.want, "in time") {
			timeout = 500 * time.Millisecond
		}
		if got := checker(t, config).Timeout(timeout).Against(server(t, cut, tt.tcp)).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := checker(t, strings.Replace(config, "{", `{"protocol": "tcp", `, 1)).Against(server(t, nil, whole)).String(); got != "pass" {
		t.Errorf("by TCP alone: %s, want pass", got)
	}
}

func TestTheQueryIsAsConfigured(t *testing.T) {
	asked := make(chan dnsmessage.Message, 1)
	s := server(t, func(q dnsmessage.Message) [][]byte {
		asked <- q
		return [][]byte{pack(q, nil)}
	}, nil)
	for _, tt := range []struct{ config, name, kind, recursion string }{
		{`{}`, ".", "TypeSOA", "true"}, // as keepalived's DNS_CHECK
		{`{"name": "Example.COM", "type": "MX", "recursion": false}`, "Example.COM.", "TypeMX", "false"},
		{`{"name": "example.com.", "type": "TXT"}`, "example.com.", "TypeTXT", "true"},
	} {
		checker(t, tt.config).Against(s).Pass()
		q := <-asked
		if q.Questions[0].Name.String() != tt.name || q.Questions[0].Type.String() != tt.kind || (tt.recursion == "true") != q.RecursionDesired {
			t.Errorf("%s asks %v, recursion %v", tt.config, q.Questions[0].GoString(), q.RecursionDesired)
		}
	}
}

func TestRecordsAreComparedInOneForm(t *testing.T) {
	name := dnsmessage.MustNewName
	for _, tt := range []struct {
		body           dnsmessage.ResourceBody
		kind, expected string
	}{
		{&dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}}, "A", "10.0.0.1"},
		{&dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 15: 1}}, "AAAA", "2001:0:0::1"},
		{&dnsmessage.CNAMEResource{CNAME: name("Real.Example.")}, "CNAME", "real.EXAMPLE"},
		{&dnsmessage.NSResource{NS: name("ns1.example.")}, "NS", "ns1.example."},
		{&dnsmessage.PTRResource{PTR: name("host.example.")}, "PTR", "host.example"},
		{&dnsmessage.MXResource{Pref: 10, MX: name("mail.example.")}, "MX", "10  mail.example."},
		{&dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 389, Target: name("ldap.example.")}, "SRV", "1 2 389 ldap.example"},
		{&dnsmessage.SOAResource{NS: name("ns.example."), MBox: name("root.example."), Serial: 7, Refresh: 1, Retry: 2, Expire: 3, MinTTL: 4}, "SOA", "ns.example root.example 7 1 2 3 4"},
		{&dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-ALL"}}, "TXT", "v=spf1 -ALL"},
		{&dnsmessage.NSResource{NS: name(".")}, "NS", "."},
	} {
		if got, want := text(tt.body), canonical(tt.kind, tt.expected); got != want {
			t.Errorf("%s: the record is %q, and what is expected %q", tt.kind, got, want)
		}
	}
	if long := list(slices.Repeat([]string{"a"}, 9)); long != "a, a, a, a, a, a, a, a, …" {
		t.Errorf("list of nine = %s", long)
	}
}

func TestConfiguration(t *testing.T) {
	checker(t, `{}`).Valid()
	checker(t, `{"address": "ns.example:5353", "name": "_ldap._tcp.example", "type": "SRV", "protocol": "tcp", "min_answers": 1}`).Valid()
	for _, tt := range []struct{ config, path, want string }{
		{`{"type": "ANY"}`, "type", `"ANY" is not one of A, AAAA, CNAME`},
		{`{"name": "a..b"}`, "name", `"a..b" is no name: it has labels of 1 to 63 characters, 253 in all`},
		{`{"name": "` + strings.Repeat("a", 64) + `"}`, "name", "is no name"},
		{`{"name": "` + strings.Repeat("a.", 150) + `"}`, "name", "is no name"},
		{`{"rcode": ["NOPE"]}`, "rcode[0]", `"NOPE" is not one of NOERROR`},
		{`{"rcode": []}`, "rcode", "no response code would pass"},
		{`{"answer_regexp": "("}`, "answer_regexp", "no regular expression"},
		{`{"min_answers": 3, "max_answers": 2}`, "min_answers", "3 is more than max_answers, which is 2"},
		{`{"address": "/run/dns"}`, "address", "a name server has no unix socket"},
		{`{"address": "a:b:c"}`, "address", `"a:b:c" is no address`},
	} {
		checker(t, tt.config).Invalid(tt.path, tt.want)
	}
	if got, want := checker(t, `{}`).Against("").String(), "error: a check of the node itself needs address"; got != want {
		t.Errorf("no address: %s, want %s", got, want)
	}
	if got, want := checker(t, `{"address": "no..host"}`).Against("").String(), "error: the name no..host does not resolve: no such host"; got != want {
		t.Errorf("no such host: %s, want %s", got, want)
	}
}

func FuzzAMessageFromAnywhere(f *testing.F) {
	q := query{question: dnsmessage.Question{Name: dnsmessage.MustNewName("www.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	seed := dnsmessage.Message{Questions: []dnsmessage.Question{q.question}}
	f.Add(pack(seed, a([4]byte{10, 0, 0, 1})))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		if _, err := q.answer(0, message); err == nil && len(message) < 12 {
			t.Error("less than a header is an answer")
		}
	})
}
