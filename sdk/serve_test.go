package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func TestComponentsThatCannotBeServedAreRefused(t *testing.T) {
	check := func(context.Context, Target, struct{}) Result { return Pass() }
	for _, tt := range []struct {
		components []Component
		want       string
	}{
		{nil, "the plugin serves no component"},
		{[]Component{Checker("", check)}, "a component has no name"},
		{[]Component{Checker("a", check), Checker("a", check)}, "component a is there twice"},
		{[]Component{Checker("a", func(context.Context, Target, int) Result { return Pass() })}, "component a: a configuration is a struct, not int"},
		{[]Component{Checker("a", check), Notifier("a", func(context.Context, []Event, struct{}) error { return nil })}, ""},
	} {
		s := &server{components: tt.components}
		got := ""
		if err := s.fault(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("fault = %q, want %q", got, tt.want)
		}
	}
}

func TestAPluginDescribesWhatItOffers(t *testing.T) {
	s := &server{name: "both", components: []Component{
		Checker("a", func(context.Context, Target, nested) Result { return Pass() }, Summary("looks"), Version("1.2.3")),
		Notifier("b", func(context.Context, []Event, struct{}) error { return nil }),
	}}
	r, err := s.Describe(t.Context(), nil)
	if err != nil || r.GetName() != "both" || r.GetVersion() != "1.2.3" || len(r.GetComponents()) != 2 ||
		r.GetComponents()[0].GetSummary() != "looks" || len(r.GetComponents()[0].GetConfig().GetAttributes()) != 2 {
		t.Errorf("Describe = %v, %v", r, err)
	}
	v, err := s.Validate(t.Context(), &pluginv1.ValidateRequest{Kind: pluginv1.Kind_CHECKER, Name: "a", ConfigJson: []byte(`{"max":9}`)})
	if err != nil || len(v.GetDiagnostics()) != 1 || v.GetDiagnostics()[0].GetPath()[0].GetAttribute() != "max" {
		t.Errorf("Validate = %v, %v", v, err)
	}
	if _, err := s.Validate(t.Context(), &pluginv1.ValidateRequest{Kind: pluginv1.Kind_NOTIFIER, Name: "a"}); err == nil {
		t.Error("Validate of a component that there is not: no error")
	}
}

func TestHelpShowsTheBlocks(t *testing.T) {
	s := &server{name: "p", components: []Component{Checker("a", func(context.Context, Target, everything) Result { return Pass() }, Version("1"))}}
	var b strings.Builder
	s.help(&b)
	for _, want := range []string{
		"p is a plugin of vipward, version 1.", "checker \"a\"\n", "  name  string, required\n      Who.\n",
		"  count  int, default 3, at least 1, at most 10\n", "  password  string, secret\n", "  tls { }  Perhaps.\n    file  string",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, b.String())
		}
	}
}

func TestTheNameOfAPluginIsThatOfItsExecutable(t *testing.T) {
	components := []Component{{name: "first"}}
	for executable, want := range map[string]string{"/x/vipward-plugin-banner": "banner", "/x/other": "first", "vipward-plugin-": "first"} {
		if got := pluginName(executable, components); got != want {
			t.Errorf("pluginName(%q) = %q, want %q", executable, got, want)
		}
	}
}

func TestALogLineHasTheShapeThatTheHostReads(t *testing.T) {
	var b strings.Builder
	ctx := withLogger(t.Context(), newLogger(&b).With("target", "web"))
	Logger(ctx).Warn("slow", "ms", 7)
	got := map[string]any{}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got["@level"] != "warn" || got["@message"] != "slow" || got["@timestamp"] == nil || got["target"] != "web" || got["ms"] != 7.0 {
		t.Errorf("line %s", b.String())
	}
}

func TestTheHTTPClientConnectsToTheTargetWhateverTheURLSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://elsewhere.invalid/")
		w.WriteHeader(http.StatusFound)
		_, _ = w.Write([]byte(r.Host))
	}))
	defer server.Close()
	address := netip.MustParseAddrPort(server.Listener.Addr().String())
	for _, tt := range []struct {
		name   string
		target Target
		url    string
	}{
		{"by its own port", Target{Address: address}, "http://vip.invalid/"},
		{"by the port of the URL where it has none", Target{Address: netip.AddrPortFrom(address.Addr(), 0)}, "http://vip.invalid:" + address.String()[strings.LastIndex(address.String(), ":")+1:] + "/"},
		{"without an address, where the URL says", Target{}, server.URL},
	} {
		r, err := tt.target.HTTPClient().Get(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		r.Body.Close()
		if r.StatusCode != http.StatusFound {
			t.Errorf("%s: status %d, want the redirect itself", tt.name, r.StatusCode)
		}
	}
}

func TestDialUsesTheSourceAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target, err := targetOf(&pluginv1.Assignment{Address: l.Addr().String(), SourceAddress: "127.0.0.2"})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := target.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if from := conn.LocalAddr().String(); !strings.HasPrefix(from, "127.0.0.2:") {
		t.Errorf("connected from %s, want 127.0.0.2", from)
	}
	if _, err := (Target{}).Dial(t.Context()); !errors.Is(err, ErrNoAddress) {
		t.Errorf("Dial without an address: %v", err)
	}
}
