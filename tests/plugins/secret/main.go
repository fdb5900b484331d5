// Command secret is a checker that is careless with a secret: it logs it, and puts it into its result and into its faults. The
// tests of core/pluginhost look for it everywhere but in the call that brings it.
package main

import (
	"context"
	"fmt"

	"github.com/vipward/vipward/sdk"
)

// Config has a secret.
type Config struct {
	Password sdk.Secret `vipward:"password,required,secret" doc:"What nobody may see."`
	Length   int        `vipward:"length" doc:"How long it is."`
}

// Validate tells more than it should.
func (c Config) Validate() error {
	if len(string(c.Password)) != c.Length {
		return fmt.Errorf("%v has not %d characters; the configuration is %+v", c.Password, c.Length, c)
	}
	return nil
}

func check(ctx context.Context, _ sdk.Target, c Config) sdk.Result {
	sdk.Logger(ctx).Info("made a check", "config", c, "password", c.Password)
	return sdk.Warnf("password %v", c.Password)
}

func main() { sdk.ServeChecker("secret", check) }
