// Package grpc is the checker "grpc": it asks the standard health service of a gRPC server (grpc.health.v1.Health/Check) how it is.
// It calls nothing else.
package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the checker.
type Config struct {
	Port      uint16             `vipward:"port" min:"1" doc:"Port to connect to. Default: the target's own."`
	Address   string             `vipward:"address" doc:"Where to connect for a check of the node itself: HOST:PORT, or the absolute path of a socket."`
	Service   string             `vipward:"service" doc:"Service to ask for. Default: the server as a whole."`
	Authority string             `vipward:"authority" pattern:"[!-~]*" doc:"Value of :authority, the virtual host. Default: server_name of tls, or the address."`
	TLS       *tlsclient.Checked `vipward:"tls,block" doc:"Speak TLS."`

	tls *tls.Config
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("grpc", check, summary()) }

func summary() sdk.Option { return sdk.Summary("asks the standard health service of a gRPC server") }

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	return errors.Join(sdk.PathError(access.CheckAddress(c.Address), "address"), c.TLS.Validate("tls"))
}

// Open reads the certificates.
func (c *Config) Open(context.Context) error {
	if c.TLS == nil {
		return nil
	}
	var err error
	c.tls, err = c.TLS.Config()
	return err
}

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	place, err := access.PlaceOf(t, c.Address, c.Port, 0)
	if err == nil && place.Network == "tcp" && strings.HasSuffix(place.Address, ":0") {
		err = errors.New("the target has no port: set port")
	}
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	began := time.Now()
	s := &session{target: t, place: place, tls: c.tls, authority: c.authority(place)}
	response, err := s.check(ctx, c.Service)
	if err != nil {
		return c.failed(s, err)
	}
	result := sdk.Pass()
	if got := response.GetStatus(); got != health.HealthCheckResponse_SERVING {
		result = sdk.Failf("%s is %s", c.what(), got)
	} else if why := c.expiring(s); why != "" {
		result = sdk.Warnf("%s", why)
	}
	result = result.Value("answer_seconds", time.Since(began).Seconds())
	if state, ok := s.state(); ok {
		result = result.Value("certificate_seconds", tlsclient.Left(state, time.Now()).Seconds())
	}
	return result
}

// authority is the virtual host to ask for.
func (c *Config) authority(p access.Place) string {
	switch {
	case c.Authority != "":
		return c.Authority
	case c.TLS != nil && c.TLS.ServerName != "":
		return c.TLS.ServerName
	case p.Network == "unix":
		return "localhost"
	}
	return p.Address
}

// what is the service in an operator's words.
func (c *Config) what() string {
	if c.Service == "" {
		return "the server"
	}
	return fmt.Sprintf("service %q", c.Service)
}

func (c *Config) expiring(s *session) string {
	if state, ok := s.state(); ok {
		return c.TLS.Expiring(state, time.Now())
	}
	return ""
}

// failed is the result where there is no answer. What the connection met with says more than the status that gRPC makes of it.
func (c *Config) failed(s *session, err error) sdk.Result {
	if dialing := s.dialError(); dialing != nil {
		if errors.As(dialing, new(*net.DNSError)) {
			return access.Unreachable(dialing)
		}
		return sdk.Fail(dialing)
	}
	if shaking := s.tlsError(); shaking != nil {
		return refused("TLS: "+strings.TrimPrefix(access.Words(shaking), "tls: "), shaking.Error())
	}
	st := status.Convert(err)
	switch st.Code() {
	case codes.DeadlineExceeded, codes.Canceled:
		return sdk.Failf("no answer in time")
	case codes.NotFound:
		return sdk.Failf("the server does not know %s (NOT_FOUND)", c.what())
	case codes.Unimplemented:
		return sdk.Failf("the server has no health service (UNIMPLEMENTED): %s", st.Message())
	case codes.Unauthenticated, codes.PermissionDenied:
		return sdk.Errorf("the server does not let the check in: %s: %s", st.Code(), st.Message())
	case codes.Unavailable:
		return refused(unwrap(st.Message()), st.Message())
	}
	return sdk.Failf("%s: %s", st.Code(), st.Message())
}

// refused is a failure, unless the server does not take our certificate: that says nothing about its service.
func refused(words, whole string) sdk.Result {
	if _, alert, ok := strings.Cut(whole, "remote error: tls: "); ok && strings.Contains(alert, "certificate") {
		return sdk.Errorf("the server does not take the client's certificate: %s", strings.TrimSuffix(alert, `"`))
	}
	return sdk.Failf("%s", words)
}

// unwrap takes the words of gRPC's own from a message: `connection error: desc = "…"`.
func unwrap(message string) string {
	for {
		_, inner, ok := strings.Cut(message, `desc = "`)
		if !ok {
			break
		}
		message = strings.TrimSuffix(inner, `"`)
	}
	for _, end := range []string{": EOF", "connection reset by peer", "broken pipe"} {
		if strings.HasSuffix(message, end) {
			return "the server closed the connection"
		}
	}
	if strings.HasSuffix(message, "looked like an HTTP/1.1 header") {
		return "the server speaks HTTP/1.1, not gRPC"
	}
	if _, why, ok := strings.Cut(message, "error reading server preface: "); ok {
		return "the server does not speak gRPC: " + why
	}
	return strings.TrimPrefix(message, "transport: ")
}
