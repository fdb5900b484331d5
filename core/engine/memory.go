package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/node"
)

const (
	memoryEvery = time.Second // is how often a change that no command has made is looked for
	maxMemory   = 1 << 20     // bytes of the file
)

// memory keeps on the disk whether the node is in maintenance, whom it has fenced, and the epochs of what it has been master of.
type memory struct {
	path string
	log  *slog.Logger

	soon chan struct{} // holds one wish to write at once

	mu     sync.Mutex
	last   node.Memory // as written
	failed bool        // the failure to write has been told
}

// memoryFile is the form of the file.
type memoryFile struct {
	Version     int                `json:"version"` // 1
	Maintenance *memoryMaintenance `json:"maintenance,omitempty"`
	Fenced      []string           `json:"fenced,omitempty"`
	Terms       []memoryTerm       `json:"terms,omitempty"`
}

type memoryTerm struct {
	Interface string `json:"interface"`
	VRID      uint8  `json:"virtual_router_id"`
	IPv6      bool   `json:"ipv6,omitempty"`
	Epoch     uint64 `json:"epoch"`
}

type memoryMaintenance struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// read is what a former run has left.
func (m *memory) read() node.Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	if m.last, err = readMemory(m.path); err != nil {
		m.log.Error("whether this node is in maintenance is lost; it takes part", "error", err)
	}
	return m.last
}

func readMemory(path string) (node.Memory, error) {
	var file memoryFile
	if err := readState(path, maxMemory, &file, &file.Version); err != nil {
		return node.Memory{}, err
	}
	out := node.Memory{Fenced: file.Fenced}
	for _, t := range file.Terms {
		out.Terms = append(out.Terms, node.Term(t))
	}
	if file.Maintenance != nil {
		out.Maintenance = node.Maintenance(*file.Maintenance)
	}
	return out, nil
}

// keep writes the file if anything has changed.
func (m *memory) keep(now node.Memory) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Maintenance == m.last.Maintenance && slices.Equal(now.Fenced, m.last.Fenced) && slices.Equal(now.Terms, m.last.Terms) {
		return nil
	}
	file := memoryFile{Version: stateVersion, Fenced: now.Fenced}
	for _, t := range now.Terms {
		file.Terms = append(file.Terms, memoryTerm(t))
	}
	if now.Maintenance.On() {
		file.Maintenance = &memoryMaintenance{now.Maintenance.Since.Round(0), now.Maintenance.Reason}
	}
	err := writeState(m.path, maxMemory, file, true)
	if err == nil {
		m.last = now
	}
	return err
}

func newMemory(path string, log *slog.Logger) *memory {
	return &memory{path: path, log: log, soon: make(chan struct{}, 1)}
}

// Hurry has a change written at once. The epoch of a takeover is written after it, not before: a disk would add its time to each. One that
// a crash loses costs at most a needless move after the network was cut; there is one owner all the same, for rank decides between equals.
func (m *memory) Hurry() {
	select {
	case m.soon <- struct{}{}:
	default: // it is about to be written
	}
}

// run keeps the file up to date until ctx ends. A failure is told once until it works again.
func (m *memory) run(ctx context.Context, l *loop) error {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-m.soon:
		}
		now, err := remembered(ctx, l)
		if err != nil {
			return nil // ctx has ended
		}
		if err = m.keep(now); err != nil && !m.failed {
			m.log.Error("what must outlive a restart cannot be kept: maintenance, and who was fenced", "error", err)
		}
		m.failed = err != nil
	}
}

// remembered asks the node.
func remembered(ctx context.Context, l *loop) (now node.Memory, err error) {
	err = l.Call(ctx, func(time.Time) node.Output { now = l.node.Memory(); return node.Output{} })
	return now, err
}

// Maintain brings the node into maintenance or out of it. It is on the disk before it is answered.
func (e *engine) Maintain(ctx context.Context, r control.MaintenanceRequest) (string, error) {
	a, err := e.command(ctx, func(id uint64) node.Input {
		return node.Maintain{On: r.On, Reason: r.Reason, Force: r.Force, ID: id}
	})
	if err != nil {
		return "", err
	}
	now, err := remembered(ctx, e.loop)
	if err == nil {
		err = e.memory.keep(now)
	}
	if err != nil {
		return "", fmt.Errorf("%s; but a restart would forget it: %w", a.Text, err)
	}
	return a.Text, nil
}

// command has the node do something, and waits for its answer.
func (e *engine) command(ctx context.Context, in func(id uint64) node.Input) (node.Answer, error) {
	id, answer := e.answers.expect()
	defer e.answers.forget(id)
	if err := e.loop.Call(ctx, func(now time.Time) node.Output { return e.loop.node.Step(now, in(id)) }); err != nil {
		return node.Answer{}, fmt.Errorf("the daemon did not take the command: %w", err)
	}
	select {
	case a := <-answer:
		return a, a.Err
	case <-ctx.Done():
		return node.Answer{}, fmt.Errorf("%w: no result yet", node.ErrTimeout)
	}
}
