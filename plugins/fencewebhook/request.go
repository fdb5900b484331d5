package fencewebhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk/httpjson"
	"github.com/vipward/vipward/sdk/power"
)

// maxShown is how much of an answer a reason quotes, in bytes.
const maxShown = 120

// device is one node behind an HTTP interface, for one call of the fencer.
type device struct {
	config     Config
	client     *httpjson.Client
	node, plug string
}

// read makes the request status and looks at its place in the answer.
func (d *device) read(ctx context.Context) (power.State, error) {
	s := &d.config.Status
	text, err := d.send(ctx, "status", s.request())
	if err != nil {
		return "", err
	}
	found, err := at(text, s.Path)
	switch {
	case err != nil:
		return "", fmt.Errorf("status: %w", err)
	case slices.Contains(s.Off, found):
		return power.Off, nil
	case slices.Contains(s.On, found):
		return power.On, nil
	}
	return "", fmt.Errorf("%s of %s is %q, which is neither among off nor among on", s.Path, d.plug, shown(found))
}

func (d *device) turn(ctx context.Context, to power.State) error {
	r := &d.config.Off
	if to == power.On {
		r = d.config.On
	}
	if r == nil {
		return power.Refused(errors.New("there is no request on"))
	}
	_, err := d.send(ctx, string(to), r)
	return err
}

func (d *device) ready(_ context.Context, to power.State) error {
	if to == power.On && d.config.On == nil {
		return errors.New("there is no request on")
	}
	return nil
}

// send makes one request. An error names it by what it is for, since a URL may hold a secret.
func (d *device) send(ctx context.Context, what string, r *Request) ([]byte, error) {
	text, err := d.exchange(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", what, err)
	}
	return text, nil
}

func (d *device) exchange(ctx context.Context, r *Request) ([]byte, error) {
	where, err := fill(r.URL, d.node, d.plug)
	if err != nil {
		return nil, err
	}
	body, err := fill(r.Body, d.node, d.plug)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for name, value := range d.config.Headers {
		header.Set(name, string(value))
	}
	answer, err := d.client.Do(ctx, r.Method, where, []byte(body), header)
	if err != nil {
		return nil, err
	}
	return answer.Body, r.judge(answer)
}

// judge tells whether an answer is a success. What is wrong with the request does not become right by asking again.
func (r *Request) judge(answer *httpjson.Answer) error {
	code := answer.Status
	for _, s := range r.Status {
		if least, most, err := codes(s); err == nil && code >= least && code <= most {
			return nil
		}
	}
	if code >= 400 && code < 500 && code != http.StatusConflict && code != http.StatusTooManyRequests && code != http.StatusLocked {
		return power.Refused(answer.Error())
	}
	return answer.Error()
}

// shown is the beginning of a text, in one line.
func shown(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

// fill fills a template.
func fill(text, node, plug string) (string, error) {
	t, err := parsed(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, struct{ Node, Plug string }{node, plug}); err != nil {
		return "", err
	}
	return b.String(), nil
}

// quoted is a value as JSON.
func quoted(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// codes reads "200" or "200-299".
func codes(s string) (least, most int, err error) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		to = from
	}
	least, err = strconv.Atoi(from)
	if err == nil {
		most, err = strconv.Atoi(to)
	}
	if err != nil || least < 100 || most > 599 || most < least {
		return 0, 0, fmt.Errorf("%q is no status code, and no range like \"200-299\"", s)
	}
	return least, most, nil
}

// at is the value at a place of a JSON text, as text: names of objects and numbers of lists, with dots in between.
func at(text []byte, path string) (string, error) {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return "", fmt.Errorf("the answer is no JSON: %s", shown(string(text)))
	}
	walked := ""
	for step := range strings.SplitSeq(path, ".") {
		switch inner := v.(type) {
		case map[string]any:
			next, ok := inner[step]
			if !ok {
				return "", fmt.Errorf("the answer has no %s%s: %s", walked, step, shown(string(text)))
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(inner) {
				return "", fmt.Errorf("the list in the answer has no element %s%s, but %d elements", walked, step, len(inner))
			}
			v = inner[i]
		default:
			return "", fmt.Errorf("the answer has nothing below %s", strings.TrimSuffix(walked, "."))
		}
		walked += step + "."
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case map[string]any, []any:
		return "", fmt.Errorf("%s of the answer is no single value", path)
	}
	return quoted(v)
}
