package http

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vipward/vipward/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configured is a configuration as it is after decoding: defaults, validated, opened.
func configured(t *testing.T, c Config) Config {
	t.Helper()
	if c.Method == "" {
		c.Method = "GET"
	}
	if c.Status == nil {
		c.Status = []string{"200-299"}
	}
	if err := errors.Join(c.Validate(), c.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	return c
}

func targetOf(s *httptest.Server) sdk.Target {
	return sdk.Target{Name: "rs", Address: netip.MustParseAddrPort(s.Listener.Addr().String())}
}

// site answers as the paths ask.
func site(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		_, _ = w.Write([]byte(r.Method + " " + r.Host + " " + r.Header.Get("X-A") + " " + r.Proto + " " + r.URL.RawQuery))
	case "/moved":
		http.Redirect(w, r, "http://elsewhere.invalid/echo", http.StatusFound)
	case "/loop":
		http.Redirect(w, r, "/loop", http.StatusFound)
	case "/sorry":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "/long":
		_, _ = w.Write(make([]byte, maxBody+1))
	case "/slow":
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	default:
		_, _ = w.Write([]byte("hello"))
	}
}

func TestAResponseIsJudgedByWhatIsConfigured(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(site))
	defer server.Close()
	sum5, sum256 := md5.Sum([]byte("hello")), sha256.Sum256([]byte("hello"))
	hello5, hello256 := hex.EncodeToString(sum5[:]), hex.EncodeToString(sum256[:])
	for _, tt := range []struct {
		name   string
		config Config
		want   string
	}{
		{"nothing but the target", Config{}, "pass"},
		{"a path", Config{Path: "/x"}, "pass"},
		{"a status that is not wanted", Config{Path: "/sorry"}, "fail: GET /sorry: status 503, want 200-299"},
		{"a status that is", Config{Path: "/sorry", Status: []string{"200", "500 - 503"}}, "pass"},
		{"the md5 of the body", Config{Digest: hello5}, "pass"},
		{"the sha256 of the body, in capitals", Config{Digest: strings.ToUpper(hello256)}, "pass"},
		{"another digest", Config{Digest: strings.Repeat("0", 32)}, "fail: GET /: digest " + hello5 + ", want " + strings.Repeat("0", 32)},
		{"a body that matches", Config{Body: "^hel+o$", BodyAbsent: "error"}, "pass"},
		{"a body that does not", Config{Body: "^bye"}, "fail: GET /: the body does not match ^bye"},
		{"a body that must not match", Config{BodyAbsent: "ell"}, "fail: GET /: the body matches ell"},
		{"a body that is too long to compare", Config{Path: "/long", Body: "x"}, "fail: GET /long: the body is longer than 1048576 bytes"},
		{"a long body that nobody compares", Config{Path: "/long"}, "pass"},
		{"method, virtual host, headers and query", Config{
			Path: "/echo?q=1", Method: "POST", Host: "www.example.com", Headers: map[string]string{"x-a": "b"},
			Body: `^POST www\.example\.com b HTTP/1\.1 q=1$`,
		}, "pass"},
		{"a URL whose host is elsewhere: the connection goes to the target", Config{URL: "http://vip.invalid/echo", Body: "^GET vip.invalid "}, "pass"},
		{"a redirect is a response", Config{Path: "/moved", Status: []string{"302"}}, "pass"},
		{"a redirect that is followed stays with the target", Config{Path: "/moved", Follow: true, Body: "^GET elsewhere.invalid"}, "pass"},
		{"a redirect that never ends", Config{Path: "/loop", Follow: true}, "fail: GET /loop: more than 10 redirects"},
		{"HTTP/2 without TLS", Config{Path: "/echo", HTTP: "2"}, "fail: "}, // this server does not speak it
	} {
		got := check(t.Context(), targetOf(server), configured(t, tt.config)).String()
		if got != tt.want && (tt.want != "fail: " || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(site))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		config Config
		want   string
	}{
		{"a certificate that nobody vouches for", Config{TLS: &TLS{}}, "fail: GET /: tls: failed to verify certificate"},
		{"that is not looked at", Config{Path: "/echo", TLS: &TLS{Insecure: true}, Body: "HTTP/2.0"}, "pass"},
		{"that a file vouches for, by the virtual host", Config{Host: "example.com", TLS: &TLS{CAFile: ca}}, "pass"},
		{"by server_name", Config{TLS: &TLS{CAFile: ca, ServerName: "example.com"}}, "pass"},
		{"for another name", Config{Host: "example.org", TLS: &TLS{CAFile: ca}}, "fail: GET /: tls: failed to verify certificate"},
		{"by the host of the URL", Config{URL: "https://example.com/", TLS: &TLS{CAFile: ca}}, "pass"},
		{"by HTTP/1.1 only", Config{Path: "/echo", HTTP: "1.1", TLS: &TLS{Insecure: true}, Body: "HTTP/1.1"}, "pass"},
	} {
		if got := check(t.Context(), targetOf(server), configured(t, tt.config)).String(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestACheckOfTheNodeItselfGoesWhereTheURLSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(site))
	defer server.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if got := check(t.Context(), sdk.Target{}, configured(t, Config{URL: server.URL + "/alive"})).String(); got != "pass" {
		t.Errorf("check = %s, want pass", got)
	}
	if got := check(t.Context(), sdk.Target{}, configured(t, Config{Path: "/"})).String(); got != "error: a check of the node itself needs url" {
		t.Errorf("check = %s, want an error of the check", got)
	}
}

func TestWhatDoesNotAnswerFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(site))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got := check(ctx, targetOf(server), configured(t, Config{Path: "/slow"})).String(); got != "fail: GET /slow: context deadline exceeded" {
		t.Errorf("a slow answer: %s", got)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := sdk.Target{Address: netip.MustParseAddrPort(l.Addr().String())}
	l.Close()
	if got := check(t.Context(), closed, configured(t, Config{})).String(); !strings.HasPrefix(got, "fail: GET /: dial tcp ") {
		t.Errorf("a closed port: %s", got)
	}
	portless := sdk.Target{Address: netip.AddrPortFrom(closed.Address.Addr(), 0)}
	if got := check(t.Context(), portless, configured(t, Config{Port: closed.Address.Port()})).String(); !strings.HasPrefix(got, "fail: GET /: dial tcp "+closed.Address.String()) {
		t.Errorf("a port of its own: %s", got)
	}
}

func TestValidatePointsAtTheFault(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		want   string
	}{
		{"nothing", Config{}, ""},
		{"a status that is none", Config{Status: []string{"200", "ok"}}, `status[1]: "ok" is no status: write a code as 200, or a range as "200-299"`},
		{"a status out of range", Config{Status: []string{"200", "700"}}, "status[1]: status 700 out of range: codes are 100 to 599"},
		{"an empty range", Config{Status: []string{"299-200"}}, "status[0]: status 299-200 is empty: 299 is more than 200"},
		{"no status at all", Config{Status: []string{}}, "status: no status would pass"},
		{"a body that is no expression", Config{Body: "("}, "body: no regular expression: error parsing regexp: missing closing ): `(`"},
		{
			"a digest of another length than the algorithm's",
			Config{Digest: strings.Repeat("a", 32), Algorithm: "sha256"},
			"digest: a digest by sha256 has 64 digits, this has 32",
		},
		{"url and path", Config{URL: "http://a/", Path: "/b"}, "path: url and path exclude each other"},
		{"url and scheme", Config{URL: "http://a/", Scheme: "https"}, "scheme: url has a scheme already"},
		{"a url that is none", Config{URL: "www.example.com"}, `url: "www.example.com" is no URL: write "http://HOST/PATH" or "https://HOST/PATH"`},
		{"a path that is none", Config{Path: "index.html"}, `path: "index.html" is no path: it begins with "/"`},
		{"a header that is two", Config{Headers: map[string]string{"a": "b\r\nc: d"}}, `headers: "a" is no header`},
		{"two faults", Config{Body: "(", BodyAbsent: "["}, "body: no regular expression: error parsing regexp: missing closing ): `(`\n" +
			"body_absent: no regular expression: error parsing regexp: missing closing ]: `[`"},
	} {
		if tt.config.Status == nil {
			tt.config.Status = []string{"200-299"}
		}
		got := ""
		if err := tt.config.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
