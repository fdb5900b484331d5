package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// withServers is a daemon whose service "web" has the servers.
func withServers(servers ...string) *daemon {
	d := newDaemon()
	v := node.ServiceStatus{Config: node.Service{Name: "web"}}
	for _, s := range servers {
		v.RealServers = append(v.RealServers, node.RealServerStatus{Address: desired.Destination{Address: netip.MustParseAddrPort(s)}})
	}
	d.snapshot.Services = []node.ServiceStatus{v}
	return d
}

func TestDrainFindsTheServerThatIsMeant(t *testing.T) {
	d := withServers("10.0.0.11:80", "10.0.0.12:80", "10.0.0.12:81", "[2001:db8::1]:80")
	for _, tt := range []struct {
		server string
		code   int
		want   string
	}{
		{"10.0.0.11:80", 200, "10.0.0.11:80"},
		{"10.0.0.11", 200, "10.0.0.11:80"},
		{"[2001:DB8:0::1]:80", 200, "[2001:db8::1]:80"},
		{"2001:db8::1", 200, "[2001:db8::1]:80"},
		{"[2001:db8::1]", 200, "[2001:db8::1]:80"},
		{"10.0.0.12", 400, "bad request: web has several servers at 10.0.0.12: [10.0.0.12:80 10.0.0.12:81]; name one with its port"},
		{"10.0.0.21:80", 404, `there is no real_server of web "10.0.0.21:80"; did you mean "10.0.0.11:80"?`},
		{"", 404, `there is no real_server of web ""; there are: `},
	} {
		for _, w := range []struct{ method, path, body string }{
			{"POST", "/v1/drain", fmt.Sprintf(`{"service": "web", "real_server": %q}`, tt.server)},
			{"POST", "/v1/undrain", fmt.Sprintf(`{"service": "web", "real_server": %q}`, tt.server)},
			{"GET", "/v1/drain?service=web&real_server=" + tt.server, ""},
		} {
			r := request(d.server(io.Discard).Handler(), w.method, w.path, w.body)
			var got struct {
				RealServer string `json:"real_server"`
				Error      string `json:"error"`
			}
			if err := json.Unmarshal(r.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if r.Code != tt.code || !strings.HasPrefix(got.RealServer+got.Error, tt.want) {
				t.Errorf("%s %s %q: %d %s, want %d %s", w.method, w.path, tt.server, r.Code, r.Body, tt.code, tt.want)
			}
		}
	}
}

func TestDrainSaysWhyItIsRefused(t *testing.T) {
	d := withServers("10.0.0.11:80")
	h := d.server(io.Discard).Handler()
	if r := request(h, "POST", "/v1/drain", `{"service": "wbe", "real_server": "10.0.0.11:80"}`); r.Code != 404 ||
		!strings.Contains(r.Body.String(), `there is no virtual_server \"wbe\"; did you mean \"web\"?`) {
		t.Errorf("a service that there is not: %d %s", r.Code, r.Body)
	}
	for _, tt := range []struct {
		err  error
		code int
	}{{node.ErrRefused, 409}, {node.ErrNotFound, 404}, {errors.New("no space left"), 500}} {
		d.err = tt.err
		if r := request(h, "POST", "/v1/drain", `{"service": "web", "real_server": "10.0.0.11:80"}`); r.Code != tt.code {
			t.Errorf("%v: %d %s, want %d", tt.err, r.Code, r.Body, tt.code)
		}
	}
	d.err = nil
	if r := request(h, "POST", "/v1/drain", `{"service": "web", "real_server": "10.0.0.11:80", "force": true}`); r.Code != 200 ||
		!strings.Contains(r.Body.String(), "drained, force true") {
		t.Errorf("by force: %d %s", r.Code, r.Body)
	}
}
