// Command vipward-plugin-shoutrrr is the notifier "shoutrrr": it tells of events by the services of the library of that name, each named
// by a URL. It is a module of its own, so that the daemon and the other plugins have nothing of its dependencies.
package main

import (
	"net/http"
	"time"

	"github.com/vipward/vipward/sdk"
)

// version is set by the linker.
var version = "devel"

// abandoned bounds a request of a service that has no time-out of its own, after nobody waits for it any more.
const abandoned = 30 * time.Second

func main() {
	http.DefaultClient.Timeout = abandoned // which some services use
	sdk.Serve(sdk.Notifier("shoutrrr", notify, sdk.Version(version),
		sdk.Summary("tells of events by the services of shoutrrr, each named by a URL")))
}
