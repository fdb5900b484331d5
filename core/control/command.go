package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipward/vipward/core/node"
)

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	var req ReloadRequest
	if !s.decode(w, r, &req) {
		return
	}
	if req.Path != "" && !filepath.IsAbs(req.Path) {
		fail(w, http.StatusBadRequest, fmt.Errorf("path %q is not absolute, and the daemon does not know where you are", req.Path))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	done, err := s.API.Reload(ctx, req.Path)
	s.finish(w, r, "reload "+req.Path, done, err)
}

func (s *Server) failover(w http.ResponseWriter, r *http.Request) {
	var req FailoverRequest
	if !s.decode(w, r, &req) {
		return
	}
	command := "failover " + req.Instance
	err := s.find(req.Instance)
	switch {
	case req.All && req.Instance != "":
		err = fmt.Errorf("%w: all and the instance %q; send one of them", node.ErrRefused, req.Instance)
	case req.All:
		command, err = "failover of everything", nil
	}
	if err != nil {
		s.finish(w, r, command, nil, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	text, took, err := s.API.Failover(ctx, req.Instance)
	ms := float64(took.Microseconds()) / 1000
	s.finish(w, r, command, HandedOver{Instance: req.Instance, Text: text, TookMS: ms}, err)
}

// find tells whether there is an instance of that name, and if not, what may have been meant.
func (s *Server) find(name string) error {
	var names []string
	for _, i := range s.API.Status().Instances {
		if i.Name == name {
			return nil
		}
		names = append(names, i.Name)
	}
	return unknown(node.ErrUnknown, name, names)
}

// unknown says what may have been meant.
func unknown(err error, name string, names []string) error {
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("%w %q; did you mean %q?", err, name, near)
	}
	if len(names) == 0 {
		return fmt.Errorf("%w %q; there are none", err, name)
	}
	return fmt.Errorf("%w %q; there are: %s", err, name, strings.Join(names, ", "))
}

// decode reads the body of a command. What it cannot read it has answered.
func (s *Server) decode(w http.ResponseWriter, r *http.Request, v any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil && dec.More() {
		err = errors.New("there is more than one value")
	}
	if errors.Is(err, io.EOF) {
		err = nil // no body asks for the defaults
	}
	if err != nil {
		code := statusOf(err)
		if code == http.StatusInternalServerError {
			code = http.StatusBadRequest
		}
		fail(w, code, fmt.Errorf("read the request: %w", err))
		return false
	}
	// A command may take longer than a request may dribble in: from here on its own time limit counts. A connection that
	// knows no deadlines keeps those it has.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return true
}

// finish answers a command, and notes in the log who gave it and how it ended.
func (s *Server) finish(w http.ResponseWriter, r *http.Request, command string, done any, err error) {
	log := s.Logger.With("command", strings.TrimSpace(command), "by", r.RemoteAddr)
	if err != nil {
		log.Warn("command failed", "error", err)
		fail(w, statusOf(err), err)
		return
	}
	log.Info("command done")
	answer(w, done)
}
