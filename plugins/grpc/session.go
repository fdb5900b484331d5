package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// maxAnswer is how long an answer may be, in bytes; a health check's has a few.
const maxAnswer = 64 << 10

// session is one call, by a connection of its own. What goes wrong below gRPC is kept, since gRPC tells it in its own words.
type session struct {
	target    sdk.Target
	place     access.Place
	tls       *tls.Config // nil for none
	authority string

	mu      sync.Mutex // gRPC connects in a goroutine of its own
	dialing error
	shaking error
	secure  *tls.ConnectionState
}

// check makes the call.
func (s *session) check(ctx context.Context, service string) (*health.HealthCheckResponse, error) {
	conn, err := grpc.NewClient("passthrough:///"+s.place.Address,
		grpc.WithTransportCredentials(s.credentials()), grpc.WithAuthority(s.authority), grpc.WithContextDialer(s.dial),
		grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)), grpc.WithUserAgent("vipward"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return health.NewHealthClient(conn).Check(ctx, &health.HealthCheckRequest{Service: service})
}

// dial connects to the target whatever gRPC makes of its address.
func (s *session) dial(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := s.target.DialContext(ctx, s.place.Network, s.place.Address)
	if err == nil || errors.Is(err, context.Canceled) {
		return conn, err // a call that is over cancels the next attempt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialing = err
	return nil, err
}

func (s *session) credentials() credentials.TransportCredentials {
	if s.tls == nil {
		return insecure.NewCredentials()
	}
	c := tlsclient.For(s.tls, s.place.Host)
	return handshake{credentials.NewTLS(c), s, c.ServerName}
}

// handshake is TLS whose errors the session keeps, and whose certificate must carry name, whatever the authority is.
type handshake struct {
	credentials.TransportCredentials
	s    *session
	name string
}

// Info hides the name, with which gRPC would compare the authority.
func (h handshake) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone keeps the session, which is the same call's.
func (h handshake) Clone() credentials.TransportCredentials {
	return handshake{h.TransportCredentials.Clone(), h.s, h.name}
}

// ClientHandshake shakes hands by the name of the certificate.
func (h handshake) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, h.name, raw)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if t, ok := info.(credentials.TLSInfo); ok {
		h.s.secure = &t.State
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		h.s.shaking = err
	}
	return conn, info, err
}

func (s *session) dialError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialing
}

func (s *session) tlsError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shaking
}

// state is that of TLS, where it is spoken.
func (s *session) state() (tls.ConnectionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secure == nil {
		return tls.ConnectionState{}, false
	}
	return *s.secure, true
}
