package engine

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
)

const (
	// verdictAge is how old a verdict may be to be believed after a restart.
	verdictAge = 5 * time.Minute
	// verdictEvery is how often the verdicts are looked at. They are written when one has changed, and every verdictRefresh,
	// so that the file knows that they still hold.
	verdictEvery   = time.Second
	verdictRefresh = 30 * time.Second
	maxVerdicts    = 32 << 20 // bytes of the file: ten thousand checks with the longest reasons take 8 MiB
)

// verdicts keeps on the disk what the checks have found, so that a restart does not begin with knowing nothing.
type verdicts struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	last    []node.Verdict // as written
	written time.Time
	failed  bool // the failure to write has been told
}

// verdictFile is the form of the file.
type verdictFile struct {
	Version  int            `json:"version"` // 1
	Verdicts []verdictEntry `json:"verdicts"`
}

type verdictEntry struct {
	Check  string        `json:"check"`
	Status health.Status `json:"status"`
	Reason string        `json:"reason,omitempty"`
	Weight int           `json:"weight"`
	Heard  time.Time     `json:"heard"`
}

func newVerdicts(path string, log *slog.Logger) *verdicts { return &verdicts{path: path, log: log} }

// read is what a former run has left and what is young enough to be believed. A file that cannot be read is nothing to stop for.
func (v *verdicts) read(now time.Time) []node.Verdict {
	all, err := readVerdicts(v.path)
	if err != nil {
		v.log.Warn("the verdicts of the run before are lost; every check begins anew", "error", err)
		return nil
	}
	return slices.DeleteFunc(all, func(e node.Verdict) bool {
		age := now.Sub(e.Heard)
		return age < 0 || age >= verdictAge
	})
}

func readVerdicts(path string) ([]node.Verdict, error) {
	var file verdictFile
	if err := readState(path, maxVerdicts, &file, &file.Version); err != nil || file.Verdicts == nil {
		return nil, err
	}
	out := make([]node.Verdict, len(file.Verdicts))
	for i, e := range file.Verdicts {
		out[i] = node.Verdict(e)
	}
	return out, nil
}

// run keeps the file up to date until ctx ends. The last state is written by who ends the loop.
func (v *verdicts) run(ctx context.Context, l *loop) error {
	tick := time.NewTicker(verdictEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var now []node.Verdict
		if err := l.Call(ctx, func(time.Time) node.Output { now = l.node.Verdicts(); return node.Output{} }); err != nil {
			return nil // ctx has ended
		}
		if v.due(now, time.Now()) {
			v.keep(now, time.Now())
		}
	}
}

// due tells whether the file has to be written.
func (v *verdicts) due(now []node.Verdict, at time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	same := slices.EqualFunc(now, v.last, func(a, b node.Verdict) bool {
		return a.Check == b.Check && a.Status == b.Status && a.Weight == b.Weight
	})
	return !same || len(now) > 0 && at.Sub(v.written) >= verdictRefresh
}

// keep writes the file. A failure is told once until it works again.
func (v *verdicts) keep(now []node.Verdict, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	err := writeVerdicts(v.path, now)
	if err != nil && !v.failed {
		v.log.Warn("the verdicts cannot be kept; a restart would begin without them", "error", err)
	}
	v.last, v.written, v.failed = now, at, err != nil
}

// writeVerdicts replaces the file, so that a reader sees the old one or the new one.
func writeVerdicts(path string, verdicts []node.Verdict) error {
	file := verdictFile{Version: stateVersion, Verdicts: make([]verdictEntry, len(verdicts))}
	for i, e := range verdicts {
		file.Verdicts[i] = verdictEntry(e)
	}
	return writeState(path, maxVerdicts, file, false)
}
