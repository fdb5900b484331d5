package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/vipward/vipward/sdk"
)

// maxText bounds what a template may make, in bytes.
const maxText = 1 << 20

// Data is what a template sees.
type Data struct {
	// Events are all, the oldest first; Event is the last of them, and Count their number.
	Events []sdk.Event
	Event  sdk.Event
	Count  int
	// Node is the node that reports, Severity the worst one.
	Node, Severity string
	// Title and Text are the words that are used without a template.
	Title, Text string
}

// DataOf is what a template sees of some events, of which there is at least one.
func DataOf(events []sdk.Event) Data {
	last := events[len(events)-1]
	return Data{
		Events: events, Event: last, Count: len(events), Node: last.Node, Severity: Severity(events), Title: Title(events), Text: Text(events),
	}
}

// Parse reads a template (package text/template). Besides the functions of that package there are json (a value as JSON), line (an
// event in one line), upper and lower. What names something that there is not is found here, not at the first event.
func Parse(text string) (*template.Template, error) {
	t, err := template.New("template").Option("missingkey=error").Funcs(template.FuncMap{
		"json": jsonOf, "line": Line, "upper": strings.ToUpper, "lower": strings.ToLower,
	}).Parse(text)
	if err != nil {
		return nil, plain(err)
	}
	for _, sample := range [][]sdk.Event{samples()[:1], samples()} {
		if _, err := Execute(t, DataOf(sample)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Execute is what a template makes of some events.
func Execute(t *template.Template, d Data) (string, error) {
	w := &limited{}
	if err := t.Execute(w, d); err != nil {
		return "", plain(err)
	}
	return w.String(), nil
}

// plain is an error of the package template without the name of the template.
func plain(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "template: template:"))
}

// limited is a text that does not grow without bounds.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxText {
		return 0, fmt.Errorf("it makes more than %d bytes", maxText)
	}
	return l.Builder.Write(p)
}

func jsonOf(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// samples are two events to try a template with.
func samples() []sdk.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return []sdk.Event{
		{
			Seq: 1, Time: at, Node: "lb1", Code: "instance.state", Severity: "info", Kind: "instance", Subject: "web",
			From: "BACKUP", To: "MASTER", Priority: 150, Reason: "advert timer expired",
		},
		{
			Seq: 2, Time: at, Node: "lb1", Code: "real_server.state", Severity: "warning", Kind: "real_server",
			Subject: "10.0.0.11:80", Service: "web", From: "up", To: "down", Reason: "connection refused",
		},
	}
}
