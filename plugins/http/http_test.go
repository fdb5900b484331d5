package http

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
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
	if c.MaxBody == 0 {
		c.MaxBody = 1 << 20
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
	case "/once":
		http.Redirect(w, r, "/echo", http.StatusSeeOther)
	case "/nowhere":
		http.Redirect(w, r, "gopher://elsewhere.invalid/", http.StatusFound)
	case "/long":
		_, _ = w.Write(make([]byte, 1<<20+1))
	case "/json":
		_, _ = w.Write([]byte(`{"status": "UP", "n": 3.0, "none": null, "a.b": true, "nodes": [{"name": "x"}, {"name": "y"}]}`))
	case "/private":
		if user, password, ok := r.BasicAuth(); r.Header.Get("Authorization") != "Bearer t0ken" && (!ok || user != "u" || password != "p") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	case "/away":
		http.Redirect(w, r, "http://elsewhere.invalid/private", http.StatusFound)
	case "/upload":
		text, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %d", r.Method, text, r.ContentLength)
	case "/slow":
		<-r.Context().Done()
	default:
		_, _ = w.Write([]byte("hello"))
	}
}

func TestAResponseIsJudgedByWhatIsConfigured(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(site))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
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
		{"or to make a digest of", Config{Path: "/long", Digest: hello5}, "fail: GET /long: the body is longer than 1048576 bytes"},
		{"by the operator's own bound", Config{Body: "hell", MaxBody: 4}, "fail: GET /: the body is longer than 4 bytes"},
		{"just short enough", Config{Body: "^hello$", MaxBody: 5}, "pass"},
		{"a long body that nobody compares", Config{Path: "/long"}, "pass"},
		{"a match from an offset on", Config{Body: "^lo", MinOffset: 3}, "pass"},
		{"an offset behind the body", Config{Body: "o", MinOffset: 6}, "fail: GET /: the body does not match o"},
		{"a match that begins too late", Config{Body: "lo", MaxOffset: 2}, "fail: GET /: the body does not match lo"},
		{"a match that begins just in time", Config{Body: "lo", MaxOffset: 3}, "pass"},
		{"what must not match begins later", Config{BodyAbsent: "lo", MaxOffset: 2}, "pass"},
		{"method, virtual host, headers and query", Config{
			Path: "/echo?q=1", Method: "POST", Host: "www.example.com", Headers: map[string]string{"x-a": "b"},
			Body: `^POST www\.example\.com b HTTP/1\.1 q=1$`,
		}, "pass"},
		{"a virtual host among the headers", Config{Path: "/echo", Headers: map[string]string{"host": "a.example.com"}, Body: "^GET a.example.com "}, "pass"},
		{"a payload", Config{Path: "/upload", Method: "PUT", Payload: "abc", Body: "^PUT abc 3$"}, "pass"},
		{"a POST without one", Config{Path: "/upload", Method: "POST", Body: "^POST  0$"}, "pass"},
		{"only the header", Config{Path: "/long", Method: "HEAD", Digest: "d41d8cd98f00b204e9800998ecf8427e"}, "pass"},
		{"HTTP/1.0", Config{Path: "/echo", HTTP: "1.0", Body: " HTTP/1.0 "}, "pass"},
		{"HTTP/2 without TLS", Config{Path: "/echo", HTTP: "2", Body: " HTTP/2.0 "}, "pass"},
		{"a POST by HTTP/2", Config{Path: "/upload", HTTP: "2", Method: "POST", Payload: "abc", Body: "^POST abc 3$"}, "pass"},
		{"a URL whose host is elsewhere: the connection goes to the target", Config{URL: "http://vip.invalid/echo", Body: "^GET vip.invalid "}, "pass"},
		{"a redirect is a response", Config{Path: "/moved", Status: []string{"302"}}, "pass"},
		{"a redirect that is followed stays with the target", Config{Path: "/moved", Follow: "true", Body: "^GET elsewhere.invalid"}, "pass"},
		{"a redirect of a POST", Config{Path: "/once", Method: "POST", Payload: "x", Follow: "1", Body: "^GET 127"}, "pass"},
		{"one redirect too many", Config{Path: "/loop", Follow: "2"}, "fail: GET /loop: more than 2 redirects"},
		{"a redirect that never ends", Config{Path: "/loop", Follow: "true"}, "fail: GET /loop: more than 10 redirects"},
		{"a redirect to another protocol", Config{Path: "/nowhere", Follow: "1"}, `fail: GET /nowhere: a redirect to "gopher://elsewhere.invalid/", which is no URL of HTTP`},
		{"a user", Config{Path: "/private", Username: "u", Password: "p"}, "pass"},
		{"a wrong password", Config{Path: "/private", Username: "u", Password: "geheim"}, "fail: GET /private: status 401, want 200-299"},
		{"a token, with the newline of its file", Config{Path: "/private", Bearer: "t0ken\n"}, "pass"},
		{"a token is not taken to another host", Config{Path: "/away", Bearer: "t0ken", Follow: "1"}, "fail: GET /away: status 401, want 200-299"},
		{"JSON", Config{Path: "/json", JSON: map[string]string{"status": "UP", "n": "3", "none": "null", `a\.b`: "true", "nodes.1.name": "y"}}, "pass"},
		{"another value", Config{Path: "/json", JSON: map[string]string{"status": "DOWN"}}, `fail: GET /json: JSON status is "UP", want "DOWN"`},
		{"a value that is not there", Config{Path: "/json", JSON: map[string]string{"nodes.0.state": "x"}}, `fail: GET /json: JSON nodes.0.state: there is no "state"`},
		{"an element that is not there", Config{Path: "/json", JSON: map[string]string{"nodes.2": "x"}}, `fail: GET /json: JSON nodes.2: there is no element "2" in a list of 2`},
		{"a whole object", Config{Path: "/json", JSON: map[string]string{"nodes.0": "x"}}, `fail: GET /json: JSON nodes.0 is "{\"name\":\"x\"}", want "x"`},
		{"below a text", Config{Path: "/json", JSON: map[string]string{"status.x": "x"}}, `fail: GET /json: JSON status.x: there is no "x" in a single value`},
		{"no JSON", Config{JSON: map[string]string{"status": "UP"}}, "fail: GET /: the body is no JSON: invalid character 'h' looking for beginning of value"},
		{"several requests that pass", Config{Requests: []Request{{Body: "^hello"}, {Path: "/sorry", Status: []string{"503"}}}}, "pass"},
		{"several of which one does not", Config{Requests: []Request{{}, {Path: "/sorry"}, {Path: "/x"}}}, "fail: GET /sorry: status 503, want 200-299"},
		{"what the requests inherit", Config{
			Host: "a.example.com", Method: "POST", Headers: map[string]string{"x-a": "b"},
			Requests: []Request{
				{Path: "/echo", Body: "^POST a.example.com b "},
				{Path: "/echo", Method: "GET", Host: "b.example.com", Headers: map[string]string{"X-A": "c"}, Body: "^GET b.example.com c "},
			},
		}, "pass"},
		{"paths of a URL", Config{URL: "http://vip.invalid", Requests: []Request{{Path: "/echo?q=1", Body: "^GET vip.invalid .* q=1$"}}}, "pass"},
	} {
		got := check(t.Context(), targetOf(server), configured(t, tt.config)).String()
		if got != tt.want {
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
		{"a certificate that nobody vouches for", Config{TLS: &tlsclient.Checked{}}, "fail: GET /: tls: failed to verify certificate"},
		{"that is not looked at", Config{Path: "/echo", TLS: &tlsclient.Checked{Options: tlsclient.Options{Insecure: true}}, Body: "HTTP/2.0"}, "pass"},
		{"that a file vouches for, by the virtual host", Config{Host: "example.com", TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca}}}, "pass"},
		{"by server_name", Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca, ServerName: "example.com"}}}, "pass"},
		{"for another name", Config{Host: "example.org", TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca}}}, "fail: GET /: tls: failed to verify certificate: x509: certificate is valid for example.com, *.example.com, not example.org"},
		{"by the host of the URL", Config{URL: "https://example.com/", TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca}}}, "pass"},
		{"that expires, in a long while", Config{Host: "example.com", TLS: &tlsclient.Checked{Options: tlsclient.Options{CAFile: ca}, ExpiresWithin: 1000000 * time.Hour}}, "warn: GET /: the certificate expires in "},
		{"by HTTP/2 only", Config{Path: "/echo", HTTP: "2", TLS: &tlsclient.Checked{Options: tlsclient.Options{Insecure: true}}, Body: "HTTP/2.0"}, "pass"},
		{"by HTTP/1.1 only", Config{Path: "/echo", HTTP: "1.1", TLS: &tlsclient.Checked{Options: tlsclient.Options{Insecure: true}}, Body: "HTTP/1.1"}, "pass"},
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
	if got := check(t.Context(), sdk.Target{}, configured(t, Config{Path: "/"})).String(); got != "error: a check of the node itself needs url, or an address" {
		t.Errorf("check = %s, want an error of the check", got)
	}
}

// raw serves each connection with talk, until the test ends.
func raw(t *testing.T, talk func(net.Conn)) sdk.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				talk(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return sdk.Target{Address: netip.MustParseAddrPort(l.Addr().String())}
}

// says reads a request, says something and hangs up.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, text)
	}
}

// holds says something and waits for the other end to hang up.
func holds(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	}
}

func TestATargetThatAcceptsAndThen(t *testing.T) {
	const soon, forever = 300 * time.Millisecond, 30 * time.Second
	for _, tt := range []struct {
		name    string
		talk    func(net.Conn)
		timeout time.Duration
		config  Config
		want    string
	}{
		{"says nothing", holds(""), soon, Config{}, "fail: GET /: connected, but no answer in time"},
		{"says nothing to HTTP/2", holds(""), soon, Config{HTTP: "2"}, "fail: GET /: connected, but no answer in time"},
		{"says nothing to a handshake", holds(""), soon, Config{TLS: &tlsclient.Checked{}}, "fail: GET /: connected, but no answer to the TLS handshake in time"},
		{"breaks off in the header", says("HTTP/1.1 200 OK\r\nServer: x\r\n"), forever, Config{}, "fail: GET /: the target closed the connection"},
		{"stops in a line of the header", holds("HTTP/1.1 200 OK\r\nServ"), soon, Config{}, "fail: GET /: the answer broke off: no more came in time"},
		{"stops in the header", holds("HTTP/1.1 200 OK\r\nServer: x\r\n"), soon, Config{}, "fail: GET /: the answer broke off: no more came in time"},
		{"closes the connection", says(""), forever, Config{}, "fail: GET /: connected, but the target closed the connection"},
		{"closes it in the handshake", says(""), forever, Config{TLS: &tlsclient.Checked{}}, "fail: GET /: TLS handshake: the target closed the connection"},
		{"speaks no TLS", says("HTTP/1.1 400 Bad Request\r\n\r\n"), forever, Config{TLS: &tlsclient.Checked{}}, "fail: GET /: tls: first record does not look like a TLS handshake"},
		{"speaks another protocol", says("SSH-2.0-OpenSSH_9.2\r\n"), forever, Config{}, `fail: GET /: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		{"sends a status that is none", says("HTTP/1.1 abc\r\n\r\n"), forever, Config{}, `fail: GET /: malformed HTTP status code "abc"`},
		{"sends a header without end", says("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 16<<10)), forever, Config{}, "fail: GET /: the header of the answer is longer than 65536 bytes"},
		{"sends less than it says", says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), forever, Config{}, "fail: GET /: the body broke off after 3 bytes: the target closed the connection"},
		{"stops in the body", holds("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), soon, Config{}, "fail: GET /: the body broke off after 3 bytes: no more came in time"},
		{"sends a chunk that is none", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), forever, Config{}, "fail: GET /: the body broke off after 0 bytes: invalid byte in chunk length"},
		{"sends chunks", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), forever, Config{Body: "^hello$"}, "pass"},
		{"ends the body with the connection", says("HTTP/1.0 200 OK\r\n\r\nhello"), forever, Config{Body: "^hello$"}, "pass"},
		{"informs before it answers", says("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), forever, Config{}, "pass"},
		{"only informs", says(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9)), forever, Config{}, "fail: GET /: more than 5 informational answers"},
		{"has no body to send", says("HTTP/1.1 204 No Content\r\n\r\n"), forever, Config{}, "pass"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
		if got := check(ctx, raw(t, tt.talk), configured(t, tt.config)).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		cancel()
	}
}

func TestWhatDoesNotAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(site))
	defer server.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := sdk.Target{Address: netip.MustParseAddrPort(l.Addr().String())}
	l.Close()
	portless := sdk.Target{Address: netip.AddrPortFrom(closed.Address.Addr(), 0)}
	port := strconv.Itoa(int(closed.Address.Port()))
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		target  sdk.Target
		config  Config
		want    string
	}{
		{"an answer that is too slow", 300 * time.Millisecond, targetOf(server), Config{Path: "/slow"}, "fail: GET /slow: connected, but no answer in time"},
		{"a closed port", time.Minute, closed, Config{}, "fail: GET /: dial tcp " + closed.Address.String() + ": connect: connection refused"},
		{"the port of the URL", time.Minute, portless, Config{URL: "http://a.invalid:" + port + "/x"}, "fail: GET /x: dial tcp " + closed.Address.String() + ": connect: connection refused"},
		{"a name that does not resolve", time.Minute, sdk.Target{}, Config{URL: "http://a.invalid/x"}, "error: GET /x: dial tcp: lookup a.invalid"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
		if got := check(ctx, tt.target, configured(t, tt.config)).String(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		cancel()
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := raw(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		cancel()
		_, _ = io.Copy(io.Discard, conn)
	})
	if got := check(ctx, target, configured(t, Config{})).Status(); got != "fail" {
		t.Errorf("check = %s, want fail", got)
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
		{"a URL with a user", Config{URL: "http://u:geheim@a/"}, "url: a URL has no user here: write username and password"},
		{"a password without its user", Config{Password: "geheim"}, "password: password without username"},
		{"two kinds of credentials", Config{Username: "u", Bearer: "geheim"}, "bearer: bearer and username exclude each other"},
		{"a token of two lines", Config{Bearer: "geheim\r\nX: y"}, "bearer: the token has more than one line"},
		{"a path of JSON that is none", Config{JSON: map[string]string{"a..b": "x"}}, `json: "a..b" is no path: write names with dots between them, as "status" or "nodes.0.state"`},
		{"offsets the wrong way round", Config{MinOffset: 9, MaxOffset: 3}, "body_max_offset: a match cannot begin after body_min_offset, 9, and before 3"},
		{"a fault in a request", Config{Requests: []Request{{}, {Status: []string{"ok"}}}}, `request[1].status[0]: "ok" is no status: write a code as 200, or a range as "200-299"`},
		{"two faults in a request", Config{Requests: []Request{{Body: "(", Path: "x"}}}, "request[0].body: no regular expression: error parsing regexp: missing closing ): `(`\nrequest[0].path: \"x\" is no path: it begins with \"/\""},
		{"what belongs into the requests", Config{Path: "/a", Requests: []Request{{}}}, "path: with blocks request, path stands in each of them"},
		{"a key without its certificate", Config{TLS: &tlsclient.Checked{Options: tlsclient.Options{KeyFile: "/dev/null"}}}, "tls.key_file: key_file is the key of cert_file, which is missing"},
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
