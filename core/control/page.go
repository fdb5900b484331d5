package control

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
)

// pageEvents is how many events the page shows, the newest first.
const pageEvents = 20

//go:embed page.html
var pageSource string

// pageData is what the page is made from.
type pageData struct {
	Status
	Events []event.Event
	Now    time.Time
}

func parsePage() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"ago": func(now, t time.Time) string { return ago(now.Sub(t)) },
	}).Parse(pageSource))
}

func (s *Server) showPage(w http.ResponseWriter, _ *http.Request) {
	events := s.Events.Since(time.Time{})
	events = events[max(0, len(events)-pageEvents):]
	slices.Reverse(events)
	var b bytes.Buffer
	if err := s.page.Execute(&b, pageData{Status: s.API.Status(), Events: events, Now: time.Now()}); err != nil {
		fail(w, http.StatusInternalServerError, fmt.Errorf("make the page: %w", err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // a client that went away is nobody's problem
}

// ago is a duration in its two largest units: 12d4h, 3m12s, 5s.
func ago(d time.Duration) string {
	d = max(d, 0)
	day := 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
