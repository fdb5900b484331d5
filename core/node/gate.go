package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/vrrp"
)

// guarding is what the gate knows of an instance.
type guarding struct {
	suspected time.Time             // when the silence of the master began to be suspicious; zero for not
	rounds    [keptRounds]time.Time // the latest questions, the newest last
	asked     int                   // rounds since then
	due       time.Time             // the next look
	wanted    time.Time             // since when the router would be master; zero for not
	verdict   guard.Verdict         // while it would, and the one that it took over with
	facts     guard.Evidence        // of the verdict
	refused   guard.Verdict         // that was told
	held      time.Time             // since when it is refused
	claims    bool                  // the peer is asked to let go
	claimed   time.Time             // since when
	called    time.Time             // when adverts last began to call on the master to yield; zero for never
	call      time.Time             // the next one of those; zero for none
	unheard   bool                  // that they are in vain was told
	pursue    string                // why the members that this node took over from should be off
	owners    [][6]byte             // MAC addresses of masters
	peace     time.Time             // the next question in peace
	grant     grant                 // of the witness
	conflict  map[[6]byte]time.Time // when a foreign MAC address was told of
	defended  time.Time             // the last announcement because of one
	defences  int                   // within defenceSpan
	rival     time.Time             // since when there is another master; zero for none
	rivalTold bool
	taken     time.Time     // since when a member says that it has taken over what is being handed over; zero for none
	around    time.Time     // when to look at it again
	dual      time.Duration // of two masters, in all that have ended
	alone     string        // why it stays master though nothing can be reached, as it was told
}

// settleGates decides for those that would be master, a sync group as a whole.
func (n *Node) settleGates(now time.Time) {
	for k := 0; k < len(n.touched); k++ { // steps may touch more
		i := n.touched[k]
		if i.router.Wants() == "" || n.stopping {
			continue
		}
		n.gate(now, i.mates())
	}
}

// gate lets instances become master that belong together, or holds them back.
func (n *Node) gate(now time.Time, mates []*instance) {
	if slices.ContainsFunc(mates, func(i *instance) bool { return i.router.Wants() == "" && !i.isMaster() || i.router.Leaving() }) {
		return
	}
	verdict, of := guard.Verdict{Decision: guard.Take, Row: -1}, mates[0]
	refused := false // the witness refuses one that comes before: who waits for that gives the others back, or two nodes wait for each other
	for _, i := range mates {
		if i.isMaster() {
			continue
		}
		i.guard.facts = n.evidence(now, i)
		v := guard.Decide(i.guard.facts)
		i.guard.verdict = v
		n.claim(now, i, v.Ask)
		n.wishGrant(now, i, v.AskWitness && !refused)
		refused = refused || n.grantOf(now, i).State == guard.GrantRefused
		if v.Row > verdict.Row && v.Decision == verdict.Decision || graver(v.Decision, verdict.Decision) {
			verdict, of = v, i
		}
	}
	for _, i := range mates {
		switch {
		case i.isMaster():
		case verdict.Decision == guard.Take:
			n.takeOver(now, i)
		case verdict.Decision == guard.Wait:
			n.delay(i, verdict, of)
		default:
			n.refuseTakeover(now, i, verdict, of)
		}
		n.callOn(now, i)
	}
}

// graver tells whether a decision stands before another one in a group.
func graver(a, b guard.Decision) bool {
	order := []guard.Decision{guard.Take, guard.Wait, guard.Hold, guard.Blocked, guard.Isolated}
	return slices.Index(order, a) > slices.Index(order, b)
}

// takeOver makes an instance master, and tells what it was decided by.
func (n *Node) takeOver(now time.Time, i *instance) {
	g := &i.guard
	i.term = n.nextTerm(i)
	e := n.verdictEvent(now, i, "instance.takeover", event.Info, g.verdict, g.verdict.Reason)
	n.endHold(now, i, "it takes over")
	g.grant.waived = n.bound() && n.grantOf(now, i).State == guard.GrantUnreachable
	n.step(now, i, vrrp.Promote{})
	n.emit(e)
	g.pursue = g.verdict.Fence
	if r := g.verdict.Row; g.pursue == "" && r >= guard.RowWedged && r <= guard.RowUnprobed {
		g.pursue = g.verdict.Reason // what fencing would have been for: a dry run counts as off, and is to be made
	}
	g.wanted, g.claims, g.peace, g.due, g.call = time.Time{}, false, time.Time{}, time.Time{}, time.Time{}
	g.defended = now
}

// nextTerm is the epoch of a new ownership: above all that are known.
func (n *Node) nextTerm(i *instance) uint64 {
	term := i.term
	for _, m := range n.members {
		term = max(term, m.instances[i.cfg.Name].Epoch)
	}
	return term + 1
}

// delay waits for evidence that is about to come.
func (n *Node) delay(i *instance, v guard.Verdict, of *instance) {
	i.guard.verdict.Reason = of.speaks(i, v.Reason)
}

// refuseTakeover holds an instance back, and tells why, once for each row.
func (n *Node) refuseTakeover(now time.Time, i *instance, v guard.Verdict, of *instance) {
	g := &i.guard
	v.Reason = of.speaks(i, v.Reason)
	n.step(now, i, vrrp.Restrain{Reason: v.Reason})
	g.verdict = v
	if g.held.IsZero() {
		g.held = now
	}
	if g.refused.Row == v.Row && g.refused.Decision == v.Decision {
		return
	}
	g.refused = v
	i.refusals[v.Row]++
	code, severity := "instance.takeover_refused", event.Critical
	switch {
	case v.Decision == guard.Isolated:
		code, severity = "instance.isolated", event.Warning
	case v.Row == guard.RowMaster:
		code = "instance.advert_path_broken"
	case v.Row == guard.RowFailing:
		severity = event.Warning
	case v.Row == guard.RowElection: // another one is MASTER
		severity = event.Warning
	}
	n.emit(n.verdictEvent(now, i, code, severity, v, v.Reason))
}

// speaks is the reason as another member of the group hears it.
func (i *instance) speaks(to *instance, reason string) string {
	if i == to {
		return reason
	}
	return i.cfg.Name + " of its sync group may not: " + reason
}

// endHold tells that a takeover is no longer refused.
func (n *Node) endHold(now time.Time, i *instance, why string) {
	g := &i.guard
	if g.held.IsZero() {
		return
	}
	if why == "" {
		why = i.router.Reason()
	}
	e := n.verdictEvent(now, i, "instance.hold_ended", event.Info, g.refused, fmt.Sprintf("after %v: %s", now.Sub(g.held).Round(time.Millisecond), why))
	e.Attrs["held_ms"] = milliseconds(now.Sub(g.held))
	n.emit(e)
	g.held, g.refused = time.Time{}, guard.Verdict{}
}

// verdictEvent is an event with a verdict, its evidence, what the peer says of the instance, and how long it all took.
func (n *Node) verdictEvent(now time.Time, i *instance, code string, s event.Severity, v guard.Verdict, reason string) event.Event {
	e := event.Event{
		Code: code, Severity: s, Kind: event.Instance, Subject: i.cfg.Name, Reason: reason, Notify: i.cfg.Notify,
		Attrs: map[string]string{"row": strconv.Itoa(int(v.Row)), "decision": string(v.Decision), "waited_ms": "0", "silence_ms": "0"},
	}
	for _, f := range i.guard.facts.Facts() {
		e.Attrs[f.Name] = f.Value
	}
	if w := i.guard.wanted; !w.IsZero() {
		e.Attrs["waited_ms"] = milliseconds(now.Sub(w))
	}
	if _, _, last := i.router.Master(); !last.IsZero() && !i.isMaster() {
		e.Attrs["silence_ms"] = milliseconds(now.Sub(last))
	}
	if view := n.views(now, i); view != "" {
		e.Attrs["peer_view"] = view
	}
	return e
}

// views is what the members said last of an instance.
func (n *Node) views(now time.Time, i *instance) string {
	var all []string
	for _, m := range n.members {
		if c, spoken := m.instances[i.cfg.Name]; spoken {
			all = append(all, fmt.Sprintf("%s: %s, priority %d, epoch %d, %v ago",
				m.cfg.Name, vrrp.State(c.State), c.Priority, c.Epoch, now.Sub(c.at).Round(time.Millisecond)))
		}
	}
	return strings.Join(all, "; ")
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// claim asks the peer to let go, or no longer.
func (n *Node) claim(now time.Time, i *instance, ask bool) {
	g := &i.guard
	if ask == g.claims {
		return
	}
	g.claims, g.claimed = ask, now
	n.hasten(i)
}

// condition is what the status shows besides the state; empty for nothing special.
func (i *instance) condition() string {
	g := &i.guard
	switch {
	case i.router.State() == vrrp.Hold && g.verdict.Decision == guard.Isolated:
		return "ISOLATED"
	case i.router.State() == vrrp.Hold && g.verdict.Decision == guard.Blocked:
		return "BLOCKED"
	case i.router.State() == vrrp.Hold, i.standsBack() != "":
		return "HOLD"
	case !g.suspected.IsZero() && i.router.State() == vrrp.Backup:
		return "SUSPECT"
	case i.isMaster() && !g.rival.IsZero():
		return "DUAL_MASTER"
	case i.isMaster() && g.alone != "":
		return "ALONE"
	}
	return ""
}
