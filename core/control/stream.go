package control

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/vipward/vipward/core/event"
)

const (
	// keepAlive is how often a follower hears something, so that both sides notice a dead connection.
	keepAlive = 15 * time.Second
	// followerLimit is how long one event may take to get out to a follower.
	followerLimit = 5 * time.Second
)

// events answers GET /v1/events: `since` is a duration such as 10m or an instant in RFC 3339, `follow` keeps the answer open.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	since, err := parseSince(q.Get("since"), time.Now())
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	follow, err := parseFollow(q.Get("follow"))
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	if !follow {
		answer(w, EventList{Events: s.Events.Since(since)})
		return
	}
	if since.IsZero() {
		since = time.Now() // who only follows wants news
	}
	s.follow(w, r, since)
}

// follow sends events as server-sent events until the client leaves or lags behind.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, since time.Time) {
	past, live, err := s.Events.Subscribe(r.Context(), since)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := stream{w: w, ctl: http.NewResponseController(w)}
	_ = out.ctl.SetReadDeadline(time.Time{}) // that of the request; a connection without deadlines needs none lifted
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	err = out.comment("from " + since.UTC().Format(time.RFC3339))
	for _, e := range past {
		if err == nil {
			err = out.event(e)
		}
	}
	for err == nil {
		select {
		case e, ok := <-live:
			if !ok {
				_ = out.comment("the end: the daemon stops, or this client was too slow")
				return
			}
			err = out.event(e)
		case <-alive.C:
			err = out.comment("")
		}
	}
}

// stream writes server-sent events (HTML standard, section 9.2), each at once and within a limit.
type stream struct {
	w   io.Writer
	ctl *http.ResponseController
}

func (s stream) event(e event.Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	return s.send("id: %d\ndata: %s\n\n", e.Seq, b)
}

func (s stream) comment(text string) error { return s.send(": %s\n\n", text) }

func (s stream) send(format string, args ...any) error {
	if err := s.ctl.SetWriteDeadline(time.Now().Add(followerLimit)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.ctl.Flush()
}

// parseSince reads a duration before now or an instant; the empty text is the zero time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("since %q is neither a duration such as 10m nor an instant such as 2025-01-31T12:00:00Z", text)
	}
	return t, nil
}

func parseFollow(text string) (bool, error) {
	if text == "" {
		return false, nil
	}
	follow, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("follow is 1 or 0, not %q", text)
	}
	return follow, nil
}
