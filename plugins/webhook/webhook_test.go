package webhook

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// patience is the deadline of a delivery that must work, however busy the machine is.
const patience = 60 * time.Second

// receiver is a service that keeps what it got, and answers as the test says.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []request
	answer func(n int, w http.ResponseWriter) // n counts from 1; nil says 200
}

type request struct {
	*http.Request
	body string
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
	r.got = append(r.got, request{q, string(body)})
	n := len(r.got)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(n, w)
	}
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// seqs are the sequence numbers of the events that came, each as a request of its own.
func (r *receiver) seqs(t *testing.T) string {
	t.Helper()
	var out []uint64
	for _, q := range r.requests() {
		var e sdk.Event
		if err := json.Unmarshal([]byte(q.body), &e); err != nil {
			t.Errorf("the body %q: %v", q.body, err)
		}
		out = append(out, e.Seq)
	}
	return fmt.Sprint(out)
}

func hook(t *testing.T, config string, args ...any) plugintest.NotifierTest {
	t.Helper()
	n := plugintest.Notifier(t, "webhook", notify).Config(fmt.Sprintf(config, args...)).Timeout(patience)
	n.Valid()
	return n
}

var web = sdk.Event{
	Seq: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), Node: "lb1", Code: "instance.state", Severity: "info",
	Kind: "instance", Subject: "web", From: "BACKUP", To: "MASTER", Priority: 150, Reason: "advert timer expired",
}

func down(seq uint64) sdk.Event {
	return sdk.Event{
		Seq: seq, Time: web.Time, Node: "lb1", Code: "real_server.state", Severity: "warning", Kind: "real_server", Service: "web",
		Subject: "10.0.0.11:80", From: "up", To: "down", Reason: `GET /: "no"`,
	}
}

func TestTheEventArrivesAsJSON(t *testing.T) {
	r := receive(t, nil)
	hook(t, `{"url": "%s/hook?a=b", "headers": {"X-Team": "ops", "Host": "chat.example.com"}, "token": "geheim"}`, r.URL).Events(web).Delivered()
	got := r.requests()[0]
	var e sdk.Event
	if err := json.Unmarshal([]byte(got.body), &e); err != nil || !reflect.DeepEqual(e, web) {
		t.Errorf("the body is %q (%v), want the event", got.body, err)
	}
	for _, tt := range [][3]string{
		{"method", got.Method, "POST"},
		{"path", got.URL.String(), "/hook?a=b"},
		{"host", got.Host, "chat.example.com"},
		{"content type", got.Header.Get("Content-Type"), "application/json"},
		{"header", got.Header.Get("X-Team"), "ops"},
		{"token", got.Header.Get("Authorization"), "Bearer geheim"},
		{"attempt", got.Header.Get("X-Vipward-Attempt"), "1"},
		{"signature without a secret", got.Header.Get("X-Vipward-Signature"), ""},
	} {
		if tt[1] != tt[2] {
			t.Errorf("%s: %q, want %q", tt[0], tt[1], tt[2])
		}
	}
}

func TestASecretSignsTheBody(t *testing.T) {
	r := receive(t, nil)
	hook(t, `{"url": "%s", "secret": "geheim", "body": "hello"}`, r.URL).Events(web).Delivered()
	hook(t, `{"url": "%s", "secret": "geheim", "body": "hello", "signature_header": "X-Hub-Signature-256"}`, r.URL).Events(web).Delivered()
	// printf hello | openssl dgst -sha256 -hmac geheim
	const want = "sha256=23a8d6334a2efccb222f05a7071419f25bd70e02f4153eee61cad4a4a1385ba9"
	all := r.requests()
	if got := all[0].Header.Get("X-Vipward-Signature"); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
	if got := all[1].Header.Get("X-Hub-Signature-256"); got != want {
		t.Errorf("the signature in another header is %s, want %s", got, want)
	}
}

func TestEachEventIsARequestUnlessTheyAreGathered(t *testing.T) {
	single, list := receive(t, nil), receive(t, nil)
	hook(t, `{"url": %q}`, single.URL).Events(down(1), down(2), down(3)).Delivered()
	if got := single.seqs(t); got != "[1 2 3]" {
		t.Errorf("the requests have %s, want 1 2 3", got)
	}
	keys := map[string]bool{}
	for _, q := range single.requests() {
		keys[q.Header.Get("Idempotency-Key")] = true
	}
	if len(keys) != 3 || keys[""] {
		t.Errorf("the keys are %v, want three", keys)
	}
	hook(t, `{"url": %q, "batch": "5s"}`, list.URL).Events(down(1), down(2), down(3)).Delivered()
	var events []sdk.Event
	if err := json.Unmarshal([]byte(list.requests()[0].body), &events); err != nil || len(events) != 3 || !reflect.DeepEqual(events[2], down(3)) {
		t.Errorf("the request has %+v, %v, want a list of three", events, err)
	}
}

func TestAnAttemptGoesOnWhereTheOneBeforeFailed(t *testing.T) {
	r := receive(t, func(n int, w http.ResponseWriter) {
		if n == 2 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	n := hook(t, `{"url": %q}`, r.URL)
	n.Events(down(1), down(2), down(3)).Retry("status 502")
	n.Delivery(sdk.Delivery{Key: "test", Attempt: 2}).Events(down(1), down(2), down(3)).Delivered()
	if got := r.seqs(t); got != "[1 2 2 3]" {
		t.Errorf("the requests have %s, want 1 2 2 3", got)
	}
	if all := r.requests(); all[1].Header.Get("Idempotency-Key") != all[2].Header.Get("Idempotency-Key") {
		t.Error("the second event has another key at the second attempt")
	}
}

func TestTheStatusDecides(t *testing.T) {
	for _, tt := range []struct {
		status        int
		after, answer string
		want          string
	}{
		{200, "", "", "delivered"},
		{204, "", "", "delivered"},
		{200, "", "<html>nonsense", "delivered"},
		{301, "", "", "drop: POST HOST: status 301"},
		{400, "", "invalid_payload\n", "drop: POST HOST: status 400: invalid_payload"},
		{404, "", "no such\n\xffthing", "drop: POST HOST: status 404: no such thing"},
		{408, "", "", "retry: POST HOST: status 408"},
		{429, "7", "slow down", "retry after 7s: POST HOST: status 429: slow down"},
		{500, "", "", "retry: POST HOST: status 500"},
		{503, "3", "", "retry after 3s: POST HOST: status 503"},
	} {
		r := receive(t, func(_ int, w http.ResponseWriter) {
			w.Header().Set("Retry-After", tt.after)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.answer) // 204 has none
		})
		got := hook(t, `{"url": %q}`, r.URL).Events(web)
		outcome, reason, _ := strings.Cut(tt.want, ": ")
		reason = strings.ReplaceAll(reason, "HOST", strings.TrimPrefix(r.URL, "http://"))
		switch {
		case outcome == "delivered":
			got.Delivered()
		case outcome == "drop":
			got.Dropped("status")
		case strings.HasPrefix(outcome, "retry after "):
			d, _ := time.ParseDuration(strings.TrimPrefix(outcome, "retry after "))
			got.RetryAfter(d)
		default:
			got.Retry("")
		}
		if got.Reason() != reason {
			t.Errorf("status %d: reason %q, want %q", tt.status, got.Reason(), reason)
		}
		if n := len(r.requests()); n != 1 {
			t.Errorf("status %d: %d requests, want one", tt.status, n)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "x": 0, "0": 0, "-3": 0, " 12 ": 12 * time.Second, "99999999": 24 * time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:03:05 GMT": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestAReceiverThatIsDownAndUpAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	n := hook(t, `{"url": "http://%s/token-in-the-path"}`, addr)
	refused := n.Events(down(1))
	refused.Retry("connection refused")
	if strings.Contains(refused.Reason(), "token-in-the-path") {
		t.Errorf("the reason tells the path, which may be a secret: %s", refused.Reason())
	}
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(r)
	if r.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	r.Start()
	t.Cleanup(r.Close)
	for seq := range uint64(3) {
		n.Delivery(sdk.Delivery{Key: fmt.Sprint(seq), Attempt: 2}).Events(down(seq + 1)).Delivered()
	}
	if got := r.seqs(t); got != "[1 2 3]" {
		t.Errorf("the requests have %s, want 1 2 3", got)
	}
}

func TestAReceiverThatIsSlow(t *testing.T) {
	done := make(chan struct{})
	r := receive(t, func(n int, _ http.ResponseWriter) {
		if n == 1 {
			<-done
		}
	})
	defer close(done)
	n := hook(t, `{"url": "%s/token-in-the-path", "timeout": "200ms"}`, r.URL)
	slow := n.Events(web)
	slow.Retry("context deadline exceeded")
	if strings.Contains(slow.Reason(), "token-in-the-path") {
		t.Errorf("the reason tells the path: %s", slow.Reason())
	}
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
	hook(t, `{"url": "http://%s/"}`, l.Addr()).Events(web).Retry("POST " + l.Addr().String())
}

func TestFormsOfChatServices(t *testing.T) {
	const one = "lb1: instance web: BACKUP -> MASTER (advert timer expired)"
	for _, tt := range []struct{ format, answer, want string }{
		{"slack", "ok", `{"text":"` + strings.ReplaceAll(one, ">", `\u003e`) + `"}`},
		{"dingtalk", `{"errcode":0,"errmsg":"ok"}`, `{"msgtype":"text","text":{"content":"` + strings.ReplaceAll(one, ">", `\u003e`) + `"}}`},
		{"wecom", `{"errcode":0,"errmsg":"ok"}`, `{"msgtype":"text","text":{"content":"` + strings.ReplaceAll(one, ">", `\u003e`) + `"}}`},
		{"feishu", `{"code":0,"msg":"success"}`, `{"content":{"text":"` + strings.ReplaceAll(one, ">", `\u003e`) + `"},"msg_type":"text"}`},
		{
			"teams", "",
			`{"attachments":[{"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","body":[{"text":"` +
				strings.ReplaceAll(one, ">", `\u003e`) + `","type":"TextBlock","wrap":true}],"type":"AdaptiveCard","version":"1.2"},` +
				`"contentType":"application/vnd.microsoft.card.adaptive"}],"type":"message"}`,
		},
	} {
		t.Run(tt.format, func(t *testing.T) {
			r := receive(t, func(_ int, w http.ResponseWriter) { _, _ = io.WriteString(w, tt.answer) })
			n := hook(t, `{"url": %q, "format": %q}`, r.URL, tt.format)
			n.Events(web).Delivered()
			if got := r.requests()[0].body; got != tt.want {
				t.Errorf("the body is %s, want %s", got, tt.want)
			}
			n.Events(down(1), down(2), down(3)).Delivered()
			all := r.requests()
			if len(all) != 2 || !strings.Contains(all[1].body, "lb1: 3 events, warning") {
				t.Errorf("three events are %d requests, want one that says how many", len(all)-1)
			}
		})
	}
}

func TestAnswersOfChatServices(t *testing.T) {
	for _, tt := range []struct{ format, answer, want string }{
		{"dingtalk", `{"errcode":310000,"errmsg":"sign not match"}`, "drop error 310000: sign not match"},
		{"dingtalk", `{"errcode":130101,"errmsg":"send too fast"}`, "retry error 130101: send too fast"},
		{"wecom", `{"errcode":45009,"errmsg":"api freq out of limit"}`, "retry error 45009"},
		{"wecom", `{"errcode":93000,"errmsg":"invalid webhook url"}`, "drop error 93000"},
		{"feishu", `{"code":19021,"msg":"sign match fail"}`, "drop error 19021: sign match fail"},
		{"feishu", `{"code":9499,"msg":"too many request"}`, "retry error 9499"},
		{"feishu", `{"StatusCode":0,"StatusMessage":"success"}`, "delivered "},
		{"dingtalk", `<html>Log in to the hotel`, "retry the answer is not that of the service: <html>Log in"},
		{"wecom", `{}`, "retry the answer is not that of the service"},
		{"wecom", ``, "retry the answer is not that of the service"},
	} {
		r := receive(t, func(_ int, w http.ResponseWriter) { _, _ = io.WriteString(w, tt.answer) })
		got := hook(t, `{"url": %q, "format": %q}`, r.URL, tt.format).Events(web)
		outcome, reason, _ := strings.Cut(tt.want, " ")
		switch outcome {
		case "drop":
			got.Dropped(reason)
		case "retry":
			got.Retry(reason)
		default:
			got.Delivered()
		}
	}
}

// The figures are those of the services' own documentation of the algorithm, made with other programs.
func TestSignaturesOfRobots(t *testing.T) {
	r := receive(t, func(_ int, w http.ResponseWriter) { _, _ = io.WriteString(w, `{"errcode":0,"code":0}`) })
	hook(t, `{"url": "%s/robot/send?access_token=t", "format": "dingtalk", "secret": "SECabc"}`, r.URL).Events(web).Delivered()
	q := r.requests()[0].URL.Query()
	if q.Get("access_token") != "t" || len(q.Get("timestamp")) != 13 || len(q.Get("sign")) != 44 {
		t.Errorf("the query of a signed request is %v", q)
	}
	hook(t, `{"url": %q, "format": "feishu", "secret": "abc"}`, r.URL).Events(web).Delivered()
	var body struct{ Timestamp, Sign string }
	if err := json.Unmarshal([]byte(r.requests()[1].body), &body); err != nil || len(body.Timestamp) != 10 || len(body.Sign) != 44 {
		t.Errorf("the body of a signed request is %s", r.requests()[1].body)
	}
	now := time.UnixMilli(1767323045000)
	u, _ := (&Config{URL: "https://oapi.dingtalk.com/robot/send?access_token=t"}).target()
	// printf '1767323045000\nSECabc' | openssl dgst -sha256 -hmac SECabc -binary | base64
	if got, want := signDingTalk(u, "SECabc", now).Query().Get("sign"), "JXvpEYo3PRYbt+2pOfK+jFnksavpFCyxSBJoUrbZt+g="; got != want {
		t.Errorf("sign for DingTalk = %s, want %s", got, want)
	}
	text, err := feishu(Config{Secret: "abc"}, []sdk.Event{web}, now)
	if err != nil {
		t.Fatal(err)
	}
	// base64 of hmac.new(b"1767323045\nabc", b"", "sha256") in Python
	const want = "Xw5ETLzcgQCA1JBUo6ma7MIQGa/ISZyrPEW/R57DLYc="
	if !strings.Contains(string(text), `"sign":"`+want+`"`) {
		t.Errorf("sign for Feishu in %s, want %s", text, want)
	}
}

func TestTroublesAtPagerDuty(t *testing.T) {
	r := receive(t, func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) })
	n := hook(t, `{"url": %q, "format": "pagerduty", "routing_key": "R1"}`, r.URL)
	up := down(2)
	up.Severity, up.From, up.To, up.Reason = "info", "down", "up", ""
	loaded := sdk.Event{Code: "config.loaded", Severity: "info", Kind: "daemon"}
	n.Events(down(1), loaded, up).Delivered()
	all := r.requests()
	if len(all) != 2 {
		t.Fatalf("%d requests, want two: a configuration that was loaded is no trouble", len(all))
	}
	var trigger, resolve map[string]any
	if json.Unmarshal([]byte(all[0].body), &trigger) != nil || json.Unmarshal([]byte(all[1].body), &resolve) != nil {
		t.Fatal(all[0].body, all[1].body)
	}
	if trigger["event_action"] != "trigger" || resolve["event_action"] != "resolve" || trigger["routing_key"] != "R1" {
		t.Errorf("the actions are %v and %v", trigger["event_action"], resolve["event_action"])
	}
	if trigger["dedup_key"] != "vipward/lb1/real_server.state/web/10.0.0.11:80" || trigger["dedup_key"] != resolve["dedup_key"] {
		t.Errorf("the keys are %v and %v", trigger["dedup_key"], resolve["dedup_key"])
	}
	payload := trigger["payload"].(map[string]any)
	if payload["summary"] != `lb1: real server 10.0.0.11:80 of web: up -> down (GET /: "no")` || payload["severity"] != "warning" || payload["source"] != "lb1" {
		t.Errorf("the payload is %v", payload)
	}
}

func TestWordsFitIntoAMessage(t *testing.T) {
	var storm []sdk.Event
	for range 1000 {
		storm = append(storm, down(1))
	}
	if s := words(storm, 2048); len(s) > 2048 || !strings.HasPrefix(s, "lb1: 1000 events, warning\n") {
		t.Errorf("the words of a storm have %d bytes and begin %.40q", len(s), s)
	}
	if got := cut("ääää", 6); got != "ä…" {
		t.Errorf("cut = %q, want %q", got, "ä…")
	}
}

func TestTemplateOfTheOperator(t *testing.T) {
	r := receive(t, nil)
	hook(t, `{"url": %q, "method": "PUT", "content_type": "text/plain", "body": "{{.Event.Kind}} {{.Event.Subject}} is {{.Event.To | lower}}\n"}`, r.URL).
		Events(web, down(8)).Delivered()
	all := r.requests()
	if len(all) != 2 || all[0].body != "instance web is master" || all[1].body != "real_server 10.0.0.11:80 is down" || all[0].Method != "PUT" {
		t.Errorf("got %d requests, %q %q", len(all), all[0].Method, all[0].body)
	}
}

func TestWhatTheBlockMaySay(t *testing.T) {
	for _, tt := range []struct{ name, config, path, want string }{
		{"the least", `{"url": "http://127.0.0.1:9000/hook"}`, "", ""},
		{"PagerDuty needs no URL", `{"format": "pagerduty", "routing_key": "R1"}`, "", ""},
		{"no URL", `{}`, "url", "required"},
		{"another scheme", `{"url": "ftp://a/b"}`, "url", "no URL"},
		{"no host", `{"url": "http:///b"}`, "url", "no URL"},
		{"an unknown form", `{"url": "http://a", "format": "irc"}`, "format", ""},
		{"a body besides a form", `{"url": "http://a", "format": "slack", "body": "x"}`, "body", "excludes the format slack"},
		{"a body that names nothing", `{"url": "http://a", "body": "{{.Foo}}"}`, "body", "can't evaluate field Foo"},
		{"a header that is two", `{"url": "http://a", "headers": {"a": "b\r\nc: d"}}`, "headers", `"a" is no header`},
		{"a header without a name", `{"url": "http://a", "signature_header": "a b"}`, "signature_header", "is no name of a header"},
		{"a method that is none", `{"url": "http://a", "method": "post it"}`, "method", ""},
		{"PagerDuty without its key", `{"format": "pagerduty"}`, "routing_key", "need each other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := plugintest.Notifier(t, "webhook", notify).Config(tt.config)
			if tt.path == "" {
				n.Valid()
			} else {
				n.Invalid(tt.path, tt.want)
			}
		})
	}
}

func TestTheSuite(t *testing.T) {
	hook(t, `{"url": %q}`, receive(t, nil).URL).Conformance()
}
