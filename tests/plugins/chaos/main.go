// Command chaos is a checker that misbehaves as its environment says. The tests of core/pluginhost run it; it is no example
// of a plugin. It speaks the protocol by itself, without the SDK, which would not let it do most of this.
//
// CHAOS names the fault. With CHAOS_ONCE, the path of a file, only the life that makes the file has the fault; later
// ones behave.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func main() {
	fault := os.Getenv("CHAOS")
	if once := os.Getenv("CHAOS_ONCE"); once != "" {
		f, err := os.OpenFile(once, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			fault = ""
		}
		f.Close()
	}
	atStart(fault)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginv1.ProtocolVersion, MagicCookieKey: pluginv1.CookieKey, MagicCookieValue: pluginv1.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginv1.ProtocolVersion: {"chaos": glue{fault: fault}}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			if fault == "garbage" {
				options = append(options, grpc.Creds(garbage{insecure.NewCredentials()}))
			}
			return goplugin.DefaultGRPCServer(options)
		},
	})
	if fault == "stubborn" {
		select {}
	}
}

// atStart has the faults that come before the handshake.
func atStart(fault string) {
	switch fault {
	case "start-hang":
		select {}
	case "start-noise":
		fmt.Println("hello from a library")
	case "start-exit":
		os.Exit(3)
	case "start-scribble":
		scribble(strings.Split(os.Getenv("CHAOS_PLACES"), ":"))
		os.Exit(3)
	case "stderr-flood":
		go func() {
			for i := 0; ; i++ {
				fmt.Fprintf(os.Stderr, "line %d\n", i)
			}
		}()
	case "stdout-flood": // go-plugin carries it to the host once they speak
		time.AfterFunc(time.Second, func() {
			for i := 0; ; i++ {
				fmt.Printf("line %d\n", i)
			}
		})
	case "long-line":
		go func() {
			for block := strings.Repeat("x", 1<<20); ; {
				fmt.Fprint(os.Stderr, block)
			}
		}()
	case "child", "grandchild": // with the plugin's stdout and stderr; the latter in a session of its own
		cmd := exec.Command("/bin/sleep", "60")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: fault == "grandchild"}
		if cmd.Start() == nil {
			fmt.Fprintf(os.Stderr, "started %d\n", cmd.Process.Pid)
		}
	}
}

// scribble tries to write to some places, each NAME=PATH, and says of each whether it could.
func scribble(places []string) {
	for _, p := range places {
		name, path, _ := strings.Cut(p, "=")
		could := "yes"
		if err := os.WriteFile(os.ExpandEnv(path), []byte("chaos"), 0o600); err != nil {
			could = "no"
		}
		fmt.Fprintf(os.Stderr, "scribble %s %s\n", name, could)
	}
}

// garbage has a connection on which the plugin speaks for a second, and then writes what comes.
type garbage struct {
	credentials.TransportCredentials
}

func (g garbage) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := g.TransportCredentials.ServerHandshake(c)
	return garbled{c, time.Now().Add(time.Second)}, info, err
}

type garbled struct {
	net.Conn
	from time.Time
}

func (g garbled) Write(b []byte) (int, error) {
	if time.Now().Before(g.from) {
		return g.Conn.Write(b)
	}
	junk := make([]byte, len(b))
	_, _ = rand.Read(junk) // it always can
	return g.Conn.Write(junk)
}

// glue is the plugin as go-plugin wants to have it.
type glue struct {
	goplugin.NetRPCUnsupportedPlugin
	pluginv1.UnimplementedPluginServer
	pluginv1.UnimplementedCheckerServer
	fault string
}

func (g glue) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginv1.RegisterPluginServer(s, g)
	pluginv1.RegisterCheckerServer(s, g)
	return nil
}

func (g glue) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no host")
}

func (g glue) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	if g.fault == "start-late" {
		time.Sleep(7 * time.Second) // the host waits for 5 s
	}
	return &pluginv1.DescribeResponse{Name: "chaos", Version: "0", Features: pluginv1.Features(), Components: []*pluginv1.Component{
		{Kind: pluginv1.Kind_CHECKER, Name: "chaos", Config: &pluginv1.Schema{}},
	}}, nil
}

// Validate finds every configuration right.
func (g glue) Validate(context.Context, *pluginv1.ValidateRequest) (*pluginv1.ValidateResponse, error) {
	return &pluginv1.ValidateResponse{}, nil
}

func (g glue) Control(stream pluginv1.Plugin_ControlServer) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil
		}
		if g.fault == "mute" {
			continue
		}
		e := &pluginv1.ControlEvent{Msg: &pluginv1.ControlEvent_Pong{Pong: &pluginv1.Pong{Nonce: r.GetPing().GetNonce()}}}
		if err := stream.Send(e); err != nil {
			return err
		}
	}
}

// Run passes every check ten times a second, and has the faults of a working plugin.
func (g glue) Run(stream pluginv1.Checker_RunServer) error {
	ids, gone := make(chan uint32, 1024), make(chan uint32, 1024)
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			for _, id := range r.GetUnassign() {
				gone <- id
			}
			for _, a := range r.GetAssign() {
				ids <- a.GetId()
			}
		}
	}()
	var mine, forgotten []uint32
	for beat := 0; ; beat++ {
		e := &pluginv1.CheckerEvent{}
		if beat == 0 && g.fault != "dumb" || g.fault != "silent" && g.fault != "dumb" && beat%10 == 0 {
			e.Heartbeat = &pluginv1.Heartbeat{Targets: uint32(len(mine))}
			if g.fault == "stuck" {
				e.Heartbeat.Stuck = e.Heartbeat.Targets
			}
		}
		for len(ids) > 0 {
			mine = append(mine, <-ids)
		}
		for _, id := range mine {
			if g.fault == "lame" {
				break
			}
			e.Results = append(e.Results, &pluginv1.Result{Id: id, Status: pluginv1.Status_PASS})
		}
		for len(gone) > 0 {
			forgotten = append(forgotten, <-gone)
		}
		for _, id := range forgotten {
			if g.fault == "late" {
				e.Results = append(e.Results, &pluginv1.Result{Id: id, Status: pluginv1.Status_FAIL})
			}
		}
		if len(e.Results) > 0 {
			g.strike(e, beat)
		}
		if err := stream.Send(e); err != nil {
			return err
		}
		if g.fault != "flood" {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// strike has the fault of one event.
func (g glue) strike(e *pluginv1.CheckerEvent, beat int) {
	switch g.fault {
	case "unknown-ids":
		for i := range 10 {
			e.Results = append(e.Results, &pluginv1.Result{Id: 1<<20 + uint32(i), Status: pluginv1.Status_FAIL})
		}
	case "huge":
		e.Results[0].Reason = strings.Repeat("x", 2*pluginv1.MaxMessage)
	case "giant":
		e.Results[0].Reason = strings.Repeat("x", 100<<20)
	case "long-reason":
		e.Results[0].Reason = strings.Repeat("é", 1000)
	case "flood":
		for range 500 {
			e.Results = append(e.Results, e.Results[0])
		}
	case "crash":
		if beat > 5 {
			panic("chaos")
		}
	case "stop":
		if beat > 5 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
	}
}
