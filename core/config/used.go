package config

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// PluginsInUse are the plugins that the blocks of a configuration name, as they are declared, for all of its nodes. No plugin is
// asked, so that only those faults are reported that hide blocks.
func PluginsInUse(ctx context.Context, path string, opt Options) ([]Plugin, Diagnostics) {
	used := recorder{}
	opt.Plugins = used
	_, _, diags := Validate(ctx, path, opt)
	list := make([]Plugin, 0, len(used))
	for _, name := range slices.Sorted(maps.Keys(used)) {
		list = append(list, used[name])
	}
	if len(list) > 0 || !diags.HasErrors() {
		diags = nil // what plugins do not declare here, their blocks must not have: such faults say nothing
	}
	return list, diags
}

// recorder answers as plugins do that take nothing, and keeps which were asked.
type recorder map[string]Plugin

func (r recorder) Schema(_ context.Context, _ pluginv1.Kind, name string, decl Plugin) (*pluginv1.Schema, error) {
	decl.Name = name
	r[name] = decl
	return &pluginv1.Schema{}, nil
}

func (r recorder) Validate(context.Context, pluginv1.Kind, string, Plugin, json.RawMessage) ([]*pluginv1.Diagnostic, error) {
	return nil, nil
}
