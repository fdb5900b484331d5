package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/sdk"
)

// session is what a set of Alertmanagers has been told.
type session struct {
	mu      sync.Mutex
	config  Config // the latest
	firing  alarms
	sending bool // again, in the background
}

// sendAgain sends what fires again and again, until nothing does. It tells of the first failure, and of the end of failures.
func (s *session) sendAgain(log *slog.Logger) {
	failed := false
	for {
		s.mu.Lock()
		resend := s.config.Resend
		s.mu.Unlock()
		time.Sleep(resend)
		s.mu.Lock()
		if len(s.firing) == 0 {
			s.sending = false
			s.mu.Unlock()
			return
		}
		c, all := s.config, slices.SortedFunc(maps.Values(s.firing), order)
		err := post(context.Background(), c, all) // under the lock: an end that is told meanwhile must come after it
		s.mu.Unlock()
		switch {
		case err != nil && !failed:
			log.Warn("alerts that fire could not be sent again", "alerts", len(all), "error", err)
		case err == nil && failed:
			log.Info("alerts that fire are sent again")
		}
		failed = err != nil
	}
}

// alert is an alert of the API, version 2.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func (a alarm) alert(c Config, now time.Time) alert {
	out := alert{
		Labels: map[string]string{
			"alertname": "vipward." + a.code, "node": a.node, "severity": a.severity, "kind": a.kind, "subject": a.subject, "service": a.service,
		},
		Annotations: map[string]string{"summary": a.title, "description": a.reason, "state": a.to},
		StartsAt:    a.began, EndsAt: a.ended,
	}
	for _, m := range []map[string]string{out.Labels, out.Annotations} {
		maps.DeleteFunc(m, func(_, v string) bool { return v == "" })
	}
	for name, value := range c.Labels {
		out.Labels[name] = value
	}
	if a.ended.IsZero() {
		out.EndsAt = now.Add(c.Expire)
	}
	return out
}

// post sends alarms to all Alertmanagers. It is done when one has taken them: those of a cluster tell each other.
func post(ctx context.Context, c Config, all []alarm) error {
	now := time.Now()
	list := make([]alert, 0, len(all))
	for _, a := range all {
		list = append(list, a.alert(c, now))
	}
	body, err := json.Marshal(list)
	if err != nil {
		return sdk.Drop(err)
	}
	var mu sync.Mutex
	var failed []error
	var requests sync.WaitGroup
	for _, base := range c.URLs {
		requests.Go(func() {
			if err := postTo(ctx, c, base, body); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	requests.Wait()
	if len(failed) < len(c.URLs) {
		return nil
	}
	for _, err := range failed {
		if !sdk.Dropped(err) {
			return err // another attempt may help there
		}
	}
	return failed[0]
}

func postTo(ctx context.Context, c Config, base string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(base, "/")+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		return sdk.Drop(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "vipward")
	switch {
	case c.User != "":
		r.SetBasicAuth(c.User, string(c.Password))
	case c.Token != "":
		r.Header.Set("Authorization", "Bearer "+string(c.Token))
	}
	resp, err := c.client.Do(r)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err // without what the URL may hold
		}
		return fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(answer), "")), " ")
	failure := fmt.Errorf("%s: status %d: %.300s", r.URL.Host, resp.StatusCode, text)
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return fmt.Errorf("%s: the answer is not that of an Alertmanager: %.100s", r.URL.Host, text)
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusBadRequest:
		return sdk.Drop(failure)
	}
	return failure
}
