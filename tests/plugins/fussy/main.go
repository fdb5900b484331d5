// Command fussy is a checker that declares every kind of attribute and of constraint, and that finds the faults that it is asked to
// find. The tests of the messages for wrong configurations use it; it is no example of a plugin. It speaks the protocol by itself,
// since the SDK does not let an author declare all of this.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func main() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginv1.ProtocolVersion, MagicCookieKey: pluginv1.CookieKey, MagicCookieValue: pluginv1.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginv1.ProtocolVersion: {"fussy": glue{}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
}

// glue is the plugin as go-plugin wants to have it.
type glue struct {
	goplugin.NetRPCUnsupportedPlugin
	pluginv1.UnimplementedPluginServer
	pluginv1.UnimplementedCheckerServer
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
	return &pluginv1.DescribeResponse{Name: "fussy", Version: "0", Components: []*pluginv1.Component{
		{Kind: pluginv1.Kind_CHECKER, Name: "fussy", Config: schema()},
		{Kind: pluginv1.Kind_CHECKER, Name: "greedy", Config: &pluginv1.Schema{
			Attributes: []*pluginv1.Attribute{{Name: "interval", Type: "duration"}},
		}},
	}}, nil
}

func schema() *pluginv1.Schema {
	return &pluginv1.Schema{
		Attributes: []*pluginv1.Attribute{
			{Name: "query", Type: "string", Required: true, Doc: "What to ask."},
			{Name: "mode", Type: "string", OneOf: []string{"fast", "slow"}},
			{Name: "code", Type: "string", Pattern: "[a-z]{3}"},
			{Name: "limit", Type: "int", Min: new(1.0), Max: new(10.0)},
			{Name: "grace", Type: "duration", Min: new(0.1), Max: new(5.0)},
			{Name: "ratio", Type: "number", Max: new(1.0)},
			{Name: "status", Type: "list(int)", Min: new(100.0), Max: new(599.0)},
			{Name: "headers", Type: "map(string)"},
			{Name: "from", Type: "address"},
			{Name: "server", Type: "endpoint"},
			{Name: "network", Type: "prefix"},
			{Name: "strict", Type: "bool"},
			{Name: "url", Type: "string", ConflictsWith: []string{"server"}},
			{Name: "user", Type: "string", RequiredWith: []string{"password"}},
			{Name: "password", Type: "string", Secret: true},
			{Name: "question", Type: "string", Deprecated: "Write query."},
		},
		Blocks: []*pluginv1.NestedBlock{
			{Name: "tls", MaxItems: 1, Schema: &pluginv1.Schema{Attributes: []*pluginv1.Attribute{{Name: "name", Type: "string"}}}},
			{Name: "header", MaxItems: 2, Labels: []string{"name"}, Schema: &pluginv1.Schema{
				Attributes: []*pluginv1.Attribute{{Name: "value", Type: "string", Required: true}},
			}},
		},
	}
}

// Validate finds a fault in the place that the query names.
func (g glue) Validate(ctx context.Context, r *pluginv1.ValidateRequest) (*pluginv1.ValidateResponse, error) {
	var c struct{ Query string }
	if err := json.Unmarshal(r.GetConfigJson(), &c); err != nil {
		return nil, err
	}
	attribute := func(name string) *pluginv1.PathStep {
		return &pluginv1.PathStep{Step: &pluginv1.PathStep_Attribute{Attribute: name}}
	}
	index := func(n int64) *pluginv1.PathStep { return &pluginv1.PathStep{Step: &pluginv1.PathStep_Index{Index: n}} }
	key := func(k string) *pluginv1.PathStep { return &pluginv1.PathStep{Step: &pluginv1.PathStep_Key{Key: k}} }
	d := &pluginv1.Diagnostic{Summary: "the plugin does not like it", Detail: "Write something else."}
	switch c.Query {
	case "no fault":
		return &pluginv1.ValidateResponse{}, nil
	case "hang":
		select { // the host does not wait for that long
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		return nil, ctx.Err()
	case "crash":
		panic("the plugin crashes")
	case "the attribute":
		d.Path = []*pluginv1.PathStep{attribute("query")}
	case "the element":
		d.Path = []*pluginv1.PathStep{attribute("status"), index(1)}
	case "the entry":
		d.Path = []*pluginv1.PathStep{attribute("headers"), key("b")}
	case "the block":
		d.Path = []*pluginv1.PathStep{attribute("tls"), attribute("name")}
	case "the second block":
		d.Path = []*pluginv1.PathStep{attribute("header"), index(1), attribute("value")}
	case "somewhere else":
		d.Path = []*pluginv1.PathStep{attribute("nowhere"), index(7)}
	case "a warning":
		d.Severity, d.Path = pluginv1.Diagnostic_WARNING, []*pluginv1.PathStep{attribute("query")}
	}
	return &pluginv1.ValidateResponse{Diagnostics: []*pluginv1.Diagnostic{d}}, nil
}

// Control answers pings.
func (g glue) Control(stream pluginv1.Plugin_ControlServer) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil
		}
		e := &pluginv1.ControlEvent{Msg: &pluginv1.ControlEvent_Pong{Pong: &pluginv1.Pong{Nonce: r.GetPing().GetNonce()}}}
		if err := stream.Send(e); err != nil {
			return err
		}
	}
}

// Run checks nothing.
func (g glue) Run(stream pluginv1.Checker_RunServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return nil
		}
	}
}
