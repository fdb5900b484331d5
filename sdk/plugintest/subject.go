package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/conformance"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// defaultTimeout is the deadline of one run, where the test sets no other.
const defaultTimeout = 5 * time.Second

// patience is how much longer than its deadline a run may take before the test gives it up.
const patience = 10 * time.Second

// subject is a component that is served, and the configuration that it is tested with.
type subject struct {
	t      *testing.T
	kind   pluginv1.Kind
	name   string
	config string
	target string
	server *server
}

// server serves one component over a connection in memory.
type server struct {
	conn *grpc.ClientConn
	logs logs
}

func newSubject(t *testing.T, kind pluginv1.Kind, name string, c sdk.Component) subject {
	t.Helper()
	s := &server{}
	l, g := bufconn.Listen(1<<20), grpc.NewServer()
	if err := sdk.Register(g, &s.logs, c); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = g.Serve(l) })
	t.Cleanup(func() {
		g.Stop()
		serving.Wait()
	})
	conn, err := grpc.NewClient("passthrough:plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginv1.MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s.conn = conn
	return subject{t: t, kind: kind, name: name, config: "{}", server: s}
}

// validate asks the component about the configuration.
func (s subject) validate() []*pluginv1.Diagnostic {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r, err := pluginv1.NewPluginClient(s.server.conn).Validate(ctx, &pluginv1.ValidateRequest{
		Kind: s.kind, Name: s.name, ConfigJson: []byte(s.config),
	})
	if err != nil {
		s.t.Fatalf("Validate(%s): %v", s.config, err)
	}
	return r.GetDiagnostics()
}

// valid wants a configuration without faults, warnings included.
func (s subject) valid() {
	s.t.Helper()
	for _, d := range s.validate() {
		s.t.Errorf("configuration %s: %s", s.config, diagnostic(d))
	}
}

// diagnosed wants one fault of a severity at a place.
func (s subject) diagnosed(severity pluginv1.Diagnostic_Severity, path, part string) {
	s.t.Helper()
	all := s.validate()
	var seen []string
	for _, d := range all {
		if d.GetSeverity() == severity && pathText(d.GetPath()) == path && strings.Contains(d.GetSummary(), part) {
			return
		}
		seen = append(seen, diagnostic(d))
	}
	s.t.Errorf("configuration %s: diagnostics %q, want %s: %s… %s", s.config, seen, path, part, strings.ToLower(severity.String()))
}

func diagnostic(d *pluginv1.Diagnostic) string {
	return fmt.Sprintf("%s: %s: %s", strings.ToLower(d.GetSeverity().String()), pathText(d.GetPath()), d.GetSummary())
}

// pathText is a path as sdk.PathError words it: status[1], header[0].value.
func pathText(path []*pluginv1.PathStep) string {
	var b strings.Builder
	dot := func() {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
	}
	for _, p := range path {
		switch step := p.GetStep().(type) {
		case *pluginv1.PathStep_Attribute:
			dot()
			b.WriteString(step.Attribute)
		case *pluginv1.PathStep_Key:
			dot()
			b.WriteString(step.Key)
		case *pluginv1.PathStep_Index:
			fmt.Fprintf(&b, "[%d]", step.Index)
		}
	}
	return b.String()
}

// conformance runs the suite.
func (s subject) conformance() {
	s.t.Helper()
	// The connection belongs to the test, so the suite has nothing to end.
	plugin := conformance.InProcess(s.server.conn, s.server.logs.String, nil)
	launch := func(context.Context) (*conformance.Plugin, error) { return plugin, nil }
	o := conformance.Options{Component: s.name, Config: []byte(s.config), Target: s.target}
	conformance.Run(s.t.Context(), launch, nil, o, func(f conformance.Finding) {
		if !f.OK {
			s.t.Error(f)
		}
	})
}

// want reports what came instead of a verdict with a part of a reason.
func (s subject) want(got, reason, verdict, part string) {
	s.t.Helper()
	if got != verdict || !strings.Contains(reason, part) {
		s.t.Errorf("%s %q: %s %q, want %s %q\n%s", s.kindName(), s.name, got, reason, verdict, part, s.server.logs.String())
	}
}

func (s subject) kindName() string { return strings.ToLower(s.kind.String()) }

// logs keeps what a component logs, for a test that fails.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write never fails.
func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String is all of it.
func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
