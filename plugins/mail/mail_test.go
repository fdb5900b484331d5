package mail

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

func TestWhatTheBlockMaySay(t *testing.T) {
	for _, tt := range []struct{ name, config, path, want string }{
		{"the least", `{"server": "127.0.0.1:25", "from": "lb@example.com", "to": ["ops@example.com"]}`, "", ""},
		{"a server without a port", `{"server": "mail.example.com", "from": "LB <lb@example.com>", "to": ["ops@example.com"]}`, "", ""},
		{"an address of IPv6", `{"server": "[2001:db8::1]:587", "from": "lb@example.com", "to": ["ops@example.com"]}`, "", ""},
		{"a login", `{"server": "a", "from": "a@b", "to": ["c@d"], "user": "u", "password": "p"}`, "", ""},
		{"no server", `{"server": "http://a/", "from": "a@b", "to": ["c@d"]}`, "server", `is no server: write "HOST" or "HOST:PORT"`},
		{"no port", `{"server": "a:0", "from": "a@b", "to": ["c@d"]}`, "server", "is no server"},
		{"a sender that is none", `{"server": "a", "from": "lb", "to": ["c@d"]}`, "from", `"lb" is no mail address`},
		{"a recipient that is none", `{"server": "a", "from": "a@b", "to": ["c@d", "x"]}`, "to[1]", `"x" is no mail address`},
		{"nobody", `{"server": "a", "from": "a@b", "to": []}`, "to", "nobody would be told"},
		{"a subject that names nothing", `{"server": "a", "from": "a@b", "to": ["c@d"], "subject": "{{.Foo}}"}`, "subject", "can't evaluate field Foo"},
		{"a body that does not end", `{"server": "a", "from": "a@b", "to": ["c@d"], "body": "{{range .Events}}"}`, "body", "unexpected EOF"},
		{"a password for nobody", `{"server": "a", "from": "a@b", "to": ["c@d"], "password": "p"}`, "password", "a password needs a user"},
		{"a user without a password", `{"server": "a", "from": "a@b", "to": ["c@d"], "user": "u"}`, "user", "a user needs a password"},
		{"a password in the clear", `{"server": "a", "from": "a@b", "to": ["c@d"], "user": "u", "password": "p", "encryption": "none"}`, "encryption", "not sent without TLS"},
		{"a greeting of two words", `{"server": "a", "from": "a@b", "to": ["c@d"], "hello": "a b"}`, "hello", "no name of a host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := plugintest.Notifier(t, "mail", notify).Config(tt.config)
			if tt.want == "" {
				n.Valid()
			} else {
				n.Invalid(tt.path, tt.want)
			}
		})
	}
}

// talk is a server that says a line at once and one after each line that it hears, the last one again and again. What it hears is
// sent to the channel.
func talk(t *testing.T, lines ...string) (addr string, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ch := make(chan string, 1000)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "%s\r\n", lines[0])
				for i, s := 1, bufio.NewScanner(conn); s.Scan(); i++ {
					select {
					case ch <- s.Text():
					default:
					}
					fmt.Fprintf(conn, "%s\r\n", lines[min(i, len(lines)-1)])
				}
			}()
		}
	}()
	return l.Addr().String(), ch
}

func TestServersThatTalkNonsense(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lines   []string
		outcome string
		want    string
	}{
		{"another protocol", []string{"HTTP/1.1 400 Bad Request"}, "retry", "mail to ADDRESS: "},
		{"no service now", []string{"421 busy"}, "retry", "421"},
		{"a greeting and then nothing that it should", []string{"220 a", "hello"}, "retry", "mail to ADDRESS"},
		{"a sender that is not taken now", []string{"220 a", "250 a", "250 noop", "451 later"}, "retry", "451"},
		{"a sender that is never taken", []string{"220 a", "250 a", "250 noop", "550 no"}, "drop", "550"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr, _ := talk(t, tt.lines...)
			r := plugintest.Notifier(t, "mail", notify).Timeout(30 * time.Second).
				Config(fmt.Sprintf(`{"server": %q, "from": "a@b.example", "to": ["c@d.example"], "encryption": "none"}`, addr)).Events()
			want := strings.ReplaceAll(tt.want, "ADDRESS", addr)
			if tt.outcome == "drop" {
				r.Dropped(want)
			} else {
				r.Retry(want)
			}
		})
	}
}

func TestTheServerIsGreetedByName(t *testing.T) {
	addr, heard := talk(t, "220 a", "250 a", "250 noop", "451 later")
	plugintest.Notifier(t, "mail", notify).Timeout(30 * time.Second).
		Config(fmt.Sprintf(`{"server": %q, "from": "a@b.example", "to": ["c@d.example"], "hello": "lb1.example.com"}`, addr)).Events().Retry("451")
	if got := <-heard; got != "EHLO lb1.example.com" {
		t.Errorf("the server heard %q first, want EHLO lb1.example.com", got)
	}
}

func TestWordsOfTheOperator(t *testing.T) {
	c := Config{Server: "a", Subject: "{{.Count}}\n events on {{.Node}}", Body: "{{range .Events}}{{.Seq}},{{end}}"}
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	subject, body, err := c.session.words([]sdk.Event{{Seq: 1, Node: "lb1"}, {Seq: 2, Node: "lb1"}})
	if err != nil || subject != "2 events on lb1" || body != "1,2," {
		t.Errorf("words = %q, %q, %v", subject, body, err)
	}
}

func TestOnlyThoseWhoWereNotReachedGetItAgain(t *testing.T) {
	var s session
	all := []string{"a", "b", "c"}
	if got := fmt.Sprint(s.remaining("k1", all)); got != "[a b c]" {
		t.Errorf("at first: %s", got)
	}
	s.reach("b")
	if got := fmt.Sprint(s.remaining("k1", all)); got != "[a c]" {
		t.Errorf("after b was reached: %s", got)
	}
	if got := fmt.Sprint(s.remaining("k2", all)); got != "[a b c]" {
		t.Errorf("of another delivery: %s", got)
	}
}
