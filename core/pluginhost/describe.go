package pluginhost

import (
	"context"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Describe is what a plugin says of itself. It is started where it does not run, as Schema does. A plugin that is not there is
// a [*config.MissingPlugin].
func (h *Host) Describe(ctx context.Context, decl config.Plugin) (*pluginv1.DescribeResponse, error) {
	if err := h.lookUp(decl); err != nil {
		return nil, err
	}
	p, err := h.process(decl)
	if err != nil {
		return nil, err
	}
	return p.describe(ctx)
}

// Find is the path of the executable of a plugin in some directories; a [*config.MissingPlugin] where there is none.
func Find(name string, dirs []string) (string, error) {
	return find(config.Plugin{Name: name}, dirs)
}
