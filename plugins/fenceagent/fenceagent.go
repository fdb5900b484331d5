// Package fenceagent is the fencer "fence-agent": it runs an agent of ClusterLabs' fence-agents, as Pacemaker does (FenceAgentAPI.md
// of that project). What the agent's metadata says of its parameters is used to check the configuration; the parameters go to it by
// standard input, so that no list of processes shows a password; and what it did is not believed before its status says so.
package fenceagent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/power"
)

// Config is the block of the fencer.
type Config struct {
	Agent   string                `vipward:"agent,required" doc:"The agent, like fence_ipmilan, by its name or its whole path."`
	Params  map[string]string     `vipward:"params" doc:"Its parameters, by the names of its metadata."`
	Secrets map[string]sdk.Secret `vipward:"secrets" doc:"More of them, which no log shows: password and the like."`
	Plugs   map[string]string     `vipward:"plugs" doc:"What the nodes are called at the device, by the names of the nodes. Without it they are called there as here."`
	Action  string                `vipward:"action" default:"off" one_of:"off,reboot" doc:"With reboot, the power is given back once it was off."`
	Poll    time.Duration         `vipward:"poll" default:"1s" min:"100ms" max:"1m" doc:"Between two readings while the power is not off yet."`
}

// Fencer is the fencer for [sdk.Serve].
func Fencer() sdk.Component {
	return sdk.Fencer("fence-agent", power.Fence(open), sdk.Summary("runs a fence agent of ClusterLabs, and its status after that"))
}

// device is one agent for one call of the fencer.
type device struct {
	config Config
	meta   *metadata
	node   string
	plug   string // empty where the agent has no such parameter, or the configuration gives it
}

func open(ctx context.Context, t sdk.FenceTarget, c Config) (*power.Device, error) {
	meta, err := metadataOf(ctx, c.Agent)
	if err != nil {
		return nil, err
	}
	d := &device{config: c, meta: meta, node: t.Node}
	name := meta.Name + " for " + t.Node
	if d.plug, err = c.plug(t.Node, meta); err != nil {
		return nil, err
	}
	if d.plug != "" && d.plug != t.Node {
		name += " (" + d.plug + ")"
	}
	return &power.Device{
		Name: name, Poll: c.Poll, Reboot: c.Action == "reboot",
		Read: d.read, Switch: d.turn, Ready: d.ready,
	}, nil
}

// plug is what the node is called at the device, where the agent is to be told that.
func (c Config) plug(node string, meta *metadata) (string, error) {
	if meta.plug() == "" || c.gives("plug") || c.gives("port") {
		return "", nil
	}
	if len(c.Plugs) == 0 {
		return node, nil
	}
	plug, ok := c.Plugs[node]
	if !ok {
		return "", fmt.Errorf("plugs does not say what node %q is called at the device", node)
	}
	return plug, nil
}

// gives tells whether a parameter is configured, by any spelling of its name.
func (c Config) gives(name string) bool {
	for n := range c.Params {
		if canonical(n) == name {
			return true
		}
	}
	for n := range c.Secrets {
		if canonical(n) == name {
			return true
		}
	}
	return false
}

// read is the action status: 0 is on, 2 is off, anything else is unknown.
func (d *device) read(ctx context.Context) (power.State, error) {
	a := d.run(ctx, "status")
	switch a.status {
	case 0:
		return power.On, nil
	case 2:
		return power.Off, nil
	}
	return "", a.err()
}

func (d *device) turn(ctx context.Context, to power.State) error {
	if !slices.Contains(d.meta.actions(), string(to)) {
		return power.Refused(fmt.Errorf("%s has no action %s", d.meta.Name, to))
	}
	if a := d.run(ctx, string(to)); a.status != 0 {
		return a.err()
	}
	return nil
}

// ready has the agent look whether the device is well, and whether it has the plug, where it can list them.
func (d *device) ready(ctx context.Context, to power.State) error {
	if !slices.Contains(d.meta.actions(), string(to)) {
		return fmt.Errorf("%s has no action %s", d.meta.Name, to)
	}
	if slices.Contains(d.meta.actions(), "monitor") {
		if a := d.run(ctx, "monitor"); a.status != 0 {
			return a.err()
		}
	}
	if d.plug == "" || !slices.Contains(d.meta.actions(), "list") {
		return nil
	}
	a := d.run(ctx, "list")
	if a.status != 0 {
		return a.err()
	}
	plugs := listed(a.stdout.String())
	if !slices.Contains(plugs, d.plug) {
		return fmt.Errorf("the device has no %q; it has %s", d.plug, strings.Join(plugs, ", "))
	}
	return nil
}

// listed are the plugs of the action list: a line for each, its name before a comma.
func listed(text string) []string {
	var plugs []string
	for line := range strings.Lines(text) {
		if plug, _, _ := strings.Cut(strings.TrimSpace(line), ","); plug != "" {
			plugs = append(plugs, plug)
		}
	}
	return plugs
}
