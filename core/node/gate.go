package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

// The times of the gate.
const (
	// rounds of questions are kept, and count; the last ones come at most roundPause apart before a down interval ends.
	keptRounds = 3
	roundPause = 20 * time.Millisecond
	// While a takeover waits it asks again every waitPause, and every holdPause where it is refused.
	waitPause = 100 * time.Millisecond
	holdPause = 250 * time.Millisecond
	// answerTime is how long an answer may take on a local network.
	answerTime = 10 * time.Millisecond
	// peaceMaster and peaceBackup are how often the VIPs are asked about while nothing happens: to find who else has them, and to
	// learn who has them as master.
	peaceMaster = 10 * time.Second
	peaceBackup = time.Minute
	// maxOwners is how many MAC addresses of masters are remembered.
	maxOwners = 4
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
	pursue    string                // why the members that this node took over from should be off
	owners    [][6]byte             // MAC addresses of masters
	peace     time.Time             // the next question in peace
	grant     grant                 // of the witness
	conflict  map[[6]byte]time.Time // when a foreign MAC address was told of
	defended  time.Time             // the last announcement because of one
	defences  int                   // within defenceSpan
	rival     time.Time             // since when there is another master; zero for none
	rivalTold bool
	around    time.Time     // when to look at it again
	dual      time.Duration // of two masters, in all that have ended
	alone     string        // why it stays master though nothing can be reached, as it was told
}

// mayAct tells whether evidence may change what the instance does.
func (i *instance) mayAct() bool { return !i.guard.wanted.IsZero() || i.isMaster() }

// touchActive has the instances looked at for which evidence counts now.
func (n *Node) touchActive() {
	for _, i := range n.instances {
		if i.mayAct() {
			n.touch(i)
		}
	}
}

// watch follows the silence of a master: it asks before a decision, so that the answers are there when the time has come.
func (n *Node) watch(now time.Time, i *instance) {
	g := &i.guard
	wants := i.router.Wants() != ""
	suspect := i.router.Suspect()
	if !n.vigilant() {
		suspect = time.Time{}
	}
	suspicious := wants || !suspect.IsZero() && !now.Before(suspect) && i.router.Cause(now) != vrrp.CauseRank
	switch {
	case !suspicious:
		n.calm(now, i)
	case g.suspected.IsZero():
		*g = guarding{suspected: now, owners: g.owners, dual: g.dual, conflict: g.conflict, grant: g.grant}
		n.round(now, i)
	case !now.Before(g.due):
		n.round(now, i)
	}
	if wants && g.wanted.IsZero() {
		g.wanted = now
	}
	if !suspicious {
		if g.due = g.peace; suspect.After(now) {
			g.due = earlier(suspect, g.peace)
		}
	}
}

// calm is what happens while there is nothing to decide: now and then the network is asked who has the VIPs.
func (n *Node) calm(now time.Time, i *instance) {
	g := &i.guard
	if !g.suspected.IsZero() {
		if !i.isMaster() {
			n.endHold(now, i, "")
			n.claim(now, i, false)
			g.pursue = ""
		}
		g.suspected, g.wanted, g.asked = time.Time{}, time.Time{}, 0
	}
	every := peaceBackup
	switch {
	case i.isMaster():
		every = peaceMaster
	case !i.router.Follows():
		g.peace = time.Time{}
		return
	}
	switch {
	case !n.cfg.Guard.ProbeVIP || n.stopping:
		g.peace = time.Time{}
	case g.peace.IsZero():
		g.peace = now.Add(time.Second + time.Duration(i.order)*time.Millisecond)
	case !now.Before(g.peace):
		g.peace = now.Add(every)
		n.askAbout(now, i, true)
	}
}

// round asks everybody who may know, once.
func (n *Node) round(now time.Time, i *instance) {
	g := &i.guard
	copy(g.rounds[:], g.rounds[1:])
	g.rounds[keptRounds-1] = now
	g.asked++
	n.askAbout(now, i, g.asked <= 2)
	for _, k := range n.referencesOf(i) {
		n.inquire(now, k)
	}
	n.askMembers(i)
	g.due = latest(n.nextRound(now, i), now.Add(time.Millisecond))
}

// askAbout asks who has the VIPs of an instance, and, for whose MAC addresses they are, about the machines that may have them.
func (n *Node) askAbout(now time.Time, i *instance, machines bool) {
	for _, a := range i.cfg.Addresses {
		if k := n.known[i.watchOf(a)]; k != nil {
			n.inquire(now, k)
		}
	}
	if !machines {
		return
	}
	for _, k := range n.machines {
		n.inquire(now, k)
	}
}

// nextRound is when the next questions are due: two soon after the suspicion, three just before the down interval ends, when a dead
// daemon's lease is over; and by their pace while a takeover waits.
func (n *Node) nextRound(now time.Time, i *instance) time.Time {
	g := &i.guard
	if i.router.Wants() != "" {
		switch {
		case g.asked < keptRounds, now.Sub(g.wanted) < holdPause:
			return now.Add(roundPause)
		case i.router.State() == vrrp.Hold:
			return now.Add(holdPause)
		}
		return now.Add(waitPause)
	}
	interval := i.router.Interval()
	end, pause := i.router.Deadline(), roundsApart(interval)
	for _, at := range [...]time.Time{
		i.router.Suspect().Add(7 * interval / 10), end.Add(-3 * pause), end.Add(-2 * pause), end.Add(-pause),
	} {
		if at.After(now.Add(pause / 2)) {
			return at
		}
	}
	return end
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
	if slices.ContainsFunc(mates, func(i *instance) bool { return i.router.Wants() == "" && !i.isMaster() }) {
		return
	}
	verdict, of := guard.Verdict{Decision: guard.Take, Row: -1}, mates[0]
	for _, i := range mates {
		if i.isMaster() {
			continue
		}
		i.guard.facts = n.evidence(now, i)
		v := guard.Decide(i.guard.facts)
		i.guard.verdict = v
		n.claim(now, i, v.Ask)
		n.wishGrant(now, i, v.AskWitness)
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
	silence := time.Duration(0)
	if _, _, last := i.router.Master(); !last.IsZero() {
		silence = now.Sub(last)
	}
	e := i.verdictEvent("instance.takeover", event.Info, g.verdict, g.verdict.Reason)
	e.Attrs["silence_ms"], e.Attrs["waited_ms"] = milliseconds(silence), milliseconds(now.Sub(g.wanted))
	n.endHold(now, i, "it takes over")
	n.step(now, i, vrrp.Promote{})
	n.emit(e)
	g.pursue = g.verdict.Fence
	if r := g.verdict.Row; g.pursue == "" && r >= guard.RowWedged && r <= guard.RowUnprobed {
		g.pursue = g.verdict.Reason // what fencing would have been for: a dry run counts as off, and is to be made
	}
	g.wanted, g.claims, g.peace, g.due = time.Time{}, false, time.Time{}, time.Time{}
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
	i.refusals++
	code, severity := "instance.takeover_refused", event.Critical
	switch {
	case v.Decision == guard.Isolated:
		code, severity = "instance.isolated", event.Warning
	case v.Row == guard.RowMaster:
		code = "instance.advert_path_broken"
	case v.Row == guard.RowFailing:
		severity = event.Warning
	}
	n.emit(i.verdictEvent(code, severity, v, v.Reason))
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
	e := i.verdictEvent("instance.hold_ended", event.Info, g.refused, fmt.Sprintf("after %v: %s", now.Sub(g.held).Round(time.Millisecond), why))
	n.emit(e)
	g.held, g.refused = time.Time{}, guard.Verdict{}
}

// verdictEvent is an event with a verdict and its evidence.
func (i *instance) verdictEvent(code string, s event.Severity, v guard.Verdict, reason string) event.Event {
	e := event.Event{
		Code: code, Severity: s, Kind: event.Instance, Subject: i.cfg.Name, Reason: reason, Notify: i.cfg.Notify,
		Attrs: map[string]string{"row": strconv.Itoa(int(v.Row)), "decision": string(v.Decision)},
	}
	for _, f := range i.guard.facts.Facts() {
		e.Attrs[f.Name] = f.Value
	}
	return e
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

// evidence is what is known about a takeover of an instance now.
func (n *Node) evidence(now time.Time, i *instance) guard.Evidence {
	g := &i.guard
	e := guard.Evidence{
		Cut: n.cut(i), References: n.voice(now, i), Peer: n.peerOf(now, i), VIP: n.answerer(now, i),
		Waited: now.Sub(g.wanted), PeerLease: i.peerLease(), OnHoldExpired: n.cfg.Guard.OnHoldExpired,
		Witness: n.grantOf(now, i), Cleared: true,
	}
	switch i.router.Cause(now) {
	case vrrp.CauseResigned:
		e.Claim = guard.ClaimResigned
	case vrrp.CauseRank:
		e.Claim = guard.ClaimRank
	case vrrp.CauseSilence:
		e.Claim = guard.ClaimSilence
	}
	for _, m := range n.silentMembers(now, i) {
		mode := m.fence.Mode()
		if mode == guard.FencingOff {
			continue
		}
		if e.Mode != guard.FencingRequired {
			e.Mode = mode
		}
		if e.Fence.State == "" || !m.fence.Clears(now) {
			e.Fence = m.fence.Standing()
		}
		e.Cleared = e.Cleared && m.fence.Clears(now)
	}
	return e
}

// silentMembers are those that were not heard since the suspicion, or lately.
func (n *Node) silentMembers(now time.Time, i *instance) (out []*member) {
	for _, m := range n.members {
		if !m.alive(now, i.guard.suspected) {
			out = append(out, m)
		}
	}
	return out
}

// peerOf is what the members say of an instance.
func (n *Node) peerOf(now time.Time, i *instance) guard.Peer {
	p := guard.Peer{}
	var silent []string
	for _, m := range n.members {
		if !m.alive(now, i.guard.suspected) {
			if !m.met.IsZero() {
				silent = append(silent, m.cfg.Name)
				if p.Heard == guard.VoiceNone {
					p.Heard = guard.VoiceSilent
				}
			}
			continue
		}
		c, spoken := m.instances[i.cfg.Name]
		master := spoken && c.ofMaster()
		if p.Heard == guard.VoiceHeard && !master {
			continue
		}
		p.Heard, p.Name, p.Master = guard.VoiceHeard, m.cfg.Name, p.Master || master
		p.Isolated = m.isolated()
		p.Outranked = master && c.Priority < i.router.Effective() && i.router.Preempts(now)
	}
	if i.guard.claims {
		p.Ignored = now.Sub(i.guard.claimed)
	}
	p.Silent = strings.Join(silent, " and ")
	return p
}

// voice is what the references have said to the latest questions. Where nothing is in doubt, what they have said lately is as good.
func (n *Node) voice(now time.Time, i *instance) guard.Voice {
	if i.router.Cause(now) != vrrp.CauseSilence {
		voice, _ := n.steady(i)
		return voice
	}
	voice, from := guard.VoiceNone, latest(i.guard.suspected, now.Add(-referenceRetry))
	for _, k := range n.referencesOf(i) {
		switch {
		case k.mute != "":
		case !k.answers.Before(from):
			return guard.VoiceHeard
		default:
			voice = guard.VoiceSilent
		}
	}
	early := i.guard.asked < keptRounds || now.Sub(i.guard.rounds[0]) < answerTime
	if voice == guard.VoiceSilent && early && i.router.State() != vrrp.Hold {
		return guard.VoiceAsked
	}
	return voice
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// answered tells whether an answer has come to one of the latest questions.
func (i *instance) answered(k *known) bool {
	from := i.guard.rounds[0]
	return !k.answers.IsZero() && !k.answers.Before(latest(from, i.guard.suspected))
}

// answerer is who answers for the VIPs, to the latest questions.
func (n *Node) answerer(now time.Time, i *instance) guard.Answerer {
	g := &i.guard
	found, asked := guard.Answerer{Who: guard.WhoUnprobed}, false
	for _, a := range i.cfg.Addresses {
		k := n.known[i.watchOf(a)]
		if k == nil || k.mute != "" {
			continue
		}
		asked = true
		if !i.answered(k) {
			continue
		}
		if who := n.identify(i, k); found.Who == guard.WhoUnprobed || who.Who == guard.WhoPeer {
			found = who
		}
	}
	switch {
	case !asked || found.Who != guard.WhoUnprobed:
		return found
	case g.asked == 0 || now.Sub(g.suspected) < answerTime:
		return guard.Answerer{Who: guard.WhoAsked}
	}
	return guard.Answerer{Who: guard.WhoNobody}
}

func (m *member) isolated() bool { return m.flags&heartbeat.Isolated != 0 }

// watchOf is where a VIP is asked for: not on the interface of a virtual MAC address, which is down while this node is no master.
func (i *instance) watchOf(a VirtualAddress) desired.Watch {
	w := desired.Watch{Interface: a.Interface, Address: a.Prefix.Addr()}
	if w.Interface == i.cfg.VMAC && i.cfg.VMAC != "" {
		w.Interface = i.cfg.Interface
	}
	return w
}

// look lets the guard look at an instance, after what has just happened to it.
func (n *Node) look(now time.Time, i *instance) {
	if n.started.IsZero() {
		return
	}
	n.watch(now, i)
	n.tenure(now, i)
	n.pace(now, i)
	n.tendGrant(now, i)
	n.hears(now, i)
}

// vigilant tells whether there is anybody to ask before a decision.
func (n *Node) vigilant() bool {
	return len(n.known) > 0 || len(n.members) > 0 || n.cfg.Guard.Witness != ""
}
