package control

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

const (
	maxClients  = 128
	maxBody     = 1 << 20
	maxHeader   = 64 << 10
	headerLimit = 5 * time.Second
	readLimit   = 10 * time.Second
	idleLimit   = time.Minute
	// commandLimit bounds a reload or a failover, writeLimit the answer to anything.
	commandLimit = 45 * time.Second
	writeLimit   = time.Minute
	// closeLimit is how long an answer under way may take when the server ends.
	closeLimit = time.Second
	// staleAfter is how long the loop may stand still before its state is not believed any more.
	staleAfter = 2 * time.Second
)

// Options of a [Server]. All are needed.
type Options struct {
	API    API
	Events *Ring
	// Metrics serves /metrics.
	Metrics http.Handler
	Logger  *slog.Logger
}

// Server answers HTTP from the daemon's state.
type Server struct {
	Options
	page *template.Template
}

// NewServer makes a server. It does nothing before [Server.Run] or [Server.RunReadOnly].
func NewServer(o Options) *Server { return &Server{Options: o, page: parsePage()} }

// Run serves everything on the unix socket l until ctx ends, and closes it.
func (s *Server) Run(ctx context.Context, l net.Listener) error { return s.serve(ctx, l, s.Handler()) }

// RunReadOnly serves what changes nothing on l until ctx ends, and closes it. It may run several times at once, so that a
// reload can open a new address before it closes the old one.
func (s *Server) RunReadOnly(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, s.ReadOnlyHandler())
}

func (s *Server) serve(ctx context.Context, l net.Listener, h http.Handler) error {
	// Requests end with ctx too, so that those who follow the events do not hold up the end.
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerLimit, ReadTimeout: readLimit, WriteTimeout: writeLimit, IdleTimeout: idleLimit,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(netutil.LimitListener(l, maxClients)) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	err := srv.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close() // what is still under way is cut off
	}
	<-done
	return err
}
