package redfish

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/vipward/vipward/sdk/httpjson"
	"github.com/vipward/vipward/sdk/power"
)

// byeLimit is for the end of a session.
const byeLimit = 2 * time.Second

// client talks to one controller for one call of the fencer.
type client struct {
	config  Config
	base    *url.URL
	http    *httpjson.Client
	session string // its path
}

func dial(c Config) (*client, error) {
	base, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	base.Path = "/"
	config, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	h := httpjson.New(config)
	h.Header.Set("Accept", "application/json")
	h.Header.Set("OData-Version", "4.0")
	if c.Auth == "basic" {
		h.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.User+":"+string(c.Password))))
	}
	return &client{config: c, base: base, http: h}, nil
}

// login opens a session (DSP0266 section 13.3.4).
func (c *client) login(ctx context.Context) error {
	body := map[string]string{"UserName": c.config.User, "Password": string(c.config.Password)}
	answer, err := c.send(ctx, http.MethodPost, "/redfish/v1/SessionService/Sessions", body)
	if err != nil {
		return err
	}
	token := answer.Header.Get("X-Auth-Token")
	if token == "" {
		return errors.New("the controller opened a session and gave no token")
	}
	c.http.Header.Set("X-Auth-Token", token)
	c.session = answer.Header.Get("Location")
	return nil
}

// close ends the session: a controller has few of them.
func (c *client) close() {
	if at, err := url.Parse(c.session); err == nil && at.Path != "" {
		ctx, cancel := context.WithTimeout(context.Background(), byeLimit)
		_ = c.do(ctx, http.MethodDelete, at.Path, nil, nil) // it ends by itself after a while
		cancel()
	}
	c.http.Close()
}

func (c *client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, nil, into)
}

// do makes one request and reads the answer into a value, if there is one to read into.
func (c *client) do(ctx context.Context, method, path string, body, into any) error {
	answer, err := c.send(ctx, method, path, body)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return fmt.Errorf("%s %s: the answer is no JSON as Redfish has it: %w", method, path, err)
	}
	return nil
}

func (c *client) send(ctx context.Context, method, path string, body any) (*httpjson.Answer, error) {
	ref, err := url.Parse(path)
	if err != nil || ref.IsAbs() || ref.Host != "" {
		return nil, fmt.Errorf("the controller refers to %q, which is no path of its own", path)
	}
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	answer, err := c.http.Do(ctx, method, c.base.ResolveReference(ref).String(), content, nil)
	if err == nil {
		err = c.refused(answer)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer, nil
}

// refused is what an answer that is no success says. What is wrong with the request does not become right by asking again; what
// the controller is too busy for may.
func (c *client) refused(answer *httpjson.Answer) error {
	code := answer.Status
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("status %s%s", answer.Line(), message(answer.Body))
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return power.Refused(fmt.Errorf("user %q is not let in: %w", c.config.User, err))
	case code == http.StatusTooManyRequests, code == http.StatusConflict, code >= 500:
		return err
	}
	return power.Refused(err)
}

// message is the words of an error of Redfish (DSP0266 section 8.6); empty for an answer without.
func message(text []byte) string {
	var e struct {
		Error struct {
			Message string
			Info    []struct{ Message string } `json:"@Message.ExtendedInfo"`
		}
	}
	if json.Unmarshal(text, &e) != nil {
		return ""
	}
	for _, i := range e.Error.Info {
		if i.Message != "" {
			return ": " + i.Message
		}
	}
	if e.Error.Message != "" {
		return ": " + e.Error.Message
	}
	return ""
}
