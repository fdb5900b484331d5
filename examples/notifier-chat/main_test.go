package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// chat answers with a status and keeps the text of the last message.
func chat(t *testing.T, status int, said *string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		*said = m.Text
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return fmt.Sprintf(`{"hook": "%s/hooks/abc", "max_lines": 2}`, s.URL)
}

func TestAMessageHasALineForEachEvent(t *testing.T) {
	var said string
	n := plugintest.Notifier(t, "chat", notify).Config(chat(t, 200, &said))
	n.Events(sdk.Event{
		Node: "lb1", Kind: "instance", Subject: "web", From: "BACKUP", To: "MASTER", Severity: "warning", Reason: "no advert",
	}).Delivered()
	if want := ":warning: lb1: instance web is MASTER (was BACKUP): no advert"; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
	n.Events(make([]sdk.Event, 5)...).Delivered()
	if lines := strings.Split(said, "\n"); len(lines) != 3 || lines[2] != "and 3 more" {
		t.Errorf("said %q", said)
	}
}

func TestTheAnswerDecidesWhatBecomesOfTheEvents(t *testing.T) {
	var said string
	n := plugintest.Notifier(t, "chat", notify)
	n.Config(chat(t, 500, &said)).Events().Retry("500")
	n.Config(chat(t, 429, &said)).Events().RetryAfter(7 * time.Second)
	n.Config(chat(t, 404, &said)).Events().Dropped("404")
	n.Config(`{"hook": "http://127.0.0.1:9/hooks/abc"}`).Events().Retry("refused")
}

func TestConfigurations(t *testing.T) {
	n := plugintest.Notifier(t, "chat", notify)
	n.Config(`{}`).Invalid("hook", "required")
	n.Config(`{"hook": "hooks.example.com"}`).Invalid("hook", "not a URL")
	n.Config(`{"hook": "https://hooks.example.com/abc", "channel": "ops"}`).Invalid("channel", "does not match")
	n.Config(`{"hook": "https://hooks.example.com/abc", "channel": "#ops"}`).Valid()
}

func TestConformance(t *testing.T) {
	plugintest.Notifier(t, "chat", notify).Config(`{"hook": "http://127.0.0.1:9/hooks/abc"}`).Conformance()
}
