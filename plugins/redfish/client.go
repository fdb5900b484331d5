package redfish

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/vipward/vipward/sdk/power"
)

const (
	maxAnswer = 1 << 20
	byeLimit  = 2 * time.Second // for the end of a session
)

// client talks to one controller for one call of the fencer. It follows no redirects: the password is for this controller.
type client struct {
	config  Config
	base    *url.URL
	http    *http.Client
	token   string
	session string // its path
}

func dial(c Config) (*client, error) {
	base, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	base.Path = "/"
	settings, err := c.TLS.settings()
	if err != nil {
		return nil, err
	}
	return &client{config: c, base: base, http: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: settings, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// settings are those of https. Without a block the certificate is verified by the system's authorities.
func (t *TLS) settings() (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return settings, nil
	}
	settings.ServerName, settings.InsecureSkipVerify = t.ServerName, t.Insecure
	if t.CAFile == "" {
		return settings, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificates: %w", err)
	}
	settings.RootCAs = x509.NewCertPool()
	if !settings.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", t.CAFile)
	}
	return settings, nil
}

// login opens a session (DSP0266 section 13.3.4).
func (c *client) login(ctx context.Context) error {
	body := map[string]string{"UserName": c.config.User, "Password": string(c.config.Password)}
	var answer http.Header
	err := c.send(ctx, http.MethodPost, "/redfish/v1/SessionService/Sessions", body, nil, &answer)
	if err != nil {
		return err
	}
	c.token, c.session = answer.Get("X-Auth-Token"), answer.Get("Location")
	if c.token == "" {
		return errors.New("the controller opened a session and gave no token")
	}
	return nil
}

// close ends the session: a controller has few of them.
func (c *client) close() {
	if at, err := url.Parse(c.session); err == nil && at.Path != "" {
		ctx, cancel := context.WithTimeout(context.Background(), byeLimit)
		_ = c.do(ctx, http.MethodDelete, at.Path, nil, nil) // it ends by itself after a while
		cancel()
	}
	c.http.CloseIdleConnections()
}

func (c *client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, nil, into)
}

// do makes one request and reads the answer into a value, if there is one to read into.
func (c *client) do(ctx context.Context, method, path string, body, into any) error {
	return c.send(ctx, method, path, body, into, nil)
}

func (c *client) send(ctx context.Context, method, path string, body, into any, header *http.Header) error {
	ref, err := url.Parse(path)
	if err != nil || ref.IsAbs() || ref.Host != "" {
		return fmt.Errorf("the controller refers to %q, which is no path of its own", path)
	}
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base.ResolveReference(ref).String(), content)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("OData-Version", "4.0")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	switch {
	case c.token != "":
		r.Header.Set("X-Auth-Token", c.token)
	case c.config.Auth == "basic":
		r.SetBasicAuth(c.config.User, string(c.config.Password))
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, bare(err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, bare(err))
	}
	if header != nil {
		*header = answer.Header
	}
	if err := c.refused(answer, text); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s %s: the answer is no JSON as Redfish has it: %w", method, path, err)
	}
	return nil
}

// bare is an error of net/http without the URL, which the caller names in short.
func bare(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// refused is what an answer that is no success says. What is wrong with the request does not become right by asking again; what
// the controller is too busy for may.
func (c *client) refused(answer *http.Response, text []byte) error {
	code := answer.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("status %s%s", answer.Status, message(text))
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
