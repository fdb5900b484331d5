package witnesshttp

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/witness"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/witnesshttp"
)

const key = "0123456789abcdef"

// serve is a vipward witness that grants from the start.
func serve(t *testing.T, key string) string {
	t.Helper()
	s := witness.NewServer(witness.Options{Key: []byte(key), MostTTL: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	s.Open()
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return h.URL
}

func test(t *testing.T, config map[string]any) plugintest.WitnessTest {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return plugintest.Witness(t, "http", functions()).Config(string(text))
}

func TestAgainstAWitness(t *testing.T) {
	for _, k := range []string{"", key} {
		config := map[string]any{"url": serve(t, k)}
		if k != "" {
			config["key"] = k
		}
		w := test(t, config)
		w.Valid()
		w.Acquire().Granted()
		w.Node("lb2").Acquire().Refused("lb1")
		w.Node("lb2").Release().Refused("lb1")
		w.Acquire().Granted()
		w.Claim("lb1,lb2/a b").Node("lb2").Acquire().Granted()
		w.Release().Granted()
		w.Release().Granted()
		w.Node("lb2").TTL(200 * time.Millisecond).Acquire().Granted()
		w.Acquire().Refused("lb2")
		time.Sleep(250 * time.Millisecond) // the grant's own time: the witness is a real one
		w.Acquire().Granted()
		w.TTL(time.Minute).Acquire().Unknown("a grant lasts at most 10s here")
		w.Conformance()
	}
}

func TestTheKey(t *testing.T) {
	url := serve(t, key)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	test(t, map[string]any{"url": url, "key_file": file}).Acquire().Granted()
	test(t, map[string]any{"url": url, "key": "another one, as long"}).Acquire().Unknown("the answer is not signed with the key")
	test(t, map[string]any{"url": url}).Acquire().Unknown("not signed with the witness's key")
	test(t, map[string]any{"url": serve(t, ""), "key": key}).Acquire().Unknown("the answer is not signed with the key")
	test(t, map[string]any{"url": url, "key_file": "/nowhere"}).Acquire().Unknown("/nowhere")
}

// TestRecordedRequestsAreOfNoUse plays what was sent once more, and the answer to somebody else.
func TestRecordedRequestsAreOfNoUse(t *testing.T) {
	url := serve(t, key)
	var granted []byte
	var signature string
	man := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPut && granted != nil { // a recorded answer
			w.Header().Set(witnesshttp.SignatureHeader, signature)
			_, _ = w.Write(granted)
			return
		}
		var answers []*http.Response
		for range 2 { // the second is the copy
			q, _ := http.NewRequest(r.Method, url+r.URL.EscapedPath(), strings.NewReader(string(body)))
			q.Header = r.Header.Clone()
			a, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Error(err)
				return
			}
			defer a.Body.Close()
			answers = append(answers, a)
		}
		text, _ := io.ReadAll(answers[0].Body)
		if r.Method == http.MethodPut {
			granted, signature = text, answers[0].Header.Get(witnesshttp.SignatureHeader)
			if answers[1].StatusCode != http.StatusUnauthorized {
				t.Errorf("the same request once more is answered with %s", answers[1].Status)
			}
		}
		for name, v := range answers[0].Header {
			w.Header()[name] = v
		}
		w.WriteHeader(answers[0].StatusCode)
		_, _ = w.Write(text)
	}))
	defer man.Close()
	w := test(t, map[string]any{"url": man.URL, "key": key})
	w.Acquire().Granted()
	w.Node("lb2").Acquire().Unknown("the answer is not signed with the key")
}

func TestAWitnessThatDoesNotDoItsDuty(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error":                   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", 500) }, "status 500 Internal Server Error: broken"},
		"no JSON":                    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "granted") }, "status 200 OK: granted"},
		"a refusal without a holder": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(409); _, _ = io.WriteString(w, "{}") }, "status 409"},
		"not yet": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"error":"not yet"}`)
		}, "not yet"},
		"silence":    {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, "context deadline exceeded"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, "status 302"},
	} {
		h := httptest.NewServer(tt.answer)
		w := test(t, map[string]any{"url": h.URL}).Timeout(300 * time.Millisecond)
		t.Run(name, func(*testing.T) { w.Acquire().Unknown(tt.want) })
		h.CloseClientConnections()
		h.Close()
		w.Acquire().Unknown("connection refused")
	}
}

func TestWhatIsRefused(t *testing.T) {
	test(t, map[string]any{"url": "10.9.0.5:9116"}).Invalid("url", "")
	test(t, map[string]any{"url": "http://a:b@10.9.0.5/x"}).Invalid("url", "write the scheme, the host and the port alone")
	test(t, map[string]any{"url": "http://10.9.0.5", "key": "a", "key_file": "b"}).Invalid("key_file", "exclude each other")
}

// TestManyClaimants has many nodes ask at once, over the wire: one of them has the claim at a time.
func TestManyClaimants(t *testing.T) {
	w := test(t, map[string]any{"url": serve(t, key), "key": key})
	w.TTL(5 * time.Second).Exclusive()
}
