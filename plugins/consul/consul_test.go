package consul

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
)

// fake is what the witness uses of Consul's HTTP interface, by its documentation: sessions with a time to live, and keys that they
// lock. Debian has no Consul. Its seconds are short.
type fake struct {
	mu       sync.Mutex
	second   time.Duration
	token    string
	sessions map[string]*session
	keys     map[string]entry
	made     int
}

type session struct {
	ttl   time.Duration
	until time.Time
}

type entry struct {
	session string
	value   []byte
}

func consul(t *testing.T) (*fake, string) {
	t.Helper()
	f := &fake{second: 20 * time.Millisecond, sessions: map[string]*session{}, keys: map[string]entry{}}
	h := httptest.NewServer(f)
	t.Cleanup(h.Close)
	return f, h.URL
}

// sweep ends sessions whose time is over, and deletes the keys that they have locked (Behavior delete).
func (f *fake) sweep() {
	for id, s := range f.sessions {
		if time.Now().After(s.until) {
			f.destroy(id)
		}
	}
}

func (f *fake) destroy(id string) {
	delete(f.sessions, id)
	for k, e := range f.keys {
		if e.session == id {
			delete(f.keys, k)
		}
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep()
	body, _ := io.ReadAll(r.Body)
	what, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	action, id, _ := strings.Cut(rest, "/")
	switch {
	case f.token != "" && r.Header.Get("X-Consul-Token") != f.token:
		http.Error(w, "Permission denied", http.StatusForbidden)
	case what == "session" && action == "create":
		var q struct{ TTL, Behavior, LockDelay string }
		_ = json.Unmarshal(body, &q)
		ttl, err := time.ParseDuration(q.TTL)
		if err != nil || ttl < 10*time.Second || ttl > 24*time.Hour || q.Behavior != "delete" || q.LockDelay != "0s" {
			http.Error(w, "Invalid Session TTL", http.StatusBadRequest)
			return
		}
		f.made++
		id := fmt.Sprintf("session-%d", f.made)
		f.sessions[id] = &session{ttl: time.Duration(ttl.Seconds() * float64(f.second))}
		f.sessions[id].until = time.Now().Add(f.sessions[id].ttl)
		reply(w, map[string]string{"ID": id})
	case what == "session" && action == "renew":
		s := f.sessions[id]
		if s == nil {
			http.Error(w, "Session id not found", http.StatusNotFound)
			return
		}
		s.until = time.Now().Add(s.ttl)
		reply(w, []map[string]string{{"ID": id}})
	case what == "session" && action == "destroy":
		f.destroy(id)
		reply(w, true)
	case what == "kv" && r.Method == http.MethodGet:
		e, ok := f.keys[rest]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		reply(w, []map[string]any{{"Key": rest, "Value": base64.StdEncoding.EncodeToString(e.value), "Session": e.session}})
	case what == "kv" && r.Method == http.MethodPut:
		by := r.URL.Query().Get("acquire")
		e := f.keys[rest]
		won := f.sessions[by] != nil && (e.session == "" || e.session == by)
		if won {
			f.keys[rest] = entry{by, body}
		}
		reply(w, won)
	default:
		http.Error(w, "no such thing", http.StatusMethodNotAllowed)
	}
}

func reply(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func test(t *testing.T, url, more string) plugintest.WitnessTest {
	t.Helper()
	return plugintest.Witness(t, "consul", functions()).Config(`{"url": "` + url + `"` + more + `}`)
}

func TestOneNodeAtATime(t *testing.T) {
	f, url := consul(t)
	w := test(t, url, "")
	w.Valid()
	w.Acquire().Granted()
	w.Node("lb2").Acquire().Refused("lb1")
	w.Node("lb2").Release().Refused("lb1")
	w.Acquire().Granted()
	w.Claim("lb1,lb2/a b").Node("lb2").Acquire().Granted()
	w.Release().Granted()
	w.Release().Granted()
	w.Node("lb2").Acquire().Granted()
	f.mu.Lock()
	if _, ok := f.keys["vipward/lb1,lb2/a b"]; !ok || len(f.sessions) != 2 {
		t.Errorf("keys %v, %d sessions, want one for each grant", f.keys, len(f.sessions))
	}
	f.mu.Unlock()
	w.Conformance()
}

func TestAGrantEndsWithItsSession(t *testing.T) {
	f, url := consul(t)
	w := test(t, url, "")
	w.Acquire().Granted()
	f.mu.Lock()
	for _, s := range f.sessions {
		s.until = time.Now().Add(-time.Second)
	}
	f.mu.Unlock()
	w.Node("lb2").Acquire().Granted()
	w.Acquire().Refused("lb2")
}

func TestARenewedGrantKeepsItsSession(t *testing.T) {
	f, url := consul(t)
	w := test(t, url, "")
	for range 5 {
		w.Acquire().Granted()
	}
	if f.made != 1 {
		t.Errorf("%d sessions were made, want 1", f.made)
	}
}

func TestTheToken(t *testing.T) {
	f, url := consul(t)
	f.token = "geheim"
	test(t, url, "").Acquire().Unknown("read the key: status 403 Forbidden: Permission denied")
	test(t, url, `, "token": "geheim"`).Acquire().Granted()
	test(t, url, `, "token": "a", "token_file": "b"`).Invalid("token_file", "exclude each other")
	test(t, "127.0.0.1:8500", "").Invalid("url", "")
}

func TestAConsulThatIsGone(t *testing.T) {
	test(t, "http://127.0.0.1:1", "").Acquire().Unknown("connection refused")
}

func TestManyClaimants(t *testing.T) {
	f, url := consul(t)
	f.second = time.Second
	w := test(t, url, "")
	w.Exclusive()
}
