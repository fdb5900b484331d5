package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// outlet is a device. A stuck one says yes and does nothing.
type outlet struct {
	state string
	stuck bool
}

func (o *outlet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := r.BasicAuth(); password != "abc" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodPut && !o.stuck {
		body, _ := io.ReadAll(r.Body)
		o.state = string(body)
	}
	fmt.Fprintln(w, o.state)
}

func fencer(t *testing.T, device http.Handler) plugintest.FencerTest {
	t.Helper()
	s := httptest.NewServer(device)
	t.Cleanup(s.Close)
	f := plugintest.Fencer(t, "outlet", sdk.Fence[Config]{Off: off, On: on, Status: status})
	return f.Config(fmt.Sprintf(`{"url": %q, "password": "abc"}`, s.URL))
}

func TestOffAndOn(t *testing.T) {
	f := fencer(t, &outlet{state: "on"})
	f.Status().Failed(`reads "on"`)
	f.Off().Confirmed("reads off")
	f.Status().Confirmed("reads off")
	f.On().Confirmed("reads on")
}

func TestADryRunSwitchesNothing(t *testing.T) {
	o := &outlet{state: "on"}
	fencer(t, o).DryRun().Off().Unknown("dry run: the outlet reads on")
	if o.state != "on" {
		t.Errorf("the outlet is %s", o.state)
	}
}

func TestWhatIsNotReadBackIsNotConfirmed(t *testing.T) {
	fencer(t, &outlet{state: "on", stuck: true}).Off().Failed(`reads "on"`)
	slow := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	fencer(t, http.HandlerFunc(slow)).Timeout(100 * time.Millisecond).Off().Unknown("")
	fencer(t, &outlet{}).Config(`{"url": "http://127.0.0.1:9/"}`).Off().Unknown("refused")
}

func TestConformance(t *testing.T) {
	fencer(t, &outlet{state: "on"}).Conformance()
}
