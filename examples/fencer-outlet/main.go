// Command vipward-plugin-outlet is a fencer: it switches an outlet that has a URL.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/vipward/vipward/sdk"
)

// Config is the inside of the block fencer "outlet" "NAME".
type Config struct {
	URL      string     `vipward:"url,required" pattern:"https?://.+" doc:"The outlet. GET answers on or off; PUT of on or off switches."`
	Password sdk.Secret `vipward:"password" doc:"For the user vipward."`
}

// off switches the outlet off, and confirms only what it has read back.
func off(ctx context.Context, t sdk.FenceTarget, c Config) sdk.FenceResult {
	return switchTo(ctx, "off", t, c)
}

func on(ctx context.Context, t sdk.FenceTarget, c Config) sdk.FenceResult {
	return switchTo(ctx, "on", t, c)
}

// status confirms that the node is off.
func status(ctx context.Context, _ sdk.FenceTarget, c Config) sdk.FenceResult {
	return reads(ctx, "off", c)
}

func switchTo(ctx context.Context, state string, t sdk.FenceTarget, c Config) sdk.FenceResult {
	if t.DryRun { // everything but the switching
		now, err := call(ctx, http.MethodGet, "", c)
		if err != nil {
			return sdk.Unknown(err)
		}
		return sdk.Confirmed(fmt.Sprintf("the outlet reads %s, and would be switched %s", now, state))
	}
	if _, err := call(ctx, http.MethodPut, state, c); err != nil {
		return sdk.Unknown(err) // it may have happened all the same
	}
	return reads(ctx, state, c)
}

func reads(ctx context.Context, want string, c Config) sdk.FenceResult {
	now, err := call(ctx, http.MethodGet, "", c)
	switch {
	case err != nil:
		return sdk.Unknown(err)
	case now != want:
		return sdk.Failed(fmt.Errorf("the outlet reads %q, want %s", now, want))
	}
	return sdk.Confirmed("the outlet reads " + now)
}

// call makes one request and returns the body of the answer.
func call(ctx context.Context, method, body string, c Config) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.URL, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.SetBasicAuth("vipward", string(c.Password))
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err // without the URL, which may hold a secret
		}
		return "", fmt.Errorf("%s: %w", method, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 100))
	if err == nil && a.StatusCode >= 300 {
		err = fmt.Errorf("status %s", a.Status)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func main() {
	sdk.ServeFencer("outlet", sdk.Fence[Config]{Off: off, On: on, Status: status}, sdk.Summary("switches an outlet that has a URL"))
}
