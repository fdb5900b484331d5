// Command vipward-plugin-chat is a notifier: it posts a line for each event to the incoming hook of a chat, in the form that
// Slack, Mattermost and Rocket.Chat take.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
)

// Config is the inside of the block notifier "chat" "NAME".
type Config struct {
	Hook     sdk.Secret        `vipward:"hook,required" doc:"URL of the incoming hook. Whoever has it can post, so it is a secret."`
	Channel  string            `vipward:"channel" pattern:"[#@].+" doc:"Channel to post to, instead of the hook's own."`
	Icons    map[string]string `vipward:"icons" default:"{\"warning\": \":warning:\", \"critical\": \":fire:\"}" doc:"What a line begins with, by the severity of the event."`
	MaxLines int               `vipward:"max_lines" default:"20" min:"1" max:"100" doc:"Lines of one message. Further events are counted."`
}

// Validate refuses what the tags cannot.
func (c *Config) Validate() error {
	u, err := url.Parse(string(c.Hook))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return sdk.PathError(errors.New("not a URL that begins with https://"), "hook") // without the value: it is a secret
	}
	return nil
}

// notify posts one message with all events. An answer of the chat decides whether it is worth another attempt.
func notify(ctx context.Context, events []sdk.Event, c Config) error {
	body, err := json.Marshal(struct {
		Text    string `json:"text"`
		Channel string `json:"channel,omitempty"`
	}{text(events, c), c.Channel})
	if err != nil {
		return sdk.Drop(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, string(c.Hook), bytes.NewReader(body))
	if err != nil {
		return sdk.Drop(errors.New("the hook is no URL"))
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err // without the URL
		}
		return fmt.Errorf("post to the hook: %w", err)
	}
	defer a.Body.Close()
	return judge(a)
}

// judge says what an answer means for the events.
func judge(a *http.Response) error {
	err := fmt.Errorf("the chat answers %s", a.Status)
	switch {
	case a.StatusCode < 300:
		return nil
	case a.StatusCode == http.StatusTooManyRequests:
		if s, bad := strconv.Atoi(a.Header.Get("Retry-After")); bad == nil && s > 0 {
			return sdk.RetryAfter(time.Duration(s) * time.Second)
		}
		return err
	case a.StatusCode < 500: // the hook is gone, or the message is wrong: it will not get better
		return sdk.Drop(err)
	}
	return err
}

// text is one line for each event.
func text(events []sdk.Event, c Config) string {
	var lines []string
	for i, e := range events {
		if i == c.MaxLines {
			lines = append(lines, fmt.Sprintf("and %d more", len(events)-i))
			break
		}
		lines = append(lines, strings.TrimSpace(c.Icons[e.Severity]+" "+line(e)))
	}
	return strings.Join(lines, "\n")
}

// line is one event: `lb1: instance web is MASTER (was BACKUP): no advert`.
func line(e sdk.Event) string {
	s := fmt.Sprintf("%s: %s %s", e.Node, e.Kind, e.Subject)
	if e.To != "" {
		s += " is " + e.To
	}
	if e.From != "" {
		s += " (was " + e.From + ")"
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

func main() {
	sdk.ServeNotifier("chat", notify, sdk.Summary("posts events to the incoming hook of a chat"))
}
