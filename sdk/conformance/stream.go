package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// settle is how long what a plugin has on its way may still come.
const settle = 500 * time.Millisecond

// received is a result and when it came.
type received struct {
	*pluginv1.Result
	at time.Time
}

// stream is one stream of checks and all that has come by it.
type stream struct {
	pluginv1.Checker_RunClient
	suite  *suite
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	came     chan struct{} // closed when something comes
	results  []received
	beats    []*pluginv1.Heartbeat
	assigned map[uint32]bool // ever
	err      error
}

// open opens a stream. Close it.
func (s *suite) open(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	run, err := pluginv1.NewCheckerClient(s.plugin.Conn).Run(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open a stream of checks: %w", err)
	}
	st := &stream{
		Checker_RunClient: run, suite: s, cancel: cancel, ended: make(chan struct{}),
		came: make(chan struct{}), assigned: make(map[uint32]bool),
	}
	go st.receive()
	return st, nil
}

func (st *stream) receive() {
	defer close(st.ended)
	for {
		e, err := st.Recv()
		now := time.Now()
		st.mu.Lock()
		for _, r := range e.GetResults() {
			st.results = append(st.results, received{r, now})
		}
		if e.GetHeartbeat() != nil {
			st.beats = append(st.beats, e.GetHeartbeat())
		}
		st.err = err
		close(st.came)
		st.came = make(chan struct{})
		st.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// close ends the stream, and remembers what it carried and should not have.
func (st *stream) close() {
	st.cancel()
	<-st.ended
	for _, r := range st.results {
		switch {
		case !st.assigned[r.GetId()]:
			st.stray("a result with the id %d, which was never assigned", r.GetId())
		case r.GetStatus() < pluginv1.Status_PASS || r.GetStatus() > pluginv1.Status_ERROR:
			st.stray("a result with the status %d", r.GetStatus())
		}
	}
}

func (st *stream) stray(format string, args ...any) {
	if len(st.suite.strays) < 3 {
		st.suite.strays = append(st.suite.strays, fmt.Sprintf(format, args...))
	}
}

// assign hands a target to the plugin: the suite's component and configuration, with the timing given.
func (st *stream) assign(assignments ...*pluginv1.Assignment) error {
	st.mu.Lock()
	for _, a := range assignments {
		st.assigned[a.GetId()] = true
	}
	st.mu.Unlock()
	return st.Send(&pluginv1.CheckerRequest{Assign: assignments})
}

func (s *suite) assignment(id uint32, target string, interval, timeout time.Duration) *pluginv1.Assignment {
	return &pluginv1.Assignment{
		Id: id, Component: s.component.GetName(), ConfigJson: s.config, Target: fmt.Sprintf("target %d", id), Address: target,
		Interval: durationpb.New(interval), Timeout: durationpb.New(timeout),
	}
}

func (st *stream) unassign(ids ...uint32) error {
	return st.Send(&pluginv1.CheckerRequest{Unassign: ids})
}

// of are the results with an id that have come since a time.
func (st *stream) of(id uint32, since time.Time) []received {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(st.results), func(r received) bool { return r.GetId() != id || r.at.Before(since) })
}

// wait waits until enough is true, which is asked whenever something comes. It fails after d, and when the stream ends.
func (st *stream) wait(d time.Duration, enough func() bool) error {
	patience := time.After(d)
	for {
		st.mu.Lock()
		came, err := st.came, st.err
		st.mu.Unlock()
		if enough() {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the stream ended: %w", err)
		}
		select {
		case <-came:
		case <-patience:
			return fmt.Errorf("not within %v", d)
		}
	}
}

// watch lets time pass while the stream lives.
func (st *stream) watch(d time.Duration) error {
	select {
	case <-st.ended:
		return fmt.Errorf("the stream ended: %w", st.err)
	case <-time.After(d):
		return nil
	}
}
