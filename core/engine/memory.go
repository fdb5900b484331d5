package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
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

// memory keeps on the disk whether the node is in maintenance, and whom it has fenced.
type memory struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	last   node.Memory // as written
	failed bool        // the failure to write has been told
}

// memoryFile is the form of the file.
type memoryFile struct {
	Version     int                `json:"version"` // 1
	Maintenance *memoryMaintenance `json:"maintenance,omitempty"`
	Fenced      []string           `json:"fenced,omitempty"`
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
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return node.Memory{}, nil
	}
	if err != nil {
		return node.Memory{}, err
	}
	defer f.Close()
	var file memoryFile
	if err := json.NewDecoder(io.LimitReader(f, maxMemory)).Decode(&file); err != nil {
		return node.Memory{}, fmt.Errorf("read %s: %w", path, err)
	}
	if file.Version != 1 {
		return node.Memory{}, fmt.Errorf("read %s: its version is %d, not 1", path, file.Version)
	}
	out := node.Memory{Fenced: file.Fenced}
	if file.Maintenance != nil {
		out.Maintenance = node.Maintenance(*file.Maintenance)
	}
	return out, nil
}

// keep writes the file if anything has changed.
func (m *memory) keep(now node.Memory) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Maintenance == m.last.Maintenance && slices.Equal(now.Fenced, m.last.Fenced) {
		return nil
	}
	file := memoryFile{Version: 1, Fenced: now.Fenced}
	if now.Maintenance.On() {
		file.Maintenance = &memoryMaintenance{now.Maintenance.Since.Round(0), now.Maintenance.Reason}
	}
	text, err := json.MarshalIndent(file, "", "\t")
	if err == nil {
		err = replaceFile(m.path, append(text, '\n'), true)
	}
	if err == nil {
		m.last = now
	}
	return err
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
