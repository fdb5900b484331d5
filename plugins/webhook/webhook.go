// Package webhook is the notifier "webhook": it tells of events by HTTP requests, of any form or in the form of a chat service. It is
// not for services that need more than a request.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
)

// maxAnswer is how much of an answer is read, in bytes, and maxQuote how much of it is told.
const (
	maxAnswer = 64 << 10
	maxQuote  = 200
)

// Component is the notifier for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Notifier("webhook", notify, sdk.Summary("tells of events by HTTP, as JSON, by a template, or in the form of a chat service"))
}

// notify makes one request for all events where the form or the operator folds them, else one for each.
func notify(ctx context.Context, events []sdk.Event, c Config) error {
	if c.folds() {
		return c.open.tell(ctx, c, events, sdk.DeliveryOf(ctx).Key)
	}
	return c.open.progress.Each(ctx, events, func(e sdk.Event) error {
		key := fmt.Sprintf("%s/%d", sdk.DeliveryOf(ctx).Key, e.Seq)
		return c.open.tell(ctx, c, []sdk.Event{e}, key)
	})
}

// tell makes one request for some events.
func (o *open) tell(ctx context.Context, c Config, events []sdk.Event, key string) error {
	body, err := o.form.body(c, events, time.Now())
	if err != nil {
		return sdk.Drop(err)
	}
	if body == nil {
		return nil // nothing that the form has words for
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	target := o.url
	if o.form.sign != nil && c.Secret != "" {
		target = o.form.sign(target, string(c.Secret), time.Now())
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return sdk.Drop(o.quiet(err))
	}
	o.dress(r, c, body, key, sdk.DeliveryOf(ctx).Attempt)
	began := time.Now()
	err = o.exchange(r)
	sdk.Logger(ctx).Debug("request", "host", o.url.Host, "events", len(events), "attempt", sdk.DeliveryOf(ctx).Attempt,
		"took", time.Since(began).Round(time.Millisecond), "error", err)
	return err
}

// dress sets the headers; those of the operator go before ours.
func (o *open) dress(r *http.Request, c Config, body []byte, key string, attempt int) {
	r.Header.Set("Content-Type", c.ContentType)
	r.Header.Set("User-Agent", "vipward")
	if key != "" {
		r.Header.Set("Idempotency-Key", fmt.Sprintf("%x", sha256.Sum256([]byte(key)))[:32])
		r.Header.Set("X-Vipward-Attempt", strconv.Itoa(attempt))
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+string(c.Token))
	}
	if c.Secret != "" && !o.form.signs {
		r.Header.Set(c.SignatureHeader, "sha256="+hmacHex([]byte(c.Secret), body))
	}
	for name, value := range c.Headers {
		if strings.EqualFold(name, "Host") {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
}

// exchange makes the request and judges the answer.
func (o *open) exchange(r *http.Request) error {
	resp, err := o.client.Do(r)
	if err != nil {
		return o.quiet(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	failed := fmt.Errorf("%s %s: status %d%s", r.Method, o.url.Host, resp.StatusCode, quote(answer))
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300 && o.form.judge != nil:
		if err != nil {
			return o.quiet(err)
		}
		return o.form.judge(o.url.Host, answer)
	case code >= 200 && code < 300:
		return nil
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return sdk.RetryBecause(failed, retryAfter(resp.Header.Get("Retry-After"), time.Now()))
	}
	return sdk.Drop(failed)
}

// quiet is an error without the URL, which is a secret of many services.
func (o *open) quiet(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("%s %s: %w", strings.ToUpper(u.Op), o.url.Host, u.Err)
	}
	return errors.New(strings.ReplaceAll(err.Error(), o.url.String(), o.url.Host))
}

// quote is the beginning of an answer, for a reason.
func quote(answer []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(answer[:min(len(answer), maxQuote)]), "")), " ")
	if text == "" {
		return ""
	}
	return ": " + text
}

// retryAfter is the time that the header of this name asks for: seconds or a date (RFC 9110 10.2.3); 0 where it says neither.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return time.Duration(min(max(seconds, 0), 24*60*60)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
