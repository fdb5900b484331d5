package control

import (
	"context"
	"net/http"
	"time"
)

// Maintenance is what keeps the node from being master.
type Maintenance struct {
	// On tells whether there is maintenance, Since when it began (null without it), and Reason why.
	On     bool       `json:"on"`
	Since  *time.Time `json:"since"`
	Reason string     `json:"reason"`
}

// MaintenanceRequest is the body of POST /v1/maintenance.
type MaintenanceRequest struct {
	On bool `json:"on"`
	// Reason is shown in the status while it lasts.
	Reason string `json:"reason"`
	// Force lets go also of what no peer takes over.
	Force bool `json:"force"`
}

// Done is the result of a command that has nothing more to say than a sentence.
type Done struct {
	Text string `json:"text"`
}

func (s *Server) maintenance(w http.ResponseWriter, r *http.Request) {
	var req MaintenanceRequest
	if !s.decode(w, r, &req) {
		return
	}
	command := map[bool]string{true: "maintenance on " + req.Reason, false: "maintenance off"}[req.On]
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	text, err := s.API.Maintain(ctx, req)
	s.finish(w, r, command, Done{text}, err)
}
