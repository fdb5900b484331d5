package control

import (
	"context"
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

// API is what the daemon answers and does. Its methods are called from many goroutines.
type API interface {
	// Status is the present state. It must not wait for the loop.
	Status() Status
	// Progress is when the loop last went round, by the wall clock; the Unix epoch or earlier before it did so for the first
	// time. It must not wait for the loop.
	Progress() time.Time
	// Reload validates the configuration at path and puts it in force; the empty path is that of the running one. A faulty
	// configuration is a [*ConfigError], and then nothing has changed.
	Reload(ctx context.Context, path string) (Reloaded, error)
	// Failover hands an instance over to its peer, or all that this node is master of where the name is empty, and returns when that
	// is done: what was done, and how long it took from the command to the peer's first advert, the last one of several. Errors wrap node.ErrUnknown, node.ErrRefused or node.ErrTimeout.
	Failover(ctx context.Context, instance string) (text string, took time.Duration, err error)
	// Drain keeps new connections from a real server until [API.Undrain], also over a restart; it does not wait for those that the
	// server has. Errors wrap node.ErrNotFound or node.ErrRefused. RealServer of the request is an address with a port.
	Drain(ctx context.Context, r DrainRequest) (DrainState, error)
	// Undrain ends that.
	Undrain(ctx context.Context, r DrainRequest) (DrainState, error)
	// DrainState is how far that is. It must not wait for the loop.
	DrainState(service string, server netip.AddrPort) (DrainState, error)
	// ReloadPlugin replaces the process of a plugin that is in use, and returns when the new one works. On an error the old one
	// goes on.
	ReloadPlugin(ctx context.Context, name string) error
	// Maintain brings the node into maintenance or out of it, and says what was done. Errors wrap node.ErrRefused or node.ErrTimeout.
	Maintain(ctx context.Context, r MaintenanceRequest) (text string, err error)
	// ConfirmFence takes an operator's word that a node is off, and says what follows. A node that there is not is [ErrNotFound], one that
	// is evidently alive node.ErrRefused.
	ConfirmFence(ctx context.Context, node string) (text string, err error)
	// Fence asks a fencer something that has no effect; only Fencer, Action and Node of the request count. A name that there is not
	// is [ErrNotFound].
	Fence(ctx context.Context, r FenceRequest) (FenceAnswer, error)
}

// Reloaded is the result of a reload.
type Reloaded struct {
	ConfigHash string `json:"config_hash"`
	// Changed is false where the configuration is the one that was in force already.
	Changed bool `json:"changed"`
	// Warnings about the new configuration; mostly none.
	Warnings config.Diagnostics `json:"warnings,omitempty"`
}

// HandedOver is the result of a failover.
type HandedOver struct {
	Instance string `json:"instance"`
	// Text says what was done.
	Text string `json:"text"`
	// TookMS is the time from the command to the peer's first advert, in milliseconds.
	TookMS float64 `json:"took_ms"`
}

// ReloadedPlugin is the result of the reload of a plugin: the new process.
type ReloadedPlugin struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
	// TookMS is the time that it took, in milliseconds.
	TookMS float64 `json:"took_ms"`
}

// EventList is the answer to GET /v1/events, newest last.
type EventList struct {
	Events []event.Event `json:"events"`
}

// ReloadRequest is the body of POST /v1/reload.
type ReloadRequest struct {
	// Path of the configuration, absolute; empty for the path of the running one.
	Path string `json:"path"`
}

// FailoverRequest is the body of POST /v1/failover.
type FailoverRequest struct {
	Instance string `json:"instance"`
	// All hands over everything that the node is master of; then Instance is empty.
	All bool `json:"all,omitempty"`
}

// ConfigError says that a configuration is invalid.
type ConfigError struct {
	// Diagnostics are all its faults; at least one is an error.
	Diagnostics config.Diagnostics
}

func (e *ConfigError) Error() string {
	if err := e.Diagnostics.Err(); err != nil {
		return err.Error()
	}
	return "invalid configuration"
}

// Failure is the body of an answer that is no success.
type Failure struct {
	// Error says what is wrong and what to do, in one line.
	Error string `json:"error"`
	// Diagnostics are the faults of a configuration; only with status 422.
	Diagnostics config.Diagnostics `json:"diagnostics,omitempty"`
}
