package witness

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/vipward/vipward/sdk/witnesshttp"
)

const (
	challengeLife = 10 * time.Second
	// maxChallenges are open at a time; beyond that the oldest is forgotten, and its asker comes again.
	maxChallenges = 4096
)

// Options of a server.
type Options struct {
	// Key that requests are signed with; empty for none, so that anybody may ask.
	Key []byte
	// MostTTL is the longest grant, and for how long nothing is granted after the start.
	MostTTL time.Duration
	Logger  *slog.Logger
}

// Server answers nodes: see the package sdk/witnesshttp.
type Server struct {
	o Options

	mu         sync.Mutex
	table      *table
	challenges map[string]time.Time // until when each is good
	order      []string             // the oldest first
}

// NewServer makes a server that grants nothing for o.MostTTL from now on.
func NewServer(o Options) *Server {
	return &Server{o: o, table: newTable(time.Now(), o.MostTTL), challenges: map[string]time.Time{}}
}

// Handler serves the protocol.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+witnesshttp.ChallengePath, s.challenge)
	mux.HandleFunc("PUT /v1/grants/{claim}", s.grants)
	mux.HandleFunc("DELETE /v1/grants/{claim}", s.grants)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux
}

// challenge gives out a word for one request.
func (s *Server) challenge(w http.ResponseWriter, _ *http.Request) {
	word := rand.Text()
	s.mu.Lock()
	if len(s.order) >= maxChallenges {
		delete(s.challenges, s.order[0])
		s.order = s.order[1:]
	}
	s.challenges[word], s.order = time.Now().Add(challengeLife), append(s.order, word)
	s.mu.Unlock()
	s.answer(w, "", http.StatusOK, witnesshttp.Answer{Challenge: word})
}

// grants is PUT and DELETE.
func (s *Server) grants(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, witnesshttp.MaxBody))
	signature := r.Header.Get(witnesshttp.SignatureHeader)
	if err != nil {
		s.answer(w, signature, http.StatusBadRequest, witnesshttp.Answer{Error: "the body cannot be read"})
		return
	}
	if len(s.o.Key) > 0 && !witnesshttp.Same(signature, witnesshttp.SignRequest(s.o.Key, r.Method, r.URL.EscapedPath(), body)) {
		s.o.Logger.Warn("a request is not signed with the key", "by", r.RemoteAddr)
		s.answer(w, signature, http.StatusUnauthorized, witnesshttp.Answer{Error: "the request is not signed with the witness's key"})
		return
	}
	var q witnesshttp.Request
	if err := json.Unmarshal(body, &q); err != nil {
		s.answer(w, signature, http.StatusBadRequest, witnesshttp.Answer{Error: "the body is no request: " + err.Error()})
		return
	}
	code, a := s.decide(r.Method, r.PathValue("claim"), q)
	s.o.Logger.Debug("answered", "method", r.Method, "claim", r.PathValue("claim"), "node", q.Node, "status", code, "holder", a.Holder, "error", a.Error)
	s.answer(w, signature, code, a)
}

// decide asks the table.
func (s *Server) decide(method, claim string, q witnesshttp.Request) (int, witnesshttp.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.o.Key) > 0 && !s.use(now, q.Challenge) {
		return http.StatusUnauthorized, witnesshttp.Answer{Error: "the challenge is unknown, used or too old"}
	}
	var err error
	if method == http.MethodDelete {
		err = s.table.release(now, claim, q.Node)
	} else {
		err = s.table.acquire(now, claim, q.Node, time.Duration(q.TTLMS)*time.Millisecond)
	}
	a := witnesshttp.Answer{}
	if g, ok := s.table.alive(now, claim); ok {
		a.Holder, a.LeftMS = g.holder, g.until.Sub(now).Milliseconds()
	}
	_, refused := errors.AsType[*held](err)
	switch {
	case err == nil:
		return http.StatusOK, a
	case refused:
		return http.StatusConflict, a
	case errors.Is(err, errNotYet):
		return http.StatusServiceUnavailable, witnesshttp.Answer{Error: err.Error()}
	}
	return http.StatusBadRequest, witnesshttp.Answer{Error: err.Error()}
}

// use takes a challenge, which is good once. The caller holds mu.
func (s *Server) use(now time.Time, word string) bool {
	until, ok := s.challenges[word]
	delete(s.challenges, word)
	for len(s.order) > 0 {
		if until, open := s.challenges[s.order[0]]; open && now.Before(until) {
			break
		}
		delete(s.challenges, s.order[0])
		s.order = s.order[1:]
	}
	return ok && now.Before(until)
}

// answer writes an answer, signed where there is a key.
func (s *Server) answer(w http.ResponseWriter, request string, code int, a witnesshttp.Answer) {
	body, err := json.Marshal(a)
	if err != nil { // plain values
		body = nil
	}
	w.Header().Set("Content-Type", "application/json")
	if len(s.o.Key) > 0 {
		w.Header().Set(witnesshttp.SignatureHeader, witnesshttp.SignAnswer(s.o.Key, request, code, body))
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // an asker that went away is nobody's problem
}

// Open lets grants be given from now on. It is for who knows that there was no run before: a test.
func (s *Server) Open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.opens = time.Now()
}
