package guard

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
)

// The times of fencing.
const (
	// FenceWait is how long a takeover waits for fencing in the mode best_effort, from the wish on.
	FenceWait = 5 * time.Second
	// FenceLimit is what one try through all levels may take.
	FenceLimit = 60 * time.Second
	// yieldDelay is the least delay of a node that owns less than the one that it wants off: of two that want to shoot each
	// other, one is quicker.
	yieldDelay = 5 * time.Second
	// attempts are made at each level of a try.
	attempts = 2
	// breakerShots tries may begin within breakerSpan: more would feed a loop of nodes that come back and are shot again.
	breakerShots = 2
	breakerSpan  = 10 * time.Minute
	// mostTries of one incident fail before fencing is given up until somebody confirms it.
	mostTries = 10
	// The pause after a failed try grows from pauseFirst to pauseMost, doubled each time.
	pauseFirst = 30 * time.Second
	pauseMost  = breakerSpan
	// lostAfter is when an order without an end counts as lost, from its giving on: no other is given before.
	lostAfter = 2 * FenceLimit
)

// FenceState is how far the fencing of a node is.
type FenceState string

// The states of fencing. An incident begins with the first wish, and ends when the node is heard again.
const (
	// FenceNone: nobody wants the node off.
	FenceNone FenceState = "none"
	// FenceWaiting: the delay before the shot runs.
	FenceWaiting FenceState = "waiting"
	// FenceRunning: an order is given, and has not ended.
	FenceRunning FenceState = "running"
	// FenceConfirmed: the node is off, as a fencer or an operator says. It stays so until the node is heard again.
	FenceConfirmed FenceState = "confirmed"
	// FenceFailed: a try has failed on all levels; the next one comes after a pause.
	FenceFailed FenceState = "failed"
	// FenceBlocked: there must be no shot now; Reason says why.
	FenceBlocked FenceState = "blocked"
	// FenceRehearsed: a dry run has ended; there is no other in this incident.
	FenceRehearsed FenceState = "rehearsed"
)

// FenceWish is what the table wants of the fencing of one node at one instant.
type FenceWish struct {
	// Reason says why the node is to be off, in the operator's words; empty for no wish, as when it was heard again.
	Reason string
	// Claims tells that this node would take over from it now. Only such a wish begins an incident: a master that has lost its peer
	// shoots at nobody. It may go on after this node has taken over.
	Claims bool
	// Connected tells that the isolation test was passed: the own link is up and a reference answers, where there is any. Without it a
	// wish is none.
	Connected bool
	// Yields tells that both nodes own something, and this one less, by the sum of the priorities.
	Yields bool
}

// FenceStanding is what the table and the status show.
type FenceStanding struct {
	State FenceState
	// Since is when it got there, and Reason says why.
	Since  time.Time
	Reason string
	// Retry is when there will be another try; zero for never, or for not known yet.
	Retry time.Time
	// Tries are those of this incident.
	Tries int
}

// FenceOrder is one level of fencers that are to switch a node off.
type FenceOrder struct {
	ID      uint64
	Fencers []string
	DryRun  bool
	// Limit is what it may take.
	Limit time.Duration
}

// Fence is the fencing of one other node: one order at a time, no other one after a success until the node was heard again, and
// none before it was heard for the first time. The zero value is not ready; see [NewFence].
type Fence struct {
	self, node string
	cfg        Fencing
	seen       bool // since the start

	standing FenceStanding
	wished   time.Time // since when the wish is there without a break; zero for none
	reason   string    // of the wish
	shots    []time.Time

	last           uint64    // identifier of the latest order
	open           []openOne // orders that have not ended
	level, attempt int       // of the try under way
	ends           time.Time // latest end of it
	dry            bool      // it switches nothing

	asOf   time.Time // of the latest call of Want
	events []event.Event
}

// openOne is an order that has not ended.
type openOne struct {
	id    uint64
	given time.Time
	dry   bool
}

// NewFence is the fencing of node by self. Nobody fences itself: between the same names it is always blocked.
func NewFence(self, node string, cfg Fencing) *Fence {
	return &Fence{self: self, node: node, cfg: cfg, standing: FenceStanding{State: FenceNone}}
}

// Configure replaces the configuration. What has happened stays: an incident does not begin again with a reload.
// What was only rehearsed may begin in earnest.
func (f *Fence) Configure(cfg Fencing) {
	f.cfg = cfg
	if f.standing.State == FenceRehearsed && !cfg.DryRun {
		f.standing, f.wished = FenceStanding{State: FenceNone}, time.Time{}
	}
}

// Standing is how far it is.
func (f *Fence) Standing() FenceStanding { return f.standing }

// Mode is how far it decides about a takeover; FencingOff while it only rehearses.
func (f *Fence) Mode() FencingMode {
	if f.cfg.DryRun {
		return FencingOff
	}
	return cmp.Or(f.cfg.Mode, FencingOff)
}

// Clears tells whether fencing is no longer in the way of a takeover: with mode off always; with best_effort when the node is
// confirmed to be off, or FenceWait after the wish has begun; with required only when it is confirmed to be off.
func (f *Fence) Clears(now time.Time) bool {
	switch {
	case f.Mode() == FencingOff, f.standing.State == FenceConfirmed:
		return true
	case f.Mode() == FencingBestEffort:
		return !f.wished.IsZero() && !now.Before(f.wished.Add(FenceWait))
	}
	return false
}

// Seen says that the node was heard, by an advert or a heartbeat: whatever was going on is over.
func (f *Fence) Seen(now time.Time) {
	f.seen = true
	if f.standing.State == FenceConfirmed {
		f.tell("fence.ended", event.Info, "the node is heard again")
	}
	if f.standing.State != FenceNone {
		f.standing = FenceStanding{State: FenceNone, Since: now, Reason: "the node was heard"}
	}
	f.standing.Tries, f.wished = 0, time.Time{}
}

// Confirm takes an operator's word that the node is off. by says whose it is.
func (f *Fence) Confirm(now time.Time, by string) { f.confirm(now, by) }

func (f *Fence) confirm(now time.Time, evidence string) {
	if f.standing.State == FenceConfirmed {
		return
	}
	f.enter(now, FenceConfirmed, evidence)
	f.tell("fence.succeeded", event.Warning, evidence)
}

// Want takes the present wish, and lets time act. It is called whenever something may have changed, and at the deadline; what it
// returns is to be given to the fencers.
func (f *Fence) Want(now time.Time, w FenceWish) (order FenceOrder, give bool) {
	f.asOf = now
	f.forget(now)
	if f.standing.State == FenceRunning && !now.Before(f.ends) {
		f.failed(now, fmt.Sprintf("no end within %v", FenceLimit))
	}
	if w.Reason == "" || !w.Connected || f.cfg.Mode == "" || f.cfg.Mode == FencingOff {
		f.withdraw(now)
		return FenceOrder{}, false
	}
	if f.wished.IsZero() {
		if !w.Claims {
			return FenceOrder{}, false
		}
		f.begin(now, w)
	}
	f.reason = w.Reason
	switch f.standing.State {
	case FenceWaiting, FenceFailed, FenceBlocked:
		return f.shoot(now)
	case FenceNone, FenceRunning, FenceConfirmed, FenceRehearsed:
	}
	return FenceOrder{}, false
}

// withdraw ends what has not begun to have an effect. Orders that are given, what they have found out, and the number of tries stay.
func (f *Fence) withdraw(now time.Time) {
	f.wished = time.Time{}
	switch f.standing.State {
	case FenceWaiting, FenceFailed, FenceBlocked:
		f.enter(now, FenceNone, "nobody wants the node off any more")
	case FenceNone, FenceRunning, FenceConfirmed, FenceRehearsed:
	}
}

// begin starts to wait for the shot.
func (f *Fence) begin(now time.Time, w FenceWish) {
	f.wished = now
	if f.standing.State != FenceNone {
		return // an order of this incident is still out, or has ended
	}
	delay := f.cfg.Delay
	if w.Yields {
		delay = max(delay, yieldDelay)
	}
	f.enter(now, FenceWaiting, w.Reason)
	f.standing.Retry = now.Add(delay)
}

// shoot begins a try, unless something forbids it.
func (f *Fence) shoot(now time.Time) (FenceOrder, bool) {
	if now.Before(f.standing.Retry) {
		return FenceOrder{}, false
	}
	if why, until := f.forbidden(now); why != "" {
		f.block(now, why, until)
		return FenceOrder{}, false
	}
	f.shots = append(f.shots, now)
	f.standing.Tries++
	f.level, f.attempt, f.ends, f.dry = 0, 1, now.Add(FenceLimit), f.cfg.DryRun
	code, what := "fence.started", "switches the node off, for "
	if f.dry {
		code, what = "fence.rehearsing", "dry run: would switch the node off now, for "
	}
	f.enter(now, FenceRunning, f.reason)
	f.tell(code, event.Warning, what+f.reason)
	return f.order(now), true
}

// forbidden says why there must be no shot now, and until when; zero for until something else happens.
func (f *Fence) forbidden(now time.Time) (why string, until time.Time) {
	f.shots = slices.DeleteFunc(f.shots, func(t time.Time) bool { return now.Sub(t) >= breakerSpan })
	switch {
	case f.node == f.self || f.node == "":
		return "a node does not fence itself", time.Time{}
	case len(f.cfg.Levels) == 0:
		return "there is no fencer for it", time.Time{}
	case !f.seen:
		return "it was never heard since this node has started: it may have been off before, or this node may be the one that is cut off", time.Time{}
	case len(f.open) > 0:
		return "an earlier order has not ended", f.open[0].given.Add(lostAfter)
	case f.standing.Tries >= mostTries:
		return fmt.Sprintf("%d tries have failed", mostTries), time.Time{}
	case len(f.shots) >= breakerShots:
		return fmt.Sprintf("there were %d tries within %v", breakerShots, breakerSpan), f.shots[0].Add(breakerSpan)
	}
	return "", time.Time{}
}

// block waits; what is told is told once for each reason.
func (f *Fence) block(now time.Time, why string, until time.Time) {
	told := f.standing.State == FenceBlocked && f.standing.Reason == why
	if !told {
		f.enter(now, FenceBlocked, why)
		f.tell("fence.blocked", event.Critical, why+"; where the node is surely off, say so: vipward fence confirm "+f.node)
	}
	f.standing.Retry = until
}

// order is that for the present level and attempt.
func (f *Fence) order(now time.Time) FenceOrder {
	f.last++
	f.open = append(f.open, openOne{f.last, now, f.dry})
	return FenceOrder{ID: f.last, Fencers: f.cfg.Levels[f.level], DryRun: f.dry, Limit: f.ends.Sub(now)}
}

// FenceResult is the end of an order.
type FenceResult struct {
	// OK tells that the node is confirmed to be off; Rehearsed, that a dry run met no obstacle.
	OK, Rehearsed bool
	// Evidence says how that is known, or why it is not.
	Evidence string
}

// Ended takes the end of an order. Where a level has failed, the next attempt or level follows at once. What is confirmed counts,
// however late it comes.
func (f *Fence) Ended(now time.Time, id uint64, r FenceResult) (order FenceOrder, give bool) {
	k := slices.IndexFunc(f.open, func(o openOne) bool { return o.id == id })
	if k < 0 {
		return FenceOrder{}, false // lost, ended already, or never given
	}
	dry := f.open[k].dry
	f.open = slices.Delete(f.open, k, k+1)
	current := f.standing.State == FenceRunning && id == f.last
	switch {
	case dry && r.Rehearsed && current:
		f.enter(now, FenceRehearsed, r.Evidence)
		f.tell("fence.rehearsed", event.Info, r.Evidence)
	case !dry && r.OK:
		f.confirm(now, r.Evidence)
	case current:
		return f.next(now, r.Evidence)
	}
	return FenceOrder{}, false
}

// next goes on after an order that has failed.
func (f *Fence) next(now time.Time, why string) (FenceOrder, bool) {
	if f.wished.IsZero() {
		f.enter(now, FenceNone, "nobody wants the node off any more")
		return FenceOrder{}, false
	}
	if f.attempt++; f.attempt > attempts {
		f.level, f.attempt = f.level+1, 1
	}
	if f.level >= len(f.cfg.Levels) || !now.Before(f.ends) {
		f.failed(now, why)
		return FenceOrder{}, false
	}
	return f.order(now), true
}

// failed ends a try.
func (f *Fence) failed(now time.Time, why string) {
	if f.dry {
		f.enter(now, FenceRehearsed, why)
		f.tell("fence.failed", event.Warning, "dry run: "+why)
		return
	}
	pause := pauseMost
	if n := f.standing.Tries - 1; n < 5 { // 30 s times 32 is more than the most
		pause = min(pauseFirst<<n, pauseMost)
	}
	f.enter(now, FenceFailed, why)
	f.standing.Retry = now.Add(pause)
	f.tell("fence.failed", event.Critical, fmt.Sprintf("%s; try %d of %d, the next one in %v at the earliest", why, f.standing.Tries, mostTries, pause))
}

// forget gives up orders that have no end.
func (f *Fence) forget(now time.Time) {
	f.open = slices.DeleteFunc(f.open, func(o openOne) bool { return !now.Before(o.given.Add(lostAfter)) })
}

func (f *Fence) enter(now time.Time, s FenceState, reason string) {
	f.standing = FenceStanding{State: s, Since: now, Reason: reason, Tries: f.standing.Tries}
}

func (f *Fence) tell(code string, s event.Severity, reason string) {
	f.events = append(f.events, event.Event{Code: code, Severity: s, Kind: event.Node, Subject: f.node, Reason: reason})
}

// Events are those since the last call.
func (f *Fence) Events() []event.Event {
	e := f.events
	f.events = nil
	return e
}

// Deadline is when [Fence.Want] is to be called at the latest; zero for never.
func (f *Fence) Deadline() time.Time {
	var first time.Time
	earlier := func(t time.Time) {
		if t.After(f.asOf) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	switch f.standing.State {
	case FenceRunning:
		earlier(f.ends)
	case FenceWaiting, FenceFailed, FenceBlocked:
		earlier(f.standing.Retry)
	case FenceNone, FenceConfirmed, FenceRehearsed:
	}
	if !f.wished.IsZero() && f.Mode() == FencingBestEffort {
		earlier(f.wished.Add(FenceWait))
	}
	return first
}
