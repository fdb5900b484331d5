package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// ParseReattach reads the variable VIPWARD_REATTACH_PLUGINS, which a plugin prints that was started with --debug: a JSON object
// of where each plugin listens, by its name. Nil for an empty text.
func ParseReattach(text string) (map[string]pluginv1.Reattach, error) {
	if text == "" {
		return nil, nil
	}
	var all map[string]pluginv1.Reattach
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("%s: %w; write it as the plugin prints it", pluginv1.ReattachEnv, err)
	}
	for name, at := range all {
		if at.Protocol != "grpc" || at.ProtocolVersion != pluginv1.ProtocolVersion {
			return nil, fmt.Errorf("%s: plugin %s speaks %s, version %d; this host speaks grpc, version %d",
				pluginv1.ReattachEnv, name, at.Protocol, at.ProtocolVersion, pluginv1.ProtocolVersion)
		}
		if at.Addr.Network != "unix" || !filepath.IsAbs(at.Addr.String) {
			return nil, fmt.Errorf("%s: plugin %s listens at %s %q, want a unix socket by its full path",
				pluginv1.ReattachEnv, name, at.Addr.Network, at.Addr.String)
		}
	}
	return all, nil
}

// attach connects to a plugin that somebody else runs. It is neither stopped nor held to answer in time: its developer may be
// looking at it.
func attach(ctx context.Context, p *process, at pluginv1.Reattach) (*session, error) {
	p.host.o.Logger.Warn("attached to a plugin that runs elsewhere; this is for debugging only",
		"plugin", p.decl.Name, "pid", at.Pid, "socket", at.Addr.String)
	conn, err := grpc.NewClient("unix:"+at.Addr.String, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginv1.MaxMessage)))
	if err != nil {
		return nil, err
	}
	s := &session{process: p, runner: &runner{exited: make(chan struct{})}, conn: conn, attached: true}
	if err := s.ask(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("process %d at %s: %w", at.Pid, at.Addr.String, err)
	}
	return s, nil
}

// watch returns when the connection breaks.
func (s *session) watch(ctx context.Context) error {
	stream, err := pluginv1.NewPluginClient(s.conn).Control(ctx)
	if err == nil {
		_, err = stream.Recv() // nothing was asked
	}
	return fmt.Errorf("control: %w", rpcError(err))
}

// lookUp finds out whether there is such a plugin; a [*config.MissingPlugin] says that there is none.
func (h *Host) lookUp(decl config.Plugin) error {
	if _, ok := h.o.Reattach[decl.Name]; ok {
		return nil
	}
	path, err := find(decl, h.o.Dirs)
	if err == nil && decl.Path != "" {
		if _, failed := os.Stat(path); errors.Is(failed, fs.ErrNotExist) {
			return &config.MissingPlugin{Name: decl.Name, Path: path}
		}
	}
	return err
}
