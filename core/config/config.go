package config

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Config is the whole configuration as one node sees it: typed, defaulted, cross-checked.
type Config struct {
	// Node is what the brain works from.
	Node node.Config
	// Nodes are the members of the pair, in the order of the configuration.
	Nodes []Node
	// Checks are what the checker plugins run.
	Checks []Check
	// Notifiers hear of events.
	Notifiers []Notifier
	// Fencers take the power or the network away from a node.
	Fencers []Fencer
	// Witnesses say which node may hold an instance.
	Witnesses []Witness
	// Plugins are the blocks `plugin`, by name. A plugin without a block is found by its name; with a lock file it is among them.
	Plugins map[string]Plugin
	// Listen is the address of the read-only HTTP listener; empty for none.
	Listen string
	// Log is where and how the daemon logs.
	Log Log
	// Forecasts tell what would happen if something that is tracked failed.
	Forecasts []Forecast
	// Hash identifies the configuration, the same on all nodes that read the same files.
	Hash string
}

// Node is one block `node`.
type Node struct {
	Name    string
	Address netip.Addr
	// Heartbeats are more ways to it.
	Heartbeats []heartbeat.Path
}

// Check is one check that a plugin runs.
type Check struct {
	// ID identifies the observations; the same for the same check after a reload.
	ID string
	// Kind is the component's name, for example "http".
	Kind string
	// Name is for people: "checker local", "web 10.77.0.11:80".
	Name string
	// Config is the plugin's own part of the block, as its schema says.
	Config json.RawMessage
	// Target is the address to check; invalid for a check of the node itself.
	Target netip.AddrPort
	// Source, Device and Mark are of the packets that a check sends: its source address, the interface that they leave by, their
	// firewall mark. Zero values leave them to the kernel.
	Source netip.Addr
	Device string
	Mark   uint32
	// Interval, Timeout and RetryInterval are the timing. RetryInterval is used after the first failure; 0 for Interval.
	Interval, Timeout, RetryInterval time.Duration
	// Warmup is within what time the first run comes, a random part of it.
	Warmup time.Duration
	// Labels go to the plugin with the target.
	Labels map[string]string
}

// Notifier is one block `notifier`.
type Notifier struct {
	// Kind is the component's name, Name the block's.
	Kind, Name string
	// Config is the plugin's own part of the block.
	Config json.RawMessage
	// Kinds are the kinds of events that it takes. Default: instances and real servers.
	Kinds []event.Kind
	// Retry is the number of attempts after the first. Default 100, with pauses that take an hour and a half.
	Retry int
	// Folds says that the plugin makes one message of several events: it declares an attribute `batch`, a duration. Batch is its
	// value, for how long events are gathered.
	Folds bool
	Batch time.Duration
}

// Fencer is one block `fencer`.
type Fencer struct {
	// Kind is the component's name, Name the block's.
	Kind, Name string
	// Config is the plugin's own part of the block.
	Config json.RawMessage
	// Timeout bounds one call. Default 20 s, 1 s to 60 s.
	Timeout time.Duration
}

// Witness is one block `witness`.
type Witness struct {
	// Kind is the component's name, Name the block's.
	Kind, Name string
	// Config is the plugin's own part of the block.
	Config json.RawMessage
	// Timeout bounds one call. Default 1 s, 100 ms to 10 s.
	Timeout time.Duration
}

// Plugin is one block `plugin`.
type Plugin struct {
	Name string
	// Path of the executable; empty to look for vipward-plugin-NAME in the plugin directories.
	Path string
	// SHA256 that the executable must have, in hex; empty for any.
	SHA256 string
	// User that it runs as. Empty for what the plugin host gives it: an unprivileged one, for most.
	User string
	// Capabilities that it has, by their names in capabilities(7) without CAP_, in lower case, or [AllCapabilities] alone. Nil
	// for those that the plugin host gives it: none, for most.
	Capabilities []string
	// Writable are the directories and files that it may write to, where the kernel has landlock(7); "/" is no limit. Nil for what
	// the plugin host gives it: a private directory for temporary files only, for most.
	Writable []string
	// Lock is what the lock file says of it; nil where there is no lock file.
	Lock *Lock
	// Env and Args are passed on. Nothing else of the daemon's environment is.
	Env  map[string]string
	Args []string
}

// Log is the block `log`.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is text or json; empty for text on a terminal and json elsewhere.
	Format string
	// Output is stderr, syslog or the path of a file.
	Output string
}

// Plugins answers what the plugins declare. It is the one thing that loading needs from outside.
type Plugins interface {
	// Schema is what a component takes. A plugin that is not there is a [*MissingPlugin].
	Schema(ctx context.Context, kind pluginv1.Kind, name string, decl Plugin) (*pluginv1.Schema, error)
	// Validate asks the plugin about one configuration that fits the schema.
	Validate(ctx context.Context, kind pluginv1.Kind, name string, decl Plugin, config json.RawMessage) ([]*pluginv1.Diagnostic, error)
}

// MissingPlugin says that no plugin of a name was found, and what there is.
type MissingPlugin struct {
	Name string
	// Path where it was to be; empty for one that is looked for by its name.
	Path string
	// Searched are the directories that were looked through, Found the names of the plugins there.
	Searched, Found []string
}

func (e *MissingPlugin) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("no plugin %s: there is no file %s", e.Name, e.Path)
	}
	return "no plugin " + e.Name
}
