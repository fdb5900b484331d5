package execd

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstPause = 100 * time.Millisecond // before a co-process that ended is started again; it doubles
	maxPause   = 30 * time.Second
	steady     = time.Minute // a co-process that lived as long starts from the first pause again
)

// coprocess is a command while a configuration uses it: one instance after the other. It starts nothing by itself: Open
// starts run. The runs of checks ask the current instance.
type coprocess struct {
	argv, env []string
	dir       string
	log       *slog.Logger
	stop      context.CancelFunc
	ended     chan struct{} // closed when the last instance is gone

	restarts, junk atomic.Uint64

	mu   sync.Mutex
	inst *instance // nil between two instances
	down error     // why there is none
}

// current is the instance that answers now, or why there is none.
func (p *coprocess) current() (*instance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inst, p.down
}

func (p *coprocess) set(i *instance, down error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inst, p.down = i, down
}

// run lets one instance after the other live, with a growing pause in between, until ctx ends.
func (p *coprocess) run(ctx context.Context, i *instance) {
	defer close(p.ended)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		began := time.Now()
		err := i.live(ctx)
		if time.Since(began) >= steady {
			pause = firstPause
		}
		if !p.rest(ctx, err, pause) {
			return
		}
		p.restarts.Add(1)
		i = newInstance(ctx, p)
		p.set(i, nil)
	}
}

// rest says why there is no instance, and lets a while go by. It is false when ctx ends.
func (p *coprocess) rest(ctx context.Context, err error, pause time.Duration) bool {
	p.set(nil, fmt.Errorf("the co-process is down: %w", err))
	if ctx.Err() != nil {
		return false
	}
	p.log.Warn("the co-process is down", "error", err, "pause", pause)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}
