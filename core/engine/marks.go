package engine

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipward/vipward/core/node"
)

const (
	// marksEvery is how often the marks are written while signed adverts come and go: what somebody has recorded in this time
	// before a crash could be played back after it, and says nothing older than that.
	marksEvery = time.Second
	maxMarks   = 1 << 20 // bytes of the file: a thousand instances take less than a quarter
)

// marks keeps on the disk which numbers signed adverts have used, so that a restart does not make old adverts good again.
type marks struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	last   []node.Mark // as written
	failed bool        // the failure to write has been told
}

// markFile is the form of the file.
type markFile struct {
	Version int         `json:"version"` // 1
	Marks   []markEntry `json:"marks"`
}

type markEntry struct {
	Interface string     `json:"interface"`
	VRID      uint8      `json:"virtual_router_id"`
	IPv6      bool       `json:"ipv6,omitempty"`
	Source    netip.Addr `json:"source"`
	Sequence  uint64     `json:"sequence"`
}

// read is what a former run has left. A file that cannot be read is nothing to stop for.
func (m *marks) read() []node.Mark {
	all, err := readMarks(m.path)
	if err != nil {
		m.log.Warn("the numbers of signed adverts of the run before are lost; adverts recorded in the last seconds could be replayed once", "error", err)
	}
	return all
}

func readMarks(path string) ([]node.Mark, error) {
	var file markFile
	if err := readState(path, maxMarks, &file, &file.Version); err != nil || file.Marks == nil {
		return nil, err
	}
	out := make([]node.Mark, len(file.Marks))
	for i, e := range file.Marks {
		out[i] = node.Mark(e)
	}
	return out, nil
}

// run keeps the file up to date until ctx ends. The last state is written by who ends the loop.
func (m *marks) run(ctx context.Context, l *loop) error {
	tick := time.NewTicker(marksEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var now []node.Mark
		if err := l.Call(ctx, func(time.Time) node.Output { now = l.node.Marks(); return node.Output{} }); err != nil {
			return nil // ctx has ended
		}
		m.keep(now)
	}
}

// keep writes the file if anything has changed. A failure is told once until it works again.
func (m *marks) keep(now []node.Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Equal(now, m.last) || len(now) == 0 {
		return
	}
	file := markFile{Version: stateVersion}
	for _, e := range now {
		file.Marks = append(file.Marks, markEntry(e))
	}
	err := writeState(m.path, maxMarks, file, false)
	if err != nil && !m.failed {
		m.log.Warn("the numbers of signed adverts cannot be kept; after a restart recent ones could be replayed once", "error", err)
	}
	m.last, m.failed = now, err != nil
}
