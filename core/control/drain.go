package control

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// DrainRequest is the body of POST /v1/drain and of POST /v1/undrain.
type DrainRequest struct {
	Service string `json:"service"`
	// RealServer is its address with the port, or the address alone where the service has one such server.
	RealServer string `json:"real_server"`
	// Force drains it also where the service would go down without it. For undrain it means nothing.
	Force bool `json:"force"`
}

// DrainState is how far the drain of a real server is: the answer to a command, and to GET /v1/drain?service=S&real_server=R.
type DrainState struct {
	Service    string         `json:"service"`
	RealServer netip.AddrPort `json:"real_server"`
	// Text says what was done; empty for a question.
	Text string `json:"text"`
	// Drained tells whether it is kept without new connections, Since from when on; null where it is not.
	Drained bool       `json:"drained"`
	Since   *time.Time `json:"since"`
	// ActiveConnections and InactiveConnections are what it has, as IPVS last counted.
	ActiveConnections   uint32 `json:"active_connections"`
	InactiveConnections uint32 `json:"inactive_connections"`
	// Done tells that it is drained and has no connections that a stop of the server would break: no active ones, and over UDP, which
	// knows no end, no others either. It takes two seconds at least, for connections that were just being made.
	Done bool `json:"done"`
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	s.drainCommand(w, r, "drain", s.API.Drain)
}

func (s *Server) undrain(w http.ResponseWriter, r *http.Request) {
	s.drainCommand(w, r, "undrain", s.API.Undrain)
}

func (s *Server) drainCommand(
	w http.ResponseWriter, r *http.Request, name string, do func(context.Context, DrainRequest) (DrainState, error),
) {
	var req DrainRequest
	if !s.decode(w, r, &req) {
		return
	}
	command := fmt.Sprintf("%s %s %s", name, req.Service, req.RealServer)
	server, err := s.findServer(req.Service, req.RealServer)
	if err != nil {
		s.finish(w, r, command, nil, err)
		return
	}
	req.RealServer = server.String()
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	done, err := do(ctx, req)
	s.finish(w, r, command, done, err)
}

// drainState answers how far a drain is.
func (s *Server) drainState(w http.ResponseWriter, r *http.Request) {
	service := r.URL.Query().Get("service")
	server, err := s.findServer(service, r.URL.Query().Get("real_server"))
	if err != nil {
		fail(w, statusOf(err), err)
		return
	}
	state, err := s.API.DrainState(service, server)
	if err != nil {
		fail(w, statusOf(err), err)
		return
	}
	answer(w, state)
}

// findServer is a real server by the names that a command gives. For names that there are not, the error says what may have been
// meant.
func (s *Server) findServer(service, server string) (netip.AddrPort, error) {
	all := s.API.Status().Services
	k := slices.IndexFunc(all, func(v Service) bool { return v.Name == service })
	if k < 0 {
		return netip.AddrPort{}, Unknown("virtual_server", service, each(all, func(v Service) string { return v.Name }))
	}
	want := server
	if e, err := netip.ParseAddrPort(server); err == nil {
		want = e.String()
	}
	addr, _ := netip.ParseAddr(strings.Trim(server, "[]"))
	var alone []netip.AddrPort
	for _, r := range all[k].RealServers {
		switch {
		case r.Address.String() == want:
			return r.Address, nil
		case r.Address.Addr() == addr:
			alone = append(alone, r.Address)
		}
	}
	switch len(alone) {
	case 0:
		return netip.AddrPort{}, Unknown("real_server of "+service, server, each(all[k].RealServers, func(r RealServer) string { return r.Address.String() }))
	case 1:
		return alone[0], nil
	}
	return netip.AddrPort{}, fmt.Errorf("%w: %s has several servers at %s: %v; name one with its port", ErrRequest, service, server, alone)
}
