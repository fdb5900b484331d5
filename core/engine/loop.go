package engine

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
)

const (
	// The inboxes are bounded; what does not fit is dropped and counted. Adverts and results of checks come again.
	urgentSize  = 256 // up to 64 packets count as one
	routineSize = 8192
	// pulse is the longest that the loop sleeps, so that its progress proves that it lives.
	pulse = 500 * time.Millisecond
	// lateAfter is the lateness of a wake-up that is counted: a machine on which it happens often is too busy for fast adverts.
	lateAfter = 10 * time.Millisecond
	// suspendLeast is the shortest suspension that matters; to wake up takes longer.
	suspendLeast = 10 * time.Millisecond
	// snapshotEvery is how old a snapshot may get that nobody asks for; snapshotFresh is how old one may be that is given to a reader
	// while only adverts come and go, snapshotPause while a crowd of inputs waits of which each may change something.
	snapshotEvery = 5 * time.Second
	snapshotFresh = 100 * time.Millisecond
	snapshotPause = 20 * time.Millisecond
	// snapshotWait is how long a reader waits for the loop; then it takes what there is.
	snapshotWait = 200 * time.Millisecond
	readersSize  = 16 // readers that wait; the rest takes what there is
	// timeoutPause is the least time from one time-out to the next: instances by the hundred advertise together, and each of their
	// wake-ups does more.
	timeoutPause = 2 * time.Millisecond
	// gatherSize is how many results of checks go into one step.
	gatherSize = 512
)

// loop is the only caller of [node.Node.Step]. Everything that happens comes in through its channels, and everything that is
// to be done goes out through its functions, none of which may block.
type loop struct {
	node *node.Node

	urgent  chan arrival
	routine chan node.Input
	calls   chan func(now time.Time) node.Output
	dropped atomic.Uint64
	late    atomic.Uint64 // wake-ups later than lateAfter

	// send sends adverts, and calls failed for each that could not be sent.
	send   func(all []node.Advert, failed func(node.Advert, error))
	beat   func(node.BeatTo)
	ask    func(node.Ask)
	lease  func([]desired.FastLease)
	desire func(*desired.State)
	// drain has what waits in the sockets handed to [loop.Hurry].
	drain  func()
	tell   func([]event.Event)
	answer func(node.Answer)
	fence  func(node.FenceOrder)
	// witness asks the witness.
	witness func(node.WitnessAsk)
	// waited and stepped observe how long an input waited and a step took, woken how late a wake-up was.
	waited, stepped, woken func(time.Duration)

	left   node.Input    // taken from routine while gathering, not yet done; only Run touches it
	unsent []node.Unsent // by the step before, not yet done; only Run touches it
	// answering tells that the step at hand is about one of them.
	answering bool
	news      bool // that the snapshot does not show yet; only Run touches it

	// suspended is for how long the machine was suspended since some instant, slept how much of it the node knows.
	suspended func() time.Duration
	slept     time.Duration

	snapshot atomic.Pointer[node.Snapshot]
	readers  chan chan struct{} // each closed when the snapshot is fresh
	progress atomic.Int64       // when the loop last went round, as Unix nanoseconds
	timer    *time.Timer
	due      time.Time // what the timer waits for, never zero
	fired    time.Time // the last time-out
}

// arrival is an urgent input with the instant at which the machine got it.
type arrival struct {
	in node.Input
	at time.Time
}

func newLoop(n *node.Node) *loop {
	return &loop{
		node:    n,
		urgent:  make(chan arrival, urgentSize),
		routine: make(chan node.Input, routineSize),
		calls:   make(chan func(time.Time) node.Output),
		readers: make(chan chan struct{}, readersSize),

		suspended: suspended,
	}
}

// Hurry takes an urgent input from any goroutine: a packet, a change of the interfaces.
func (l *loop) Hurry(in node.Input, at time.Time) {
	select {
	case l.urgent <- arrival{in, at}:
	default:
		l.dropped.Add(1)
	}
}

// Add takes a routine input from any goroutine: the result of a check, what an applier reports.
func (l *loop) Add(in node.Input) {
	select {
	case l.routine <- in:
	default:
		l.dropped.Add(1)
	}
}

// Call lets f step the node in the loop, and returns when it has been done.
func (l *loop) Call(ctx context.Context, f func(now time.Time) node.Output) error {
	done := make(chan struct{})
	select {
	case l.calls <- func(now time.Time) node.Output { defer close(done); return f(now) }:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	return nil
}

// Snapshot is the state of the node, from any goroutine: nil before there is any. A loop that stands still is not waited for.
func (l *loop) Snapshot() *node.Snapshot {
	fresh := make(chan struct{})
	select {
	case l.readers <- fresh:
		select {
		case <-fresh:
		case <-time.After(snapshotWait):
		}
	default:
	}
	return l.snapshot.Load()
}

// Run works until the node has stopped. It asks the node to stop when stop is closed, and gives up when ctx ends.
func (l *loop) Run(ctx context.Context, stop <-chan struct{}) error {
	l.timer = time.NewTimer(0)
	defer l.timer.Stop()
	l.due, l.slept = time.Now(), l.suspended()
	for {
		out, err := l.next(ctx, &stop)
		if err != nil {
			return err
		}
		now := time.Now()
		l.obey(out)
		l.publish(now, out)
		if out.Stopped {
			return nil
		}
		l.rearm(now)
	}
}

// next waits for one input and steps the node with it. Urgent ones go first.
func (l *loop) next(ctx context.Context, stop *<-chan struct{}) (node.Output, error) {
	if len(l.unsent) > 0 {
		in := l.unsent[0]
		l.unsent, l.answering = l.unsent[1:], true
		return l.step(in, time.Time{}), nil
	}
	l.answering = false
	select {
	case a := <-l.urgent:
		return l.step(a.in, a.at), nil
	default:
	}
	if in := l.left; in != nil {
		l.left = nil
		return l.step(l.gather(in), time.Time{}), nil
	}
	select {
	case a := <-l.urgent:
		return l.step(a.in, a.at), nil
	case in := <-l.routine:
		return l.step(l.gather(in), time.Time{}), nil
	case <-l.timer.C:
		l.fired = time.Now()
		late := l.fired.Sub(l.due)
		if l.woken(max(late, 0)); late > lateAfter {
			l.late.Add(1)
		}
		return l.step(node.Timeout{}, l.due), nil
	case f := <-l.calls:
		now := time.Now()
		if l.node.Overdue(now) {
			l.obey(l.node.Step(now, l.catchUp(node.Timeout{})))
		}
		return f(now), nil
	case r := <-l.readers:
		l.serve(time.Now(), r)
		return node.Output{}, nil
	case <-*stop:
		*stop = nil
		return l.step(node.Stop{}, time.Time{}), nil
	case <-ctx.Done():
		return node.Output{}, ctx.Err()
	}
}

// gather makes one input of the results of checks that wait: each step has its price, whatever is in it.
func (l *loop) gather(in node.Input) node.Input {
	first, ok := in.(node.Observed)
	if !ok || len(l.routine) == 0 {
		return in
	}
	all := make(node.Observations, 1, min(len(l.routine)+1, gatherSize))
	all[0] = first
	for len(all) < gatherSize {
		select {
		case next := <-l.routine:
			o, ok := next.(node.Observed)
			if !ok {
				l.left = next
				return all
			}
			all = append(all, o)
		default:
			return all
		}
	}
	return all
}

// step is one step of the node; since is when its cause came about, zero where nobody knows. What the node has to know of a suspension
// takes effect first.
func (l *loop) step(in node.Input, since time.Time) node.Output {
	now := time.Now()
	if total := l.suspended(); total-l.slept >= suspendLeast {
		l.obey(l.node.Step(now, node.Slept{For: total - l.slept}))
		l.slept = total
	}
	if !since.IsZero() {
		l.waited(now.Sub(since))
	}
	if l.node.Overdue(now) {
		in = l.catchUp(in)
	}
	out := l.node.Step(now, in)
	l.stepped(time.Since(now))
	return out
}

// catchUp makes one input of what has arrived before an input that would let a backup become master: this process may have been asleep, or
// late by less than it can know, and what was missed waits in the sockets with the times at which it came.
func (l *loop) catchUp(in node.Input) node.Input {
	l.drain()
	all := node.Backlog{in}
	for {
		select {
		case a := <-l.urgent:
			all = append(all, a.in)
			continue
		default:
		}
		break
	}
	switch in.(type) {
	case node.Received, node.Receptions, node.Beat, node.Seen:
		return all // it came before the others
	}
	return append(all[1:], in)
}

// obey does what the node said: adverts first, for they are what the peer waits for.
func (l *loop) obey(out node.Output) {
	if len(out.Adverts) > 0 {
		l.send(out.Adverts, l.note)
	}
	if out.FastLeases != nil {
		l.lease(out.FastLeases)
	}
	for _, b := range out.Beats {
		l.beat(b)
	}
	if out.Desired != nil {
		l.desire(out.Desired)
	}
	if len(out.Events) > 0 {
		l.tell(out.Events)
	}
	for _, a := range out.Asks { // after the wish, which says that their answers are watched for
		l.ask(a)
	}
	for _, w := range out.WitnessAsks {
		l.witness(w)
	}
	for _, o := range out.Fences {
		l.fence(o)
	}
	for _, a := range out.Answers {
		l.answer(a)
	}
}

// note has the node know before its next step what could not be sent: once for each interface, and not what could not be sent in
// answer to that.
func (l *loop) note(a node.Advert, err error) {
	if l.answering || slices.ContainsFunc(l.unsent, func(u node.Unsent) bool { return u.Interface == a.Interface }) {
		return
	}
	l.unsent = append(l.unsent, node.Unsent{Interface: a.Interface, Reason: err.Error()})
}

// publish shows the state to those who ask for it, and now and then to those who will.
func (l *loop) publish(now time.Time, out node.Output) {
	l.progress.Store(now.UnixNano())
	l.news = l.news || out.Desired != nil || len(out.Events) > 0
	l.refresh(now, snapshotEvery)
	select {
	case r := <-l.readers:
		l.serve(now, r)
	default:
	}
}

// serve gives a reader, and the others that wait, a snapshot that shows what has happened.
func (l *loop) serve(now time.Time, r chan struct{}) {
	age := snapshotFresh
	switch {
	case l.news && len(l.routine) == 0 && l.left == nil:
		age = 0
	case l.news:
		age = snapshotPause
	}
	l.refresh(now, age)
	for range len(l.readers) {
		close(<-l.readers)
	}
	close(r)
}

// refresh makes a snapshot where the last one is older than that.
func (l *loop) refresh(now time.Time, age time.Duration) {
	if old := l.snapshot.Load(); old == nil || now.Sub(old.At) >= age {
		l.snapshot.Store(l.node.Snapshot(now))
		l.news = false
	}
}

func (l *loop) rearm(now time.Time) {
	l.due = now.Add(pulse)
	if d := l.node.Deadline(); !d.IsZero() && d.Before(l.due) {
		l.due = d
	}
	if next := l.fired.Add(timeoutPause); l.due.Before(next) {
		l.due = next
	}
	l.timer.Reset(l.due.Sub(now))
}
