package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// service is a witness in memory, with a clock that a test sets.
type service struct {
	mu     sync.Mutex
	now    time.Time
	grants map[string]grant // by claim
}

type grant struct {
	node string
	end  time.Time
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, password, _ := r.BasicAuth(); password != "abc" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	claim, node := r.FormValue("claim"), r.FormValue("node")
	ms, err := strconv.Atoi(r.FormValue("ttl_ms"))
	g := s.grants[claim]
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case g.node != node && g.end.After(s.now):
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, g.node)
	default:
		s.grants[claim] = grant{node, s.now.Add(time.Duration(ms) * time.Millisecond)}
	}
}

func (s *service) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func witness(t *testing.T, h http.Handler) plugintest.WitnessTest {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	w := plugintest.Witness(t, "claims", sdk.Witness[Config]{Acquire: acquire, Release: release})
	return w.Config(fmt.Sprintf(`{"url": %q, "password": "abc"}`, s.URL))
}

func TestOneHasIt(t *testing.T) {
	s := &service{grants: map[string]grant{}}
	w := witness(t, s).TTL(3 * time.Second)
	w.Acquire().Granted()
	w.Acquire().Granted()
	w.Node("lb2").Acquire().Refused("lb1")
	w.Node("lb2").Claim("mail").Acquire().Granted()
	s.wait(4 * time.Second)
	w.Node("lb2").Acquire().Granted()
	w.Acquire().Refused("lb2")
	w.Release().Refused("lb2")
	w.Node("lb2").Release().Granted()
	w.Acquire().Granted()
}

func TestWhatIsNoAnswerGrantsNothing(t *testing.T) {
	w := witness(t, &service{grants: map[string]grant{}})
	w.Config(`{"url": "http://127.0.0.1:9/"}`).Acquire().Unknown("refused")
	slow := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	witness(t, http.HandlerFunc(slow)).Timeout(100 * time.Millisecond).Acquire().Unknown("")
	witness(t, http.NotFoundHandler()).Acquire().Unknown("status 404")
	w.Config(`{"url": "ftp://127.0.0.1/"}`).Invalid("url", "does not match")
}

func TestConformance(t *testing.T) {
	witness(t, &service{grants: map[string]grant{}}).Conformance()
}
