// Command vipward-plugin-claims is a witness: it asks a service with a URL which node may hold something.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk"
)

// Config is the inside of the block witness "claims" "NAME".
type Config struct {
	URL      string     `vipward:"url,required" pattern:"https?://.+" doc:"The service. A POST of the form claim, node, ttl_ms, 0 to release, answers 200, or 409 with the holder."`
	Password sdk.Secret `vipward:"password" doc:"For the user vipward."`
}

// acquire gives the claim to the node, or renews it. The service must count the time from when it was asked, and give the claim to
// nobody else before that is over, also when it has been restarted.
func acquire(ctx context.Context, claim sdk.Claim, c Config) sdk.Grant {
	return ask(ctx, claim, claim.TTL.Milliseconds(), c)
}

// release takes it back. To release what one does not have is granted as well.
func release(ctx context.Context, claim sdk.Claim, c Config) sdk.Grant {
	return ask(ctx, claim, 0, c)
}

// ask makes one request. Only a clear yes is a grant and only a clear no a refusal: anything else says nothing about the claim.
func ask(ctx context.Context, claim sdk.Claim, milliseconds int64, c Config) sdk.Grant {
	form := url.Values{"claim": {claim.Name}, "node": {claim.Node}, "ttl_ms": {strconv.FormatInt(milliseconds, 10)}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return sdk.Unanswered(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("vipward", string(c.Password))
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err // without the URL, which may hold a secret
		}
		return sdk.Unanswered(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 100))
	switch {
	case err != nil:
		return sdk.Unanswered(err)
	case a.StatusCode == http.StatusOK:
		return sdk.Granted()
	case a.StatusCode == http.StatusConflict:
		return sdk.Refused(strings.TrimSpace(string(text)))
	}
	return sdk.Unanswered(fmt.Errorf("status %s", a.Status))
}

func main() {
	sdk.ServeWitness("claims", sdk.Witness[Config]{Acquire: acquire, Release: release}, sdk.Summary("asks a service with a URL which node may hold something"))
}
