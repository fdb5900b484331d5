// Package message is how bundled notifiers word events: a line for one, a title and a text for several, templates of the
// operator's, and whether an event begins or ends a trouble. It is not for the delivery of what it words.
package message

import (
	"fmt"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
)

// maxLines bounds the events of a text; of more, the number is told.
const maxLines = 100

// Line is an event in one line: what it is about, what became of it, and why.
func Line(e sdk.Event) string {
	s := strings.ReplaceAll(e.Kind, "_", " ") + " " + e.Subject
	if e.Service != "" {
		s += " of " + e.Service
	}
	switch {
	case e.From != "" && e.To != "":
		s += ": " + e.From + " -> " + e.To
	case e.To != "":
		s += ": " + e.To
	default:
		s += ": " + e.Code
	}
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	return flat(s)
}

// flat is a text without line breaks and other control characters.
func flat(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// Title is some events in one short line: the node and the event, or how many there are and how bad they are.
func Title(events []sdk.Event) string {
	switch len(events) {
	case 0:
		return "nothing"
	case 1:
		e := events[0]
		e.Reason = ""
		return flat(e.Node) + ": " + Line(e)
	}
	return fmt.Sprintf("%s: %d events, %s", flat(events[0].Node), len(events), Severity(events))
}

// Text is one line for each event, with its time. Of more than a hundred the first and the last fifty are told.
func Text(events []sdk.Event) string {
	var b strings.Builder
	for i, e := range events {
		if i == maxLines/2 && len(events) > maxLines {
			fmt.Fprintf(&b, "... and %d more events ...\n", len(events)-maxLines)
		}
		if i >= maxLines/2 && i < len(events)-maxLines/2 && len(events) > maxLines {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", e.Time.Format(time.RFC3339), e.Severity, flat(e.Node), Line(e))
	}
	return b.String()
}

// Severity is the worst of some events; "info" of none.
func Severity(events []sdk.Event) string {
	worst := 0
	for _, e := range events {
		worst = max(worst, rank(e.Severity))
	}
	return []string{"info", "warning", "critical"}[worst]
}

func rank(severity string) int {
	return map[string]int{"warning": 1, "critical": 2}[severity]
}

// Condition is the trouble that an event begins or ends. code is the same at its beginning and at its end, for one subject.
// lasts tells whether there is an end to be told of at all.
func Condition(e sdk.Event) (code string, firing, lasts bool) {
	code, firing = e.Code, rank(e.Severity) > 0
	for end, begin := range map[string]string{".fresh": ".stale", ".recovered": ".failed", ".saved": ".unsaved"} {
		if s, ok := strings.CutSuffix(code, end); ok {
			return s + begin, firing, true
		}
		if strings.HasSuffix(code, begin) {
			return code, firing, true
		}
	}
	if e.Kind == "plugin" {
		return "plugin.state", firing, true
	}
	return code, firing, strings.HasSuffix(code, ".state")
}

// IsKeepalived tells whether an event is one that scripts and readers written for keepalived know: of what has a state, a change of it.
func IsKeepalived(e sdk.Event) bool {
	switch e.Kind {
	case "instance", "group", "real_server", "service":
		return e.To != ""
	}
	return true
}
