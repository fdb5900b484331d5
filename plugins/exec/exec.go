// Package exec is three components that run a command of the operator's: the notifier "exec", one for every event, with the
// arguments that keepalived gives to its notify scripts; the checker "exec", one for every run, by the rules of the monitoring
// plugins or of keepalived's MISC_CHECK; and the fencer "exec", one for each of off, on and status. All run scripts as they are.
// It knows no shell, and is not for checks that come many times a second: each run is a process.
package exec

import (
	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/power"
)

// Notifier is the notifier for [sdk.Serve].
func Notifier() sdk.Component {
	return sdk.Notifier("exec", notify, sdk.Summary("runs a command for every event, with keepalived's arguments"))
}

// Checker is the checker for [sdk.Serve].
func Checker() sdk.Component {
	return sdk.Checker("exec", check, sdk.Summary("runs a monitoring plugin, or a script of keepalived's MISC_CHECK"))
}

// Fencer is the fencer for [sdk.Serve].
func Fencer() sdk.Component {
	return sdk.Fencer("exec", power.Fence(openSwitch), sdk.Summary("runs commands that switch a node off and on, and one that reads how it is"))
}
