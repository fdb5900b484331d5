package conformance

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Plugin is a plugin that is ready to be talked to. Make it with [InProcess] or [Command.Start]; close it.
type Plugin struct {
	// Conn speaks the protocol.
	Conn *grpc.ClientConn

	logs    func() string
	shut    func()
	process *process // nil for one in this process
}

// InProcess is a plugin behind a connection within this process. logs is what it has logged so far, shut ends it. With a nil shut
// connection and plugin belong to the caller, and Close leaves them alone.
func InProcess(conn *grpc.ClientConn, logs func() string, shut func()) *Plugin {
	return &Plugin{Conn: conn, logs: logs, shut: shut}
}

// Close ends the plugin, and its process with all that it started.
func (p *Plugin) Close() {
	if p.shut == nil {
		return
	}
	_ = p.Conn.Close() // it has carried its last message
	p.shut()
}

// Describe asks the plugin what it offers.
func (p *Plugin) Describe(ctx context.Context) (*pluginv1.DescribeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return pluginv1.NewPluginClient(p.Conn).Describe(ctx, &pluginv1.DescribeRequest{CoreVersion: "conformance"})
}

// Logs is what the plugin has logged so far.
func (p *Plugin) Logs() string { return p.logs() }

// ended says how the plugin's process ended; nil while it lives.
func (p *Plugin) ended() error {
	if p.process == nil {
		return nil
	}
	select {
	case <-p.process.exited:
		return fmt.Errorf("the plugin ended by itself: %s", p.process.status)
	default:
		return nil
	}
}

// mayEnd gives a process that is about to end the time for it: its streams break before its end is noticed.
func (p *Plugin) mayEnd() {
	if p.process != nil {
		_ = p.process.endsWithin(settle) // it may as well live on
	}
}
