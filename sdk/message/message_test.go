package message

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vipward/vipward/sdk"
)

func TestWords(t *testing.T) {
	both := samples()
	for _, tt := range []struct{ name, got, want string }{
		{"a transition in one line", Line(both[0]), "instance web: BACKUP -> MASTER (advert timer expired)"},
		{"a real server in one line", Line(both[1]), "real server 10.0.0.11:80 of web: up -> down (connection refused)"},
		{"no state", Line(sdk.Event{Kind: "daemon", Subject: "outbox", Code: "outbox.saved"}), "daemon outbox: outbox.saved"},
		{"no line breaks", Line(sdk.Event{Kind: "a", Subject: "b", To: "c", Reason: "d\r\ne\x00f"}), "a b: c (d  e f)"},
		{"the title of one", Title(both[:1]), "lb1: instance web: BACKUP -> MASTER"},
		{"the title of several says how many", Title(both), "lb1: 2 events, warning"},
		{"the title of none", Title(nil), "nothing"},
		{"the text of one", Text(both[:1]), "2026-01-02T03:04:05Z info lb1 instance web: BACKUP -> MASTER (advert timer expired)\n"},
		{"the worst", Severity(both), "warning"},
		{"the worst of none", Severity(nil), "info"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestAStormIsToldWithItsNumber(t *testing.T) {
	var many []sdk.Event
	for n := range 1000 {
		many = append(many, sdk.Event{Kind: "instance", Subject: fmt.Sprint("i", n), To: "MASTER"})
	}
	text := Text(many)
	for _, want := range []string{" i49:", "\n... and 900 more events ...\n", " i950:", " i999:"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	if n := strings.Count(text, "\n"); n != maxLines+1 {
		t.Errorf("the text has %d lines, want %d", n, maxLines+1)
	}
}

func TestATroubleHasOneNameFromBeginningToEnd(t *testing.T) {
	for _, tt := range []struct {
		event sdk.Event
		want  string
	}{
		{sdk.Event{Code: "real_server.state", Severity: "warning"}, "real_server.state true true"},
		{sdk.Event{Code: "real_server.state", Severity: "info"}, "real_server.state false true"},
		{sdk.Event{Code: "checker.stale", Severity: "warning"}, "checker.stale true true"},
		{sdk.Event{Code: "checker.fresh", Severity: "info"}, "checker.stale false true"},
		{sdk.Event{Code: "notifier.failed", Severity: "warning"}, "notifier.failed true true"},
		{sdk.Event{Code: "notifier.recovered", Severity: "info"}, "notifier.failed false true"},
		{sdk.Event{Code: "outbox.saved", Severity: "info"}, "outbox.unsaved false true"},
		{sdk.Event{Code: "plugin.died", Kind: "plugin", Severity: "critical"}, "plugin.state true true"},
		{sdk.Event{Code: "address.repaired", Severity: "warning"}, "address.repaired true false"},
	} {
		code, firing, lasts := Condition(tt.event)
		if got := fmt.Sprint(code, " ", firing, " ", lasts); got != tt.want {
			t.Errorf("Condition of %s (%s) = %s, want %s", tt.event.Code, tt.event.Severity, got, tt.want)
		}
	}
}

func TestTemplates(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"the title", "[{{.Severity | upper}}] {{.Title}}", "[WARNING] lb1: 2 events, warning"},
		{"the last event", "{{.Event.Subject}} {{.Event.To}}", "10.0.0.11:80 down"},
		{"all of them", "{{range .Events}}{{line .}}; {{end}}", "instance web: BACKUP -> MASTER (advert timer expired); real server 10.0.0.11:80 of web: up -> down (connection refused); "},
		{"JSON", `{"n": {{.Count}}, "text": {{json .Node}}}`, `{"n": 2, "text": "lb1"}`},
		{"a field that there is not", "{{.Subjekt}}", "error: 1:2: executing \"template\" at <.Subjekt>: can't evaluate field Subjekt in type message.Data"},
		{"a field of an event that there is not", "{{.Event.Name}}", "error: 1:8: executing \"template\" at <.Event.Name>: can't evaluate field Name in type sdk.Event"},
		{"a function that there is not", "{{now}}", "error: 1: function \"now\" not defined"},
		{"an end that is missing", "{{range .Events}}", "error: 1: unexpected EOF"},
		{"without an end", `{{define "a"}}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{template "a"}}{{end}}{{template "a"}}`, "error: it makes more than"},
	} {
		parsed, err := Parse(tt.text)
		got := ""
		if err == nil {
			got, err = Execute(parsed, DataOf(samples()))
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want && !(strings.HasPrefix(tt.want, "error: it makes") && strings.Contains(got, tt.want[7:])) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// told is a delivery of three events, of which the second fails so often.
func told(p *Progress, fail error, seen *[]uint64) func(context.Context, []sdk.Event, struct{}) error {
	return func(ctx context.Context, events []sdk.Event, _ struct{}) error {
		return p.Each(ctx, events, func(e sdk.Event) error {
			*seen = append(*seen, e.Seq)
			if e.Seq == 2 {
				return fail
			}
			return nil
		})
	}
}

func TestAnAttemptGoesOnWhereTheLastOneEnded(t *testing.T) {
	var p Progress
	var seen []uint64
	three := []sdk.Event{{Seq: 1}, {Seq: 2}, {Seq: 3}}
	first := sdk.WithDelivery(t.Context(), sdk.Delivery{Key: "a", Attempt: 1})
	if err := told(&p, errors.New("refused"), &seen)(first, three, struct{}{}); err == nil || err.Error() != "refused" {
		t.Errorf("first attempt: %v", err)
	}
	if err := told(&p, nil, &seen)(first, three, struct{}{}); err != nil {
		t.Errorf("second attempt: %v", err)
	}
	if fmt.Sprint(seen) != "[1 2 2 3]" {
		t.Errorf("told of %v, want 1 2 2 3", seen)
	}
	seen = nil
	other := sdk.WithDelivery(t.Context(), sdk.Delivery{Key: "b", Attempt: 1})
	if err := told(&p, sdk.Drop(errors.New("unknown")), &seen)(other, three, struct{}{}); !sdk.Dropped(err) || fmt.Sprint(seen) != "[1 2 3]" {
		t.Errorf("a dropped event: %v, told of %v", err, seen)
	}
}
