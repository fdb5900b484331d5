// Command vipward-plugin-banner is a checker: the target must greet with a prefix.
package main

import (
	"context"
	"io"
	"strings"

	"github.com/vipward/vipward/sdk"
)

// Config is the block check "banner".
type Config struct {
	Prefix string `vipward:"prefix" default:"SSH-2.0" doc:"What the greeting must start with."`
}

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	conn, err := t.Dial(ctx)
	if err != nil {
		return sdk.Fail(err)
	}
	defer conn.Close()
	buf := make([]byte, len(c.Prefix))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return sdk.Fail(err)
	}
	if !strings.HasPrefix(string(buf), c.Prefix) {
		return sdk.Failf("greeting %q", buf)
	}
	return sdk.Pass()
}

func main() { sdk.ServeChecker("banner", check) }
