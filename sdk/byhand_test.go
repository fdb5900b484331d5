package sdk

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func TestDebugServesWhereItSays(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	s := &server{name: "pdu", components: []Component{Fencer("pdu", Fence[outlet]{})}}
	go func() { ended <- s.debug(ctx, w, io.Discard) }()
	text := make([]byte, 4096)
	n, err := r.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text[:n]), pluginv1.ReattachEnv+"='")
	line, _, _ = strings.Cut(line, "'")
	var plugins map[string]pluginv1.Reattach
	if err := json.Unmarshal([]byte(line), &plugins); err != nil {
		t.Fatalf("%q: %v", text[:n], err)
	}
	at := plugins["pdu"]
	if at.Pid != os.Getpid() || at.ProtocolVersion != pluginv1.ProtocolVersion || !at.Test || at.Protocol != "grpc" {
		t.Errorf("reattach = %+v", at)
	}
	conn, err := grpc.NewClient(at.Addr.Network+":"+at.Addr.String, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d, err := pluginv1.NewPluginClient(conn).Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil || d.GetName() != "pdu" {
		t.Errorf("Describe = %v, %v", d, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("debug ends with %v", err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("debug leaves %v behind", left)
	}
}
