package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/vipward/vipward/core/node"
)

// Handler serves everything: what the read-only listener has, and the commands.
func (s *Server) Handler() http.Handler {
	mux := s.routes()
	mux.HandleFunc("POST /v1/reload", s.reload)
	mux.HandleFunc("POST /v1/failover", s.failover)
	mux.HandleFunc("POST /v1/drain", s.drain)
	mux.HandleFunc("POST /v1/undrain", s.undrain)
	mux.HandleFunc("POST /v1/plugins/{name}/reload", s.reloadPlugin)
	mux.HandleFunc("POST /v1/fence", s.fence)
	mux.HandleFunc("POST /v1/fence/confirm", s.confirmFence)
	mux.HandleFunc("POST /v1/maintenance", s.maintenance)
	return headers(mux)
}

// ReadOnlyHandler serves what changes nothing.
func (s *Server) ReadOnlyHandler() http.Handler {
	mux := s.routes()
	return headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, errors.New("this listener is read-only; commands go to the unix socket"))
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.fresh(s.showPage))
	mux.HandleFunc("GET /healthz", s.fresh(func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }))
	mux.HandleFunc("GET /readyz", s.fresh(s.ready))
	mux.HandleFunc("GET /vip/{name...}", s.fresh(s.vip))
	mux.HandleFunc("GET /v1/status", s.fresh(func(w http.ResponseWriter, _ *http.Request) { answer(w, s.API.Status()) }))
	mux.HandleFunc("GET /v1/explain", s.fresh(s.explain))
	mux.HandleFunc("GET /v1/drain", s.fresh(s.drainState))
	mux.HandleFunc("GET /v1/events", s.events)
	mux.Handle("GET /metrics", s.Metrics)
	return mux
}

// headers are those of every answer: nothing here may be cached, guessed at or framed.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

// fresh refuses to tell a state that nobody keeps true any more.
func (s *Server) fresh(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := s.API.Progress()
		switch age := time.Since(p); {
		case p.Unix() <= 0:
			fail(w, http.StatusServiceUnavailable, errors.New("starting: the daemon's loop has not gone round yet"))
		case age > staleAfter:
			fail(w, http.StatusServiceUnavailable, fmt.Errorf("stale: the daemon's loop has made no progress for %s", age.Round(time.Millisecond)))
		default:
			next(w, r)
		}
	}
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	st := s.API.Status()
	if st.Ready {
		say(w, http.StatusOK, "ready")
		return
	}
	var waits []string
	for _, i := range st.Instances {
		if i.State == "INIT" {
			waits = append(waits, fmt.Sprintf("%s %s", i.Name, i.Reason))
		}
	}
	say(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(waits, "; "))
}

// vip answers 200 where this node holds an instance, or a VIP with or without its prefix length, and 503 else: also for a name that is none.
func (s *Server) vip(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	known, held := holds(s.API.Status(), name)
	switch {
	case !known:
		say(w, http.StatusServiceUnavailable, "not held: there is no instance and no VIP "+name)
	case held:
		say(w, http.StatusOK, "held")
	default:
		say(w, http.StatusServiceUnavailable, "not held")
	}
}

// holds looks a name up. An instance is held where all its VIPs are; one without VIPs, where it is MASTER.
func holds(st Status, name string) (known, held bool) {
	prefix, _ := netip.ParsePrefix(name)
	addr, _ := netip.ParseAddr(name)
	for _, i := range st.Instances {
		all := i.State == "MASTER" || len(i.Addresses) > 0
		for _, a := range i.Addresses {
			if a.Address == prefix || a.Address.Addr() == addr {
				known, held = true, held || a.Held
			}
			all = all && a.Held
		}
		if i.Name == name {
			known, held = true, held || all
		}
	}
	return known, held
}

// say answers in one line of text.
func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text) // a client that went away is nobody's problem
}

func answer(w http.ResponseWriter, v any) { write(w, http.StatusOK, v) }

func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // as above
}

func fail(w http.ResponseWriter, code int, err error) {
	f := Failure{Error: err.Error()}
	var c *ConfigError
	if errors.As(err, &c) {
		f.Diagnostics = c.Diagnostics
	}
	write(w, code, f)
}

// statusOf is the HTTP status that stands for an error of a command; the command line turns it into its exit code.
func statusOf(err error) int {
	var c *ConfigError
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &c):
		return http.StatusUnprocessableEntity
	case errors.Is(err, node.ErrUnknown), errors.Is(err, node.ErrNotFound), errors.Is(err, errUnknownPlugin), errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrRequest):
		return http.StatusBadRequest
	case errors.Is(err, node.ErrRefused):
		return http.StatusConflict
	case errors.Is(err, node.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.As(err, &tooBig):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}
