package alertmanager

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// patience is the deadline of what must happen, however busy the machine is.
const patience = 60 * time.Second

func keeper(t *testing.T, config string, args ...any) plugintest.NotifierTest {
	t.Helper()
	d := &desk{sessions: map[string]*session{}}
	return plugintest.Notifier(t, "alertmanager", d.notify).Config(fmt.Sprintf(config, args...)).Timeout(patience)
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at is an event of a real server, some seconds after the start.
func at(seconds int, to string) sdk.Event {
	e := sdk.Event{
		Seq: uint64(seconds), Time: start.Add(time.Duration(seconds) * time.Second), Node: "lb1", Code: "real_server.state",
		Severity: "warning", Kind: "real_server", Service: "web", Subject: "10.0.0.11:80", To: to, Reason: "refused",
	}
	if to == "up" {
		e.Severity, e.Reason = "info", ""
	}
	return e
}

func TestWhatEventsChange(t *testing.T) {
	critical, stale, repaired, loaded := at(3, "down"), at(1, ""), at(1, ""), at(1, "")
	critical.Severity = "critical"
	stale.Code = "real_server.stale"
	repaired.Code = "address.repaired"
	loaded.Code, loaded.Severity = "config.loaded", "info"
	for _, tt := range []struct {
		name   string
		events []sdk.Event
		want   string
	}{
		{"a server goes down", []sdk.Event{at(1, "down")}, "fires real_server.state warning from 1s; news: real_server.state warning 1s-"},
		{"and tells of another reason", []sdk.Event{at(1, "down"), at(2, "down")}, "fires real_server.state warning from 1s; news: real_server.state warning 1s-"},
		{"and up again", []sdk.Event{at(1, "down"), at(5, "up")}, "fires; news: real_server.state warning 1s-5s"},
		{"and down again", []sdk.Event{at(1, "down"), at(5, "up"), at(6, "down")}, "fires real_server.state warning from 6s; news: real_server.state warning 6s-"},
		{"up, and nobody knows since when", []sdk.Event{at(5, "up")}, "fires; news: real_server.state critical 5s-5s real_server.state warning 5s-5s"},
		{"it becomes worse", []sdk.Event{at(1, "down"), critical}, "fires real_server.state critical from 3s; news: real_server.state critical 3s- real_server.state warning 1s-3s"},
		{"two troubles of one server", []sdk.Event{at(1, "down"), stale}, "fires real_server.stale warning from 1s real_server.state warning from 1s; news: real_server.stale warning 1s- real_server.state warning 1s-"},
		{"what has no end", []sdk.Event{repaired}, "fires; news: address.repaired warning 1s-10m1s"},
		{"what is no trouble", []sdk.Event{loaded}, "fires; news:"},
	} {
		next, news := alarms{}.after(tt.events, 10*time.Minute)
		got := "fires"
		var firing []alarm
		for _, a := range next {
			firing = append(firing, a)
		}
		slices.SortFunc(firing, order)
		for _, a := range firing {
			got += fmt.Sprintf(" %s %s from %s", a.code, a.severity, a.began.Sub(start))
		}
		got += "; news:"
		for _, a := range news {
			got += fmt.Sprintf(" %s %s %s-", a.code, a.severity, a.began.Sub(start))
			if !a.ended.IsZero() {
				got += a.ended.Sub(start).String()
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// receiver is an Alertmanager that keeps what it got.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	posts  [][]alert
	heads  []http.Header
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
	var all []alert
	if err := json.Unmarshal(body, &all); err != nil || q.Method != http.MethodPost || q.URL.Path != "/am/api/v2/alerts" {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.posts = append(r.posts, all)
	r.heads = append(r.heads, q.Header)
	n := len(r.posts)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(n, w)
	}
}

// await waits for the nth post, which counts from 1.
func (r *receiver) await(t *testing.T, n int) []alert {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		r.mu.Lock()
		all := r.posts
		r.mu.Unlock()
		if len(all) >= n {
			return all[n-1]
		}
	}
	t.Fatalf("there was no post number %d", n)
	return nil
}

func TestAnAlertFiresIsSentAgainAndResolved(t *testing.T) {
	r := receive(t, nil)
	n := keeper(t, `{"urls": ["%s/am/"], "labels": {"team": "net"}, "resend": "1s", "token": "geheim"}`, r.URL)
	n.Valid()
	before := time.Now()
	n.Events(at(1, "down")).Delivered()
	first := r.await(t, 1)[0]
	labels := map[string]string{
		"alertname": "vipward.real_server.state", "node": "lb1", "severity": "warning", "kind": "real_server",
		"subject": "10.0.0.11:80", "service": "web", "team": "net",
	}
	if fmt.Sprint(first.Labels) != fmt.Sprint(labels) {
		t.Errorf("the labels are %v, want %v", first.Labels, labels)
	}
	if got, want := first.Annotations["summary"], "real server 10.0.0.11:80 of web: down (refused)"; got != want || first.Annotations["description"] != "refused" {
		t.Errorf("the annotations are %v", first.Annotations)
	}
	if !first.StartsAt.Equal(start.Add(time.Second)) || first.EndsAt.Before(before.Add(24*time.Hour)) {
		t.Errorf("it fires from %v to %v, want to a day from now", first.StartsAt, first.EndsAt)
	}
	again := r.await(t, 2)[0]
	if fmt.Sprint(again.Labels) != fmt.Sprint(labels) || !again.StartsAt.Equal(first.StartsAt) || !again.EndsAt.After(first.EndsAt) {
		t.Errorf("sent again was %+v after %+v", again, first)
	}
	n.Delivery(sdk.Delivery{Key: "b", Attempt: 1}).Events(at(5, "up")).Delivered()
	r.mu.Lock()
	last := r.posts[len(r.posts)-1][0]
	r.mu.Unlock()
	if fmt.Sprint(last.Labels) != fmt.Sprint(labels) || !last.EndsAt.Equal(start.Add(5*time.Second)) {
		t.Errorf("the end is %+v", last)
	}
	if got := r.heads[0].Get("Authorization"); got != "Bearer geheim" {
		t.Errorf("the token is sent as %q", got)
	}
}

func TestAReloadForgetsNoAlert(t *testing.T) {
	r := receive(t, nil)
	n := keeper(t, `{"urls": ["%s/am"]}`, r.URL)
	n.Events(at(1, "down")).Delivered()
	n.Config(fmt.Sprintf(`{"urls": ["%s/am"], "timeout": "20s"}`, r.URL)).Events(at(5, "up")).Delivered()
	if end := r.await(t, 2); len(end) != 1 || !end[0].StartsAt.Equal(start.Add(time.Second)) {
		t.Errorf("the end is %+v, want that of the one alert", end)
	}
}

func TestOneOfAClusterIsEnough(t *testing.T) {
	r := receive(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr()
	l.Close()
	keeper(t, `{"urls": ["http://%s", "%s/am"]}`, closed, r.URL).Events(at(1, "down")).Delivered()
	r.await(t, 1)
	keeper(t, `{"urls": ["http://%s", "%s/nowhere"]}`, closed, r.URL).Events(at(1, "down")).Retry("connection refused")
	keeper(t, `{"urls": ["%s/nowhere"]}`, r.URL).Events(at(1, "down")).Dropped("status 400: what?")
}

func TestReceiversThatFail(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		answer     func(n int, w http.ResponseWriter)
	}{
		{"down", "status 503: later", func(n int, w http.ResponseWriter) {
			if n == 1 {
				http.Error(w, "later", http.StatusServiceUnavailable)
			}
		}},
		{"slow", "context deadline exceeded", nil},
		{"nonsense", "the answer is not that of an Alertmanager: <html>hello", func(n int, w http.ResponseWriter) {
			if n == 1 {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<html>hello")
			}
		}},
		{"a login", "status 401", func(n int, w http.ResponseWriter) {
			if n == 1 {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			done, timeout := make(chan struct{}), "20s"
			if tt.answer == nil {
				timeout = "500ms"
				tt.answer = func(n int, _ http.ResponseWriter) {
					if n == 1 {
						<-done
					}
				}
			}
			r := receive(t, tt.answer)
			n := keeper(t, `{"urls": ["%s/am"], "timeout": %q}`, r.URL, timeout)
			n.Events(at(1, "down")).Retry(tt.want)
			close(done)
			n = n.Config(fmt.Sprintf(`{"urls": ["%s/am"], "timeout": "25s"}`, r.URL))
			n.Delivery(sdk.Delivery{Key: "test", Attempt: 2}).Events(at(1, "down")).Delivered()
			if got := r.await(t, 2); len(got) != 1 || got[0].Labels["subject"] != "10.0.0.11:80" {
				t.Errorf("after the failure came %+v", got)
			}
		})
	}
}

func TestWhatTheBlockMaySay(t *testing.T) {
	for _, tt := range []struct{ config, path, want string }{
		{`{"urls": ["http://127.0.0.1:9093"]}`, "", ""},
		{`{}`, "urls", "required"},
		{`{"urls": []}`, "urls", "nobody would be told"},
		{`{"urls": ["http://a", "a:9093"]}`, "urls[1]", "is no URL of an Alertmanager"},
		{`{"urls": ["http://a"], "labels": {"a-b": "c"}}`, "labels", `"a-b" is no name of a label`},
		{`{"urls": ["http://a"], "resend": "1m", "expire": "90s"}`, "expire", "at least 2m0s"},
		{`{"urls": ["http://a"], "user": "u"}`, "user", "need each other"},
		{`{"urls": ["http://a"], "user": "u", "password": "p", "token": "t"}`, "token", "exclude each other"},
	} {
		n := keeper(t, "%s", tt.config)
		if tt.path == "" {
			n.Valid()
		} else {
			n.Invalid(tt.path, tt.want)
		}
	}
}

func TestTheSuite(t *testing.T) {
	keeper(t, `{"urls": ["%s/am"]}`, receive(t, nil).URL).Conformance()
}
