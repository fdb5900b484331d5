package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// fenceLimit bounds a request about a fencer: a test is two calls, of at most 60 s each.
const fenceLimit = 130 * time.Second

// Fencer is one block `fencer`.
type Fencer struct {
	Name string `json:"name"`
	// Kind is that of the plugin.
	Kind      string `json:"kind"`
	TimeoutMS int64  `json:"timeout_ms"`
	// State is ready where the device answered the last time that it was asked how the node is, unreachable where it did not, and
	// unknown before it was asked for the first time. It does not say whether the node is off.
	State string `json:"state"`
	// Checked is when it was asked; null before that.
	Checked *time.Time `json:"checked"`
	// Node is what it was asked about, and Evidence what it said.
	Node     string `json:"node"`
	Evidence string `json:"evidence"`
}

// FenceRequest is the body of POST /v1/fence. Nothing that it can ask for has an effect on a node.
type FenceRequest struct {
	Fencer string `json:"fencer"`
	// Action is status, how the node is; or test, that and a dry run of off.
	Action string `json:"action"`
	// Node that it is about; empty for the only other one.
	Node string `json:"node"`
}

// FenceAnswer is the result of a request about a fencer.
type FenceAnswer struct {
	Fencer string `json:"fencer"`
	Node   string `json:"node"`
	Action string `json:"action"`
	// Verdict of the status is confirmed for off, failed for on, or unknown; Evidence says how that is known, or why it is not.
	Verdict  string `json:"verdict"`
	Evidence string `json:"evidence"`
	// Ready tells that the fencer works: the device said how the node is; and for a test, that the dry run met no obstacle.
	Ready bool `json:"ready"`
	// DryRun is what the dry run of a test said; empty for a status.
	DryRun string `json:"dry_run"`
	// TookMS is the time that it took, in milliseconds.
	TookMS float64 `json:"took_ms"`
}

// ErrNotFound says that there is nothing of a name that a request gave, ErrRequest that a request cannot be understood.
var (
	ErrNotFound = errors.New("there is no")
	ErrRequest  = errors.New("bad request")
)

// Unknown is [ErrNotFound] for a name, with what may have been meant. what is the kind of thing, like "fencer".
func Unknown(what, name string, names []string) error {
	return unknown(fmt.Errorf("%w %s", ErrNotFound, what), name, names)
}

func (s *Server) fence(w http.ResponseWriter, r *http.Request) {
	var req FenceRequest
	if !s.decode(w, r, &req) {
		return
	}
	command := fmt.Sprintf("fence %s %s %s", req.Action, req.Fencer, req.Node)
	if req.Action != "status" && req.Action != "test" {
		err := fmt.Errorf("%w: a fencer can be asked for status and test, not for %q", ErrRequest, req.Action)
		s.finish(w, r, command, nil, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), fenceLimit)
	defer cancel()
	// Longer than other answers may take. A connection that knows no deadlines keeps those it has.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(fenceLimit + writeLimit))
	began := time.Now()
	done, err := s.API.Fence(ctx, req)
	done.TookMS = float64(time.Since(began).Microseconds()) / 1000
	s.finish(w, r, command, done, err)
}

// ConfirmRequest is the body of POST /v1/fence/confirm.
type ConfirmRequest struct {
	// Node that is off.
	Node string `json:"node"`
}

func (s *Server) confirmFence(w http.ResponseWriter, r *http.Request) {
	var req ConfirmRequest
	if !s.decode(w, r, &req) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	text, err := s.API.ConfirmFence(ctx, req.Node)
	s.finish(w, r, "fence confirm "+req.Node, Done{text}, err)
}
