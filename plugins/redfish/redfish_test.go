package redfish

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
)

// bmc is a controller with the part of the Redfish tree that a reset goes through, and with faults.
type bmc struct {
	mu       sync.Mutex
	state    string
	resets   []string
	sessions map[string]bool // open ones, by token
	opened   int

	slow    int    // readings for which a switch is still on its way
	lies    bool   // a reset is accepted and does nothing
	refuses int    // status of a reset, instead of doing it
	hangs   bool   // requests after the login are not answered
	systems int    // default 1
	answer  string // of the system, instead of JSON
}

const basePath = "/redfish/v1"

func (b *bmc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	hangs := b.hangs && !strings.HasPrefix(r.URL.Path, basePath+"/SessionService")
	b.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("OData-Version", "4.0")
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost && r.URL.Path == basePath+"/SessionService/Sessions" {
		b.login(w, r)
		return
	}
	user, password, basic := r.BasicAuth()
	if !b.sessions[r.Header.Get("X-Auth-Token")] && !(basic && user == "fence" && password == "geheim") {
		complain(w, http.StatusUnauthorized, "There is no valid session established.")
		return
	}
	switch key := r.Method + " " + strings.TrimPrefix(r.URL.Path, basePath); {
	case strings.HasPrefix(key, "DELETE /SessionService/Sessions/"):
		delete(b.sessions, r.Header.Get("X-Auth-Token"))
		w.WriteHeader(http.StatusNoContent)
	case key == "GET /Systems":
		b.list(w)
	case key == "GET /Systems/1":
		b.show(w)
	case key == "POST /Systems/1/Actions/ComputerSystem.Reset":
		b.reset(w, r)
	default:
		complain(w, http.StatusNotFound, "The resource "+r.URL.Path+" was not found.")
	}
}

func (b *bmc) login(w http.ResponseWriter, r *http.Request) {
	var ask struct{ UserName, Password string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.UserName != "fence" || ask.Password != "geheim" {
		complain(w, http.StatusUnauthorized, "The credentials included with this request are missing or invalid.")
		return
	}
	b.opened++
	token := fmt.Sprintf("token-%d", b.opened)
	b.sessions[token] = true
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", fmt.Sprintf("%s/SessionService/Sessions/%d", basePath, b.opened))
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintln(w, `{"@odata.type": "#Session.v1_3_0.Session", "UserName": "fence"}`)
}

func (b *bmc) list(w http.ResponseWriter) {
	var members []string
	for i := range max(b.systems, 1) {
		members = append(members, fmt.Sprintf(`{"@odata.id": "%s/Systems/%d"}`, basePath, i+1))
	}
	fmt.Fprintf(w, `{"@odata.id": "%s/Systems", "Members@odata.count": %d, "Members": [%s]}`, basePath, len(members), strings.Join(members, ","))
}

func (b *bmc) show(w http.ResponseWriter) {
	if b.answer != "" {
		fmt.Fprint(w, b.answer)
		return
	}
	state := b.state
	if b.slow > 0 && len(b.resets) > 0 {
		b.slow--
		state = map[string]string{"Off": "PoweringOff", "On": "PoweringOn"}[b.state]
	}
	fmt.Fprintf(w, `{
		"@odata.id": "%[1]s/Systems/1", "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": "1", "Name": "lb2",
		"PowerState": %[2]q, "Status": {"State": "Enabled", "Health": "OK"},
		"Actions": {"#ComputerSystem.Reset": {
			"target": "%[1]s/Systems/1/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown", "ForceRestart"]}}}`, basePath, state)
}

func (b *bmc) reset(w http.ResponseWriter, r *http.Request) {
	var ask struct{ ResetType string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		complain(w, http.StatusBadRequest, "The request body is malformed.")
		return
	}
	if b.refuses != 0 {
		complain(w, b.refuses, "The service cannot do this now.")
		return
	}
	b.resets = append(b.resets, ask.ResetType)
	switch {
	case b.lies:
	case ask.ResetType == "ForceOff":
		b.state = "Off"
	case ask.ResetType == "On":
		b.state = "On"
	default:
		complain(w, http.StatusBadRequest, "The value "+ask.ResetType+" is not in the list of acceptable values.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func complain(w http.ResponseWriter, code int, text string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"error": {"code": "Base.1.0.GeneralError", "message": "See ExtendedInfo.", "@Message.ExtendedInfo": [{"Message": %q}]}}`, text)
}

// serve starts the controller with a certificate of its own, and gives a fencer that trusts it.
func (b *bmc) serve(t *testing.T, more string) plugintest.FencerTest {
	t.Helper()
	b.state, b.sessions = "On", map[string]bool{}
	s := httptest.NewTLSServer(b)
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"url": %q, "user": "fence", "password": "geheim", "tls": {"ca_file": %q}, "poll": "100ms"%s}`, s.URL, ca, more)
	return plugintest.Fencer(t, "redfish", power.Fence(open)).Config(config).Timeout(20 * time.Second)
}

func TestAController(t *testing.T) {
	for _, auth := range []string{"session", "basic"} {
		b := &bmc{slow: 3}
		f := b.serve(t, fmt.Sprintf(`, "auth": %q`, auth))
		f.Valid()
		f.Status().Failed("reads on")
		f.DryRun().Off().Unknown("dry run: the power at 127.0.0.1:")
		if len(b.resets) > 0 {
			t.Fatalf("%s: the dry run made the resets %v", auth, b.resets)
		}
		f.Off().Confirmed("reads off")
		f.Status().Confirmed("reads off")
		f.On().Confirmed("reads on")
		if got := fmt.Sprint(b.resets, len(b.sessions)); got != "[ForceOff On] 0" {
			t.Errorf("%s: resets and open sessions are %s, want [ForceOff On] 0", auth, got)
		}
		if auth == "basic" && b.opened > 0 {
			t.Errorf("basic: %d sessions were opened", b.opened)
		}
	}
}

func TestARebootAndAnotherReset(t *testing.T) {
	b := &bmc{}
	b.serve(t, `, "action": "reboot", "system": "1"`).Off().Confirmed("reads off, and was switched on again")
	b = &bmc{}
	f := b.serve(t, `, "reset_off": "PushPowerButton", "system": "/redfish/v1/Systems/1"`)
	f.DryRun().Off().Unknown("takes no ResetType PushPowerButton; it takes On, ForceOff, GracefulShutdown, ForceRestart")
	f.Off().Failed("The value PushPowerButton is not in the list of acceptable values")
}

func TestAControllerThatDoesNotDoItsWork(t *testing.T) {
	for _, tt := range []struct {
		name string
		bmc  *bmc
		more string
		want func(plugintest.FencerResult)
	}{
		{"it accepts and does nothing", &bmc{lies: true}, "", func(r plugintest.FencerResult) {
			r.Failed("was switched off without an error, and still reads on after")
		}},
		{"it refuses", &bmc{refuses: http.StatusBadRequest}, "", func(r plugintest.FencerResult) {
			r.Failed("status 400 Bad Request: The service cannot do this now.")
		}},
		{"it is busy", &bmc{refuses: http.StatusServiceUnavailable}, "", func(r plugintest.FencerResult) {
			r.Failed("status 503 Service Unavailable: The service cannot do this now.")
		}},
		{"it hangs", &bmc{hangs: true}, "", func(r plugintest.FencerResult) { r.Unknown("context deadline exceeded") }},
		{"wrong password", &bmc{}, `, "password": "falsch"`, func(r plugintest.FencerResult) {
			r.Unknown(`user "fence" is not let in: status 401 Unauthorized: The credentials included`)
		}},
		{"wrong password, without a session", &bmc{}, `, "password": "falsch", "auth": "basic"`, func(r plugintest.FencerResult) {
			r.Unknown(`user "fence" is not let in`)
		}},
		{"several systems", &bmc{systems: 2}, "", func(r plugintest.FencerResult) {
			r.Unknown("the controller has 2 systems (1, 2): name one of them")
		}},
		{"no such system", &bmc{}, `, "system": "Blade9"`, func(r plugintest.FencerResult) {
			r.Unknown("status 404 Not Found: The resource /redfish/v1/Systems/Blade9 was not found")
		}},
		{"nonsense", &bmc{answer: "<html>"}, "", func(r plugintest.FencerResult) { r.Unknown("no JSON as Redfish has it") }},
		{"a state that there is not", &bmc{answer: `{"PowerState": "Unknown"}`}, "", func(r plugintest.FencerResult) {
			r.Unknown(`PowerState of /redfish/v1/Systems/1 is "Unknown", which is neither On nor Off`)
		}},
		{"a state on its way", &bmc{answer: `{"PowerState": "PoweringOn"}`}, "", func(r plugintest.FencerResult) { r.Failed("reads on") }},
		{"a certificate of somebody else", &bmc{}, `, "tls": {"server_name": "bmc.example"}`, func(r plugintest.FencerResult) { r.Unknown("certificate") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := tt.bmc.serve(t, tt.more)
			tt.want(f.Timeout(5 * time.Second).Off())
			if n := len(tt.bmc.sessions); n > 0 {
				t.Errorf("%d sessions were left open", n)
			}
		})
	}
}

func TestAControllerOutOfReach(t *testing.T) {
	f := plugintest.Fencer(t, "redfish", power.Fence(open))
	f.Config(`{"url": "https://127.0.0.1:9", "user": "fence", "password": "geheim"}`).Timeout(5 * time.Second).Off().Unknown("connection refused")
}

func TestTheFaultsOfAConfiguration(t *testing.T) {
	f := plugintest.Fencer(t, "redfish", power.Fence(open))
	with := func(url, more string) plugintest.FencerTest {
		return f.Config(fmt.Sprintf(`{"url": %q, "user": "fence", "password": "geheim"%s}`, url, more))
	}
	with("https://10.9.0.3", "").Valid()
	with("https://10.9.0.3/redfish/v1/", "").Valid()
	with("10.9.0.3", "").Invalid("url", "")
	with("https://fence:geheim@10.9.0.3", "").Invalid("url", "without user, path and query")
	with("https://10.9.0.3/ui/login", "").Invalid("url", "without user, path and query")
	with("http://10.9.0.3", "").Warned("url", "clear text")
	with("https://10.9.0.3", `, "tls": {"insecure": true}`).Warned("tls.insecure", "whoever answers")
	with("https://10.9.0.3", `, "tls": {"ca_file": "/nowhere/ca.pem"}`).Warned("tls.ca_file", "not on this node")
	with("https://10.9.0.3", `, "auth": "digest"`).Invalid("auth", "not one of session, basic")
}

func TestConformance(t *testing.T) { (&bmc{}).serve(t, "").Conformance() }
