package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// The timing of most checks: short, so that the suite is, and long enough for a busy machine.
const (
	shortInterval = 100 * time.Millisecond
	longTimeout   = 2 * time.Second
	manyTargets   = 1000
	generous      = 10 * time.Second // for something that takes milliseconds on an idle machine
)

// checkerChecks hold of a checker at work.
func checkerChecks() []check {
	return []check{
		{"an assigned target gets results", onStream(getsResults)},
		{"a heartbeat counts the targets", onStream(beats)},
		{"an interval is kept", onStream(keepsInterval)},
		{"a target that is assigned again has only the new assignment", onStream(replaces)},
		{"an unassigned target gets no more results", onStream(stops)},
		{"a new stream begins without targets", beginsEmpty},
		{"many targets at once all get results", onStream(takesMany)},
		{"the deadline holds against a target that accepts nothing", deadline(newBlackHole)},
		{"the deadline holds against a target that says nothing", deadline(newSilent)},
		{"runs of one target do not overlap", onStream(doesNotOverlap)},
		{"a configuration that cannot be read is an error, not a failure of the target", onStream(errsOnGarbage)},
		{"an unknown component gets no verdict", onStream(refusesComponent)},
		{"results have a known status and the ids that were assigned", hasNoStrays},
	}
}

// onStream gives a check a stream of its own, and a target.
func onStream(f func(st *stream, target string) error) func(context.Context, *suite) error {
	return func(ctx context.Context, s *suite) error {
		target := s.o.Target
		if target == "" {
			l, err := newHangUp()
			if err != nil {
				return err
			}
			defer l.close()
			target = l.address
		}
		st, err := s.open(ctx)
		if err != nil {
			return err
		}
		defer st.close()
		return f(st, target)
	}
}

func getsResults(st *stream, target string) error {
	if err := st.assign(st.suite.assignment(1, target, shortInterval, longTimeout)); err != nil {
		return err
	}
	if err := st.wait(generous, func() bool { return len(st.of(1, time.Time{})) >= 3 }); err != nil {
		return fmt.Errorf("%d of 3 results: %w", len(st.of(1, time.Time{})), err)
	}
	return nil
}

func beats(st *stream, target string) error {
	if err := st.assign(st.suite.assignment(1, target, time.Second, longTimeout)); err != nil {
		return err
	}
	err := st.wait(generous, func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		n := len(st.beats)
		return n > 0 && st.beats[n-1].GetTargets() == 1
	})
	if err != nil {
		return fmt.Errorf("no heartbeat with 1 target: %w", err)
	}
	return nil
}

func keepsInterval(st *stream, target string) error {
	return st.keeps(func() error { return st.assign(st.suite.assignment(1, target, shortInterval, longTimeout)) })
}

// replaces assigns one target again and again: if each went on, the results would come too often.
func replaces(st *stream, target string) error {
	return st.keeps(func() error {
		for range 5 {
			if err := st.assign(st.suite.assignment(1, target, shortInterval, longTimeout)); err != nil {
				return err
			}
		}
		return nil
	})
}

// keeps holds the number of results against the interval: none may come too often, and half of them may be late.
func (st *stream) keeps(begin func() error) error {
	const span = time.Second
	if err := begin(); err != nil {
		return err
	}
	if err := st.wait(generous, func() bool { return len(st.of(1, time.Time{})) >= 2 }); err != nil {
		return fmt.Errorf("no second result: %w", err)
	}
	from := time.Now()
	if err := st.watch(span); err != nil {
		return err
	}
	came, took := st.of(1, from), time.Duration(0)
	for _, r := range came {
		took = max(took, r.GetTook().AsDuration())
	}
	least, most := int(span/(2*(shortInterval+took))), int(span*3/2/shortInterval)
	if n := len(came); n < least || n > most {
		return fmt.Errorf("%d results in %v at an interval of %v, want %d to %d", n, span, shortInterval, least, most)
	}
	return nil
}

func stops(st *stream, target string) error {
	if err := getsResults(st, target); err != nil {
		return err
	}
	if err := st.unassign(1); err != nil {
		return err
	}
	if err := st.watch(settle); err != nil {
		return err
	}
	from := time.Now()
	if err := st.watch(settle); err != nil {
		return err
	}
	if n := len(st.of(1, from)); n > 0 {
		return fmt.Errorf("%d results later than %v after the end of the assignment", n, settle)
	}
	return nil
}

// beginsEmpty breaks a stream off with a target on it, as a daemon that restarts does.
func beginsEmpty(ctx context.Context, s *suite) error {
	if err := onStream(getsResults)(ctx, s); err != nil {
		return err
	}
	st, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	if err := st.watch(settle); err != nil {
		return err
	}
	if n := len(st.of(1, time.Time{})); n > 0 {
		return fmt.Errorf("%d results of a target of the stream before", n)
	}
	return nil
}

func takesMany(st *stream, target string) error {
	var all []*pluginv1.Assignment
	many := st.suite.o.targets()
	for id := uint32(1); id <= uint32(many); id++ {
		a := st.suite.assignment(id, target, 5*time.Second, longTimeout)
		a.Phase = durationpb.New(time.Duration(id) * 2 * time.Millisecond)
		all = append(all, a)
	}
	if err := st.assign(all...); err != nil {
		return err
	}
	seen := func() int {
		st.mu.Lock()
		defer st.mu.Unlock()
		ids := make(map[uint32]bool)
		for _, r := range st.results {
			ids[r.GetId()] = true
		}
		return len(ids)
	}
	if err := st.wait(3*generous, func() bool { return seen() >= many }); err != nil {
		return fmt.Errorf("%d of %d targets have a result: %w", seen(), many, err)
	}
	return nil
}

// deadline wants a result of a target of a nasty kind soon after the deadline of the run.
func deadline(target func() (*listener, error)) func(context.Context, *suite) error {
	const timeout, grace = 300 * time.Millisecond, 3 * time.Second
	return func(ctx context.Context, s *suite) error {
		l, err := target()
		if err != nil {
			return err
		}
		defer l.close()
		st, err := s.open(ctx)
		if err != nil {
			return err
		}
		defer st.close()
		if err := st.assign(s.assignment(1, l.address, time.Second, timeout)); err != nil {
			return err
		}
		if err := st.wait(timeout+grace, func() bool { return len(st.of(1, time.Time{})) > 0 }); err != nil {
			return fmt.Errorf("a run with a deadline of %v has no result: %w", timeout, err)
		}
		return nil
	}
}

// doesNotOverlap counts the connections that are open at a target where every run takes to its deadline.
func doesNotOverlap(st *stream, _ string) error {
	const most = 4 // one run may have a few; runs that overlap have twenty
	l, err := newSilent()
	if err != nil {
		return err
	}
	defer l.close()
	if err := st.assign(st.suite.assignment(1, l.address, 50*time.Millisecond, time.Second)); err != nil {
		return err
	}
	if err := st.watch(time.Second); err != nil {
		return err
	}
	if n := l.most(); n > most {
		return fmt.Errorf("%d connections at a time to one target", n)
	}
	return nil
}

func errsOnGarbage(st *stream, target string) error {
	a := st.suite.assignment(1, target, shortInterval, longTimeout)
	a.ConfigJson = json.RawMessage(`{"`)
	if err := st.assign(a); err != nil {
		return err
	}
	return st.noVerdict(true)
}

func refusesComponent(st *stream, target string) error {
	a := st.suite.assignment(1, target, shortInterval, longTimeout)
	a.Component = "no-such-component"
	if err := st.assign(a); err != nil {
		return err
	}
	return st.noVerdict(false)
}

// noVerdict wants nothing but errors for target 1, and at least one where it must come, while another target is served.
func (st *stream) noVerdict(must bool) error {
	if err := st.watch(settle); err != nil {
		return err
	}
	if must {
		if err := st.wait(generous, func() bool { return len(st.of(1, time.Time{})) > 0 }); err != nil {
			return fmt.Errorf("no result: %w", err)
		}
	}
	for _, r := range st.of(1, time.Time{}) {
		if r.GetStatus() != pluginv1.Status_ERROR {
			return fmt.Errorf("the result is %v %q, want ERROR", r.GetStatus(), r.GetReason())
		}
	}
	return nil
}

func hasNoStrays(_ context.Context, s *suite) error {
	if len(s.strays) > 0 {
		return errors.New(strings.Join(s.strays, "; "))
	}
	return nil
}
