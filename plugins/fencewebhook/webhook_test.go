package fencewebhook

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
)

// cloud is the interface of a provider, with one server, and its faults.
type cloud struct {
	mu      sync.Mutex
	state   string
	actions []string

	lies    bool // an action is accepted and nothing happens
	refuses int  // status of an action, instead
	hangs   bool
	answer  string // to a reading, instead
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.hangs {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "Bearer geheim":
		http.Error(w, "unauthorized", http.StatusUnauthorized)
	case r.Method == http.MethodGet && r.URL.Path == "/v1/servers/i-42" && c.answer != "":
		_, _ = io.WriteString(w, c.answer)
	case r.Method == http.MethodGet && r.URL.Path == "/v1/servers/i-42":
		fmt.Fprintf(w, `{"servers": [{"id": "i-42", "power": {"state": %q, "code": 7, "locked": false}}]}`, c.state)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/servers/i-42/action":
		c.act(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (c *cloud) act(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Action, Reason string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	if c.refuses != 0 {
		http.Error(w, `{"error": "not now"}`, c.refuses)
		return
	}
	c.actions = append(c.actions, ask.Action+" "+ask.Reason)
	if !c.lies {
		c.state = map[string]string{"stop": "stopped", "start": "running"}[ask.Action]
	}
	w.WriteHeader(http.StatusAccepted)
}

const config = `{
	"headers": {"Authorization": "Bearer geheim"}, "plugs": {"lb2": "i-42"}, "poll": "100ms",
	"off": {"url": "%[1]s/v1/servers/{{.Plug}}/action", "body": "{\"action\": \"stop\", \"reason\": {{json .Node}}}", "status": ["202"]},
	"on": {"url": "%[1]s/v1/servers/{{.Plug}}/action", "body": "{\"action\": \"start\"}"},
	"status": {"url": "%[1]s/v1/servers/{{.Plug}}", "path": "servers.0.power.state", "off": ["stopped"], "on": ["running", "stopping"]}%[2]s}`

func (c *cloud) serve(t *testing.T, more string) plugintest.FencerTest {
	t.Helper()
	if c.state == "" {
		c.state = "running"
	}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return plugintest.Fencer(t, "webhook", power.Fence(open)).Config(fmt.Sprintf(config, s.URL, more)).Timeout(20 * time.Second)
}

func TestACloud(t *testing.T) {
	c := &cloud{}
	f := c.serve(t, "")
	f.Valid()
	f.Status().Failed("servers.0.power.state of i-42 reads on")
	f.DryRun().Off().Unknown("dry run: servers.0.power.state of i-42 reads on, and would be switched off")
	if len(c.actions) > 0 {
		t.Fatalf("the dry run made the requests %v", c.actions)
	}
	f.Off().Confirmed("servers.0.power.state of i-42 reads off")
	f.Status().Confirmed("reads off")
	f.On().Confirmed("reads on")
	if want := []string{"stop lb2", "start "}; !slices.Equal(c.actions, want) {
		t.Errorf("the actions are %q, want %q", c.actions, want)
	}
	f.Node("lb9").Off().Unknown(`plugs does not say what node "lb9" is called there`)
	c.serve(t, `, "action": "reboot"`).Off().Confirmed("reads off, and was switched on again")
}

func TestACloudThatDoesNotDoItsWork(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cloud *cloud
		more  string
		want  func(plugintest.FencerResult)
	}{
		{"it accepts and does nothing", &cloud{lies: true}, "", func(r plugintest.FencerResult) {
			r.Failed("was switched off without an error, and still reads on after")
		}},
		{"it refuses", &cloud{refuses: 403}, "", func(r plugintest.FencerResult) {
			r.Failed(`reads on: request off: status 403 Forbidden: {"error": "not now"}`)
		}},
		{"it is busy", &cloud{refuses: 503}, "", func(r plugintest.FencerResult) { r.Failed("status 503 Service Unavailable") }},
		{"it hangs", &cloud{hangs: true}, "", func(r plugintest.FencerResult) { r.Unknown("context deadline exceeded") }},
		{"wrong token", &cloud{}, `, "headers": {"Authorization": "Bearer falsch"}`, func(r plugintest.FencerResult) {
			r.Unknown("status 401 Unauthorized: unauthorized")
		}},
		{"nonsense", &cloud{answer: "<html>"}, "", func(r plugintest.FencerResult) { r.Unknown("the answer is no JSON: <html>") }},
		{"another form", &cloud{answer: `{"servers": []}`}, "", func(r plugintest.FencerResult) { r.Unknown("no element servers.0, but 0 elements") }},
		{"another name", &cloud{answer: `{"machines": []}`}, "", func(r plugintest.FencerResult) { r.Unknown("the answer has no servers") }},
		{"a state of which nobody spoke", &cloud{state: "rebuilding", lies: true}, "", func(r plugintest.FencerResult) {
			r.Unknown(`servers.0.power.state of i-42 is "rebuilding", which is neither among off nor among on`)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := tt.cloud.serve(t, tt.more).Timeout(5 * time.Second).Off()
			tt.want(r)
			if strings.Contains(r.Evidence(), "geheim") || strings.Contains(r.Evidence(), "http://") {
				t.Errorf("the reason shows too much: %s", r.Evidence())
			}
		})
	}
	f := plugintest.Fencer(t, "webhook", power.Fence(open)).Config(fmt.Sprintf(config, "http://127.0.0.1:9", "")).Timeout(5 * time.Second)
	f.Off().Unknown("connection refused")
}

func TestTheCertificateIsVerified(t *testing.T) {
	s := httptest.NewTLSServer(&cloud{state: "stopped"})
	t.Cleanup(s.Close)
	f := plugintest.Fencer(t, "webhook", power.Fence(open)).Timeout(20 * time.Second)
	f.Config(fmt.Sprintf(config, s.URL, "")).Status().Unknown("certificate")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Config(fmt.Sprintf(config, s.URL, fmt.Sprintf(`, "tls": {"ca_file": %q}`, ca))).Status().Confirmed("reads off")
}

func TestAPlaceInAnAnswer(t *testing.T) {
	const text = `{"a": {"b": [{"c": "x"}, true]}, "n": 1.5, "z": null}`
	for _, tt := range []struct{ path, want string }{
		{"a.b.0.c", "x"},
		{"a.b.1", "true"},
		{"n", "1.5"},
		{"z", "null"},
		{"a.b", "error: a.b of the answer is no single value"},
		{"a.b.2", "error: the list in the answer has no element a.b.2, but 2 elements"},
		{"a.b.c", "error: the list in the answer has no element a.b.c, but 2 elements"},
		{"n.x", "error: the answer has nothing below n"},
		{"a.x", "error: the answer has no a.x: " + text},
	} {
		got, err := at([]byte(text), tt.path)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("at %s: %s, want %s", tt.path, got, tt.want)
		}
	}
}

func TestTheFaultsOfAConfiguration(t *testing.T) {
	f := plugintest.Fencer(t, "webhook", power.Fence(open))
	const host = "https://cloud.example"
	with := func(old, new string) plugintest.FencerTest {
		text := fmt.Sprintf(config, host, "")
		if !strings.Contains(text, old) {
			t.Fatalf("no %s in the configuration", old)
		}
		return f.Config(strings.Replace(text, old, new, 1))
	}
	with("", "").Valid()
	with("{{.Plug}}/action", "{{.Plugg}}").Invalid("off.url", "Plugg")
	with("{{json .Node}}", "{{json .Node").Invalid("off.body", "bad character")
	with(host, "cloud.example").Invalid("off.url", "no whole URL")
	with(`"202"`, `"2xx"`).Invalid("off.status[0]", "no status code")
	with(`["running", "stopping"]`, `["running", "stopped"]`).Invalid("status.off[0]", `"stopped" cannot mean off and on`)
	with(`["stopped"]`, `[]`).Invalid("status.off", "nothing stands for off")
	with(`"path": "servers.0.power.state", `, "").Invalid("status.path", "required")
	with(`"poll": "100ms",`, `"poll": "100ms", "action": "reboot",`).Valid()
	f.Config(`{"off": {"url": "https://a/"}, "status": {"url": "https://a/", "path": "a", "off": ["0"], "on": ["1"]}, "action": "reboot"}`).
		Invalid("action", "needs a block on")
	f.Config(fmt.Sprintf(config, host, `, "tls": {"insecure": true}`)).Warned("tls.insecure", "whoever answers")
}

func TestConformance(t *testing.T) { (&cloud{}).serve(t, "").Conformance() }
