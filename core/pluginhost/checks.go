package pluginhost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/health"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

const (
	maxAssign = 256 << 10 // bytes of assignments in one message, about
	maxReason = 512       // bytes of a reason
	minRate   = 1000      // results a second that any plugin may send
	maxStuck  = 10        // heartbeats in a row with most checks hung: a blocking look-up of a name ends before that
	rateSlack = 10        // how many times more results than the intervals ask for
)

// assignments are the checks that one life of a plugin was given. The sender changes them, the receiver reads them.
type assignments struct {
	mu    sync.Mutex
	last  uint32          // id; ids are never used again
	byID  map[uint32]*run // what the plugin has
	limit int             // results a second
	beats int             // heartbeats since the last look
	stuck int             // heartbeats in a row in which more than half of the checks hung
}

// runChecks keeps the plugin's checks as they are wanted, and takes its results, until ctx ends or the stream breaks.
func (s *session) runChecks(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := pluginv1.NewCheckerClient(s.conn).Run(ctx)
	if err != nil {
		cancel()
		return fmt.Errorf("checks: %w", rpcError(err))
	}
	a := &assignments{byID: make(map[uint32]*run), limit: minRate}
	broken := make(chan error, 1)
	var receiving sync.WaitGroup
	receiving.Go(func() { broken <- s.receive(ctx, stream, a) })
	defer receiving.Wait()
	defer cancel()

	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	silent := -1 // a plugin that never sends heartbeats is not held to them, unless it says that it does
	if s.can(pluginv1.FeatureHeartbeat) {
		silent = 0
	}
	var told *wish
	for {
		want, changed := s.process.wanted()
		if want != told {
			told = want
			if err := a.reconcile(stream, want); err != nil {
				return fmt.Errorf("assign checks: %w", errors.Join(rpcError(err), drain(broken)))
			}
		}
		select {
		case <-changed:
		case err := <-broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if silent = a.silence(silent); silent > maxSilence*3/2 && !s.attached {
				return &hungError{fmt.Sprintf("no heartbeat of its checks for %d s", silent)}
			}
			if a.stuckBeats() >= maxStuck && !s.attached {
				return &hungError{fmt.Sprintf("more than half of its checks have not returned after their deadline, for %d s", maxStuck)}
			}
		}
	}
}

// drain is the error that is already there; nil for none.
func drain(errs <-chan error) error {
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// silence counts the seconds without a heartbeat; negative before the first one.
func (a *assignments) silence(before int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	beats := a.beats
	a.beats = 0
	switch {
	case beats > 0:
		return 0
	case before < 0:
		return -1
	}
	return before + 1
}

// stuckBeats is for how many heartbeats more than half of the checks have hung.
func (a *assignments) stuckBeats() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stuck
}

// beat takes note of a heartbeat.
func (a *assignments) beat(h *pluginv1.Heartbeat) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.beats++
	a.stuck++
	if h.GetStuck() <= h.GetTargets()/2 {
		a.stuck = 0
	}
}

// reconcile tells the plugin what is different from what it has.
func (a *assignments) reconcile(stream pluginv1.Checker_RunClient, wanted *wish) error {
	var want map[string]*run
	if wanted != nil {
		want = wanted.runs
	}
	a.mu.Lock()
	r := &pluginv1.CheckerRequest{}
	have := make(map[string]bool, len(a.byID))
	for id, c := range a.byID {
		if want[c.key] == c {
			have[c.key] = true
			continue
		}
		r.Unassign = append(r.Unassign, id)
		delete(a.byID, id)
	}
	slices.Sort(r.Unassign)
	for _, c := range slices.SortedFunc(maps.Values(want), func(a, b *run) int { return cmp.Compare(a.check.ID, b.check.ID) }) {
		if !have[c.key] {
			a.last++
			a.byID[a.last] = c
			r.Assign = append(r.Assign, assignment(a.last, c.check))
		}
	}
	a.limit = max(minRate, rateSlack*perSecond(want))
	a.mu.Unlock()
	return send(stream, r)
}

// send sends a request in messages of a moderate size; nothing for an empty one.
func send(stream pluginv1.Checker_RunClient, r *pluginv1.CheckerRequest) error {
	part := &pluginv1.CheckerRequest{Unassign: r.GetUnassign()}
	size := 0
	for _, a := range r.GetAssign() {
		if n := proto.Size(a); size+n > maxAssign && size > 0 {
			if err := stream.Send(part); err != nil {
				return err
			}
			part, size = &pluginv1.CheckerRequest{}, 0
		}
		part.Assign = append(part.Assign, a)
		size += proto.Size(a)
	}
	if len(part.GetAssign())+len(part.GetUnassign()) == 0 {
		return nil
	}
	return stream.Send(part)
}

func assignment(id uint32, c *config.Check) *pluginv1.Assignment {
	a := &pluginv1.Assignment{
		Id: id, Component: c.Kind, ConfigJson: c.Config, Target: c.Name, Labels: c.Labels,
		Interval: durationpb.New(c.Interval), Timeout: durationpb.New(c.Timeout), Phase: durationpb.New(phase(c)),
	}
	a.Device, a.Mark = c.Device, c.Mark
	if c.Target.IsValid() {
		a.Address = c.Target.String()
	}
	if c.Source.IsValid() {
		a.SourceAddress = c.Source.String()
	}
	if c.RetryInterval > 0 {
		a.RetryInterval = durationpb.New(c.RetryInterval)
	}
	return a
}

// phase spreads the first runs of checks over their warm-up; the same check always gets the same one.
func phase(c *config.Check) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.ID))
	part, _ := bits.Mul64(uint64(h.Sum32())<<32, uint64(c.Warmup))
	return time.Duration(part)
}

// perSecond is how many results a second the intervals ask for.
func perSecond(runs map[string]*run) int {
	n := 0.0
	for _, r := range runs {
		interval := r.check.Interval
		if r.check.RetryInterval > 0 {
			interval = min(interval, r.check.RetryInterval)
		}
		n += float64(time.Second) / float64(max(interval, time.Millisecond))
	}
	return int(n)
}

// receive takes results. A plugin that sends more than it has to is not read for the rest of the second: the stream's flow
// control then stops it, at no cost for the host.
func (s *session) receive(ctx context.Context, stream pluginv1.Checker_RunClient, a *assignments) error {
	began, count := time.Now(), 0
	for {
		e, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("checks: %w", rpcError(err))
		}
		if rest := time.Second - time.Since(began); rest <= 0 {
			began, count = time.Now(), 0
		} else if count > a.budget() && !pause(ctx, rest) {
			return ctx.Err()
		}
		count += len(e.GetResults())
		s.take(a, e)
	}
}

// pause waits for d; false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *assignments) budget() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limit
}

// take hands on the results of one event. One that belongs to no check, or to one that is not wanted any more, is dropped.
func (s *session) take(a *assignments, e *pluginv1.CheckerEvent) {
	dropped, refused, findings := 0, 0, make([]finding, 0, len(e.GetResults()))
	a.mu.Lock()
	for _, r := range e.GetResults() {
		if c := a.byID[r.GetId()]; c != nil {
			o := observation(r)
			var bad int
			o.Values, bad = figures(r.GetValues())
			findings, refused = append(findings, finding{c, o}), refused+bad
		} else {
			dropped++
		}
	}
	a.mu.Unlock()
	if dropped += s.process.deliver(s, findings); dropped+refused > 0 {
		s.process.count(dropped, refused)
	}
	if h := e.GetHeartbeat(); h != nil {
		a.beat(h)
		s.process.beat(s, h)
	}
}

// observation is a result in the words of health. A status that this version does not know says nothing about the target.
func observation(r *pluginv1.Result) health.Observation {
	o := health.Observation{Outcome: health.Error, Reason: shorten(r.GetReason()), Weight: -1}
	switch r.GetStatus() {
	case pluginv1.Status_PASS:
		o.Outcome = health.Pass
	case pluginv1.Status_WARN:
		o.Outcome = health.Warn
	case pluginv1.Status_FAIL:
		o.Outcome = health.Fail
	}
	o.Took = max(r.GetTook().AsDuration(), 0)
	if r.Weight != nil {
		o.Weight = int(min(r.GetWeight(), 65535))
	}
	return o
}

// shorten cuts a reason to its bound, between two characters.
func shorten(s string) string {
	if len(s) <= maxReason {
		return s
	}
	n := maxReason
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
