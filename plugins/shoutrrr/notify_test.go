package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// patience is the deadline of what must happen, however busy the machine is.
const patience = 60 * time.Second

// receiver takes what the service "generic" sends.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string
	answer func(n int, w http.ResponseWriter)
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter)) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body) // what is missing shows
	r.mu.Lock()
	r.got = append(r.got, string(body))
	n := len(r.got)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(n, w)
	}
}

// URL is that of the service.
func (r *receiver) url() string {
	return "generic+" + r.URL + "/secret-path?template=json"
}

func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.got...)
}

func notifier(t *testing.T, config string, args ...any) plugintest.NotifierTest {
	t.Helper()
	return plugintest.Notifier(t, "shoutrrr", notify).Config(fmt.Sprintf(config, args...)).Timeout(patience)
}

func event(seq uint64) sdk.Event {
	return sdk.Event{
		Seq: seq, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Node: "lb1", Severity: "info", Kind: "instance",
		Subject: fmt.Sprint("i", seq), To: "MASTER",
	}
}

func TestOneMessageForABurst(t *testing.T) {
	r := receive(t, nil)
	n := notifier(t, `{"urls": [%q]}`, r.url())
	n.Valid()
	n.Events(event(1), event(2)).Delivered()
	var got struct{ Title, Message string }
	if all := r.all(); len(all) != 1 || json.Unmarshal([]byte(all[0]), &got) != nil {
		t.Fatalf("got %q", all)
	}
	if want := "2026-01-02T03:04:05Z info lb1 instance i1: MASTER\n2026-01-02T03:04:05Z info lb1 instance i2: MASTER\n"; got.Title != "lb1: 2 events, info" || got.Message != want {
		t.Errorf("the message is %+v", got)
	}
}

func TestOnlyTheServiceThatFailedIsToldAgain(t *testing.T) {
	good := receive(t, nil)
	bad := receive(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	n := notifier(t, `{"urls": [%q, %q], "body": "{{.Event.Subject}}"}`, good.url(), bad.url())
	r := n.Events(event(1))
	r.Retry("502")
	if strings.Contains(r.Reason(), "secret-path") {
		t.Errorf("the reason tells the path: %s", r.Reason())
	}
	n.Delivery(sdk.Delivery{Key: "test", Attempt: 2}).Events(event(1)).Delivered()
	n.Delivery(sdk.Delivery{Key: "next", Attempt: 1}).Events(event(2)).Delivered()
	if len(good.all()) != 2 || len(bad.all()) != 3 {
		t.Errorf("the one got %q, the other %q", good.all(), bad.all())
	}
}

func TestAReceiverThatIsDownAndUpAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	n := notifier(t, `{"urls": ["generic+http://%s/"], "body": "{{.Event.Subject}}"}`, addr)
	n.Events(event(1)).Retry("connection refused")
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(r)
	if r.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	r.Start()
	t.Cleanup(r.Close)
	for seq := range uint64(3) {
		n.Delivery(sdk.Delivery{Key: fmt.Sprint(seq), Attempt: 2}).Events(event(seq + 1)).Delivered()
	}
	if got := strings.Join(r.all(), " "); got != "i1 i2 i3" {
		t.Errorf("the receiver got %q", got)
	}
}

func TestAReceiverThatIsSlow(t *testing.T) {
	done := make(chan struct{})
	r := receive(t, func(int, http.ResponseWriter) { <-done })
	defer close(done)
	notifier(t, `{"urls": [%q], "timeout": "200ms"}`, r.url()).Events(event(1)).Retry("timed out")
}

func TestAReceiverThatSpeaksAnotherProtocol(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail.example.org ESMTP\r\n")
			conn.Close()
		}
	}()
	notifier(t, `{"urls": ["generic+http://%s/"]}`, l.Addr()).Events(event(1)).Retry("generic+http: ")
}

func TestWhatTheBlockMaySay(t *testing.T) {
	for _, tt := range []struct{ config, path, want string }{
		{`{"urls": ["discord://token@id", "ntfy://ntfy.sh/topic", "matrix://user:password@host/"]}`, "", ""},
		{`{"urls": []}`, "urls", "nobody would be told"},
		{`{"urls": ["generic://a", "discrod://token@id"]}`, "urls[1]", `there is no service "discrod": they are`},
		{`{"urls": ["discord://"]}`, "urls[0]", ""},
		{`{"urls": ["generic://a"], "body": "{{.Foo}}"}`, "body", "can't evaluate field Foo"},
		{`{"urls": ["generic://a"], "title": "{{"}`, "title", "no template"},
	} {
		n := notifier(t, "%s", tt.config)
		if tt.path == "" {
			n.Valid()
		} else {
			n.Invalid(tt.path, tt.want)
		}
	}
}

func TestSecretsOfURLs(t *testing.T) {
	for in, want := range map[string]string{
		`Post "https://discord.com/api/webhooks/1/geheim?a=b": refused`: `Post "https://discord.com": refused`,
		"parse smtp://user:geheim@host:25/?to=a: bad":                   "parse smtp://host:25 bad",
		"bot geimnis is not in @operators":                              "bot *** is not in ***",
		"no URL here":                                                   "no URL here",
	} {
		if got := quiet(fmt.Errorf("%s", in), "telegram://1234:geimnis@telegram?chats=@operators").Error(); got != want {
			t.Errorf("quiet(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestTheExecutable builds vipward and the plugin, lets the one check the other, and validates the examples of the README.
func TestTheExecutable(t *testing.T) {
	dir := t.TempDir()
	build := func(from, out, pkg string) string {
		t.Helper()
		path := filepath.Join(dir, out)
		if text, err := exec.Command("go", "build", "-C", from, "-o", path, pkg).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, text)
		}
		return path
	}
	plugin := build(".", "vipward-plugin-shoutrrr", ".")
	vipward := build("../..", "vipward", "./cmd/vipward")
	run := func(args ...string) {
		t.Helper()
		if text, err := exec.Command(vipward, args...).CombinedOutput(); err != nil {
			t.Errorf("vipward %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
	config := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(config, fmt.Appendf(nil, "urls = [%q]\n", receive(t, nil).url()), 0o600); err != nil {
		t.Fatal(err)
	}
	run("plugin", "test", plugin, "--config", config)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```hcl\n")
	for found {
		var example string
		example, rest, _ = strings.Cut(rest, "```")
		file := filepath.Join(dir, "example.hcl")
		if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
			t.Fatal(err)
		}
		run("validate", "--plugin-dir", dir, file)
		_, rest, found = strings.Cut(rest, "```hcl\n")
	}
}
