package grpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/tests/servers"
)

// serve starts a gRPC server on a free port until the test ends.
func serve(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, register, options...)
}

func serveOn(t *testing.T, l net.Listener, register func(*grpc.Server), options ...grpc.ServerOption) string {
	t.Helper()
	g := grpc.NewServer(options...)
	if register != nil {
		register(g)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(l) // it ends when the test does
	}()
	t.Cleanup(func() {
		g.Stop()
		<-done
	})
	return l.Addr().String()
}

// healthy registers the library's own health service with some services.
func healthy(g *grpc.Server) {
	h := health.NewServer()
	h.SetServingStatus("shop.Cart", pb.HealthCheckResponse_SERVING)
	h.SetServingStatus("shop.Mail", pb.HealthCheckResponse_NOT_SERVING)
	h.SetServingStatus("shop.New", pb.HealthCheckResponse_UNKNOWN)
	h.SetServingStatus("shop.Gone", pb.HealthCheckResponse_SERVICE_UNKNOWN)
	pb.RegisterHealthServer(g, h)
}

// answering is a health service that answers as a function says.
type answering struct {
	pb.UnimplementedHealthServer
	answer func(context.Context) (*pb.HealthCheckResponse, error)
}

func (a answering) Check(ctx context.Context, _ *pb.HealthCheckRequest) (*pb.HealthCheckResponse, error) {
	return a.answer(ctx)
}

func answers(answer func(context.Context) (*pb.HealthCheckResponse, error)) func(*grpc.Server) {
	return func(g *grpc.Server) { pb.RegisterHealthServer(g, answering{answer: answer}) }
}

func checker(t *testing.T, config string) plugintest.CheckerTest {
	t.Helper()
	return plugintest.Checker(t, "grpc", check, summary()).Config(config).Timeout(20 * time.Second)
}

func TestHealth(t *testing.T) {
	whole := serve(t, healthy)
	none := serve(t, nil)
	refusal := func(code codes.Code) string {
		return serve(t, answers(func(context.Context) (*pb.HealthCheckResponse, error) { return nil, status.Error(code, "by the test") }))
	}
	for _, tt := range []struct{ name, config, address, want string }{
		{"the server", `{}`, whole, "pass"},
		{"a service", `{"service": "shop.Cart"}`, whole, "pass"},
		{"one that does not serve", `{"service": "shop.Mail"}`, whole, `fail: service "shop.Mail" is NOT_SERVING`},
		{"one that is not known yet", `{"service": "shop.New"}`, whole, `fail: service "shop.New" is UNKNOWN`},
		{"one that is not known any more", `{"service": "shop.Gone"}`, whole, `fail: service "shop.Gone" is SERVICE_UNKNOWN`},
		{"one that nobody knows", `{"service": "shop.Nil"}`, whole, `fail: the server does not know service "shop.Nil" (NOT_FOUND)`},
		{"no health service", `{}`, none, "fail: the server has no health service (UNIMPLEMENTED): unknown service grpc.health.v1.Health"},
		{"a server in trouble", `{}`, refusal(codes.Internal), "fail: Internal: by the test"},
		{"one that has too much to do", `{}`, refusal(codes.Unavailable), "fail: by the test"},
		{"one that wants to know who asks", `{}`, refusal(codes.Unauthenticated), "error: the server does not let the check in: Unauthenticated: by the test"},
		{"one that does not like who asks", `{}`, refusal(codes.PermissionDenied), "error: the server does not let the check in: PermissionDenied: by the test"},
	} {
		if got := checker(t, tt.config).Against(tt.address).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestWhatDoesNotSpeakGRPC(t *testing.T) {
	slow := serve(t, answers(func(ctx context.Context) (*pb.HealthCheckResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	refusing := servers.Refusing(t).String()
	for _, tt := range []struct{ name, config, address, want string }{
		{"a slow answer", `{}`, slow, "fail: no answer in time"},
		{"a connection on which nobody speaks", `{}`, servers.Silent(t).String(), "fail: no answer in time"},
		{"one on which nobody speaks TLS", `{"tls": {}}`, servers.Silent(t).String(), "fail: no answer in time"},
		{"one that ends at once", `{}`, servers.HangingUp(t).String(), "fail: the server closed the connection"},
		{"a web server", `{}`, servers.Saying(t, "HTTP/1.1 400 Bad Request\r\n\r\n").String(), "fail: the server speaks HTTP/1.1, not gRPC"},
		{"a mail server", `{}`, servers.Saying(t, "220 mail.example ESMTP\r\n").String(), "fail: the server does not speak gRPC: "},
		{"TLS where there is none", `{"tls": {}}`, servers.Saying(t, "220 mail.example ESMTP\r\n").String(), "fail: TLS: first record does not look like a TLS handshake"},
		{"nobody listens", `{}`, refusing, "fail: dial tcp " + refusing + ": connect: connection refused"},
		{"nobody to ask", `{}`, "", "error: a check of the node itself needs address"},
		{"no port", `{}`, "127.0.0.1:0", "error: the target has no port: set port"},
		{"a name that is none", `{"address": "no..host:1"}`, "", "error: the name no..host does not resolve: no such host"},
		{"a file that is not there", `{"tls": {"ca_file": "/nowhere.pem"}}`, refusing, "error: configuration: open /nowhere.pem: no such file or directory"},
	} {
		timeout := 20 * time.Second
		if strings.HasSuffix(tt.want, "in time") {
			timeout = 500 * time.Millisecond
		}
		got := checker(t, tt.config).Timeout(timeout).Against(tt.address).String()
		if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOverTLS(t *testing.T) {
	c := servers.SelfSigned(t, t.TempDir(), "127.0.0.1", "shop.example")
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(c.Cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	open := &tls.Config{Certificates: []tls.Certificate{pair}}
	strict := &tls.Config{ // up to 1.2 the server says during the handshake what it thinks of the client
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MaxVersion: tls.VersionTLS12,
	}
	plain, wants := serve(t, healthy, grpc.Creds(credentials.NewTLS(open))), serve(t, healthy, grpc.Creds(credentials.NewTLS(strict)))
	with := func(options string) string { return fmt.Sprintf(`{"tls": {"ca_file": %q%s}}`, c.Cert, options) }
	other := servers.SelfSigned(t, t.TempDir(), "other")
	for _, tt := range []struct{ name, address, config, want string }{
		{"a certificate for the address", plain, with(""), "pass"},
		{"for a name", plain, with(`, "server_name": "shop.example"`), "pass"},
		{"for another name", plain, with(`, "server_name": "www.example"`), "fail: TLS: failed to verify certificate: x509: certificate is valid for shop.example, not www.example"},
		{"that nobody vouches for", plain, `{"tls": {}}`, "fail: TLS: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"that is not looked at", plain, `{"tls": {"insecure": true}}`, "pass"},
		{"that expires soon", plain, with(`, "expires_within": "720h"`), "warn: the certificate expires in 24 h, at "},
		{"a client's certificate", wants, with(fmt.Sprintf(`, "cert_file": %q, "key_file": %q`, c.Cert, c.Key)), "pass"},
		{"a wrong one", wants, with(fmt.Sprintf(`, "cert_file": %q, "key_file": %q`, other.Cert, other.Key)), "error: the server does not take the client's certificate: unknown certificate authority"},
		{"TLS, and we do not speak it", plain, `{}`, "fail: the server "},
	} {
		got := checker(t, tt.config).Against(tt.address).String()
		if got != tt.want && (!strings.HasSuffix(tt.want, " ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTheAuthority(t *testing.T) {
	asked := make(chan string, 1)
	register := answers(func(ctx context.Context) (*pb.HealthCheckResponse, error) {
		m, _ := metadata.FromIncomingContext(ctx)
		asked <- strings.Join(m.Get(":authority"), " ")
		return &pb.HealthCheckResponse{Status: pb.HealthCheckResponse_SERVING}, nil
	})
	c := servers.SelfSigned(t, t.TempDir(), "127.0.0.1", "shop.example")
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := serve(t, register), serve(t, register, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "grpc"))
	if err != nil {
		t.Fatal(err)
	}
	socket := serveOn(t, l, register)
	for _, tt := range []struct{ name, config, address, want string }{
		{"none", `{}`, plain, plain},
		{"one that is set", `{"authority": "shop.example:8443"}`, plain, "shop.example:8443"},
		{"the name in the certificate", fmt.Sprintf(`{"tls": {"ca_file": %q, "server_name": "shop.example"}}`, c.Cert), secure, "shop.example"},
		{"another one than that", fmt.Sprintf(`{"authority": "vip.example", "tls": {"ca_file": %q, "server_name": "shop.example"}}`, c.Cert), secure, "vip.example"},
		{"none, by a socket", fmt.Sprintf(`{"address": %q}`, socket), "", "localhost"},
	} {
		checker(t, tt.config).Against(tt.address).Pass()
		got := "nobody"
		select {
		case got = <-asked:
		default: // the check says why
		}
		if got != tt.want {
			t.Errorf("%s: the server is asked as %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestConfiguration(t *testing.T) {
	checker(t, `{}`).Valid()
	checker(t, `{"address": "shop.example:443", "service": "shop.Cart", "authority": "shop.example", "tls": {}}`).Valid()
	for _, tt := range []struct{ config, path, want string }{
		{`{"address": "a:b:c"}`, "address", `"a:b:c" is no address`},
		{`{"authority": "a b"}`, "authority", `"a b" does not match`},
		{`{"tls": {"key_file": "/nowhere"}}`, "tls.key_file", "key_file is the key of cert_file, which is missing"},
	} {
		checker(t, tt.config).Invalid(tt.path, tt.want)
	}
}
