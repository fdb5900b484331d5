package node

import (
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// The times of the questions.
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
		*g = guarding{suspected: i.doubtful(now), owners: g.owners, dual: g.dual, conflict: g.conflict, grant: g.grant}
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

// doubtful is when the silence of the master began to be suspicious, which this process may have slept through: what has come since then
// counts, though it is read now.
func (i *instance) doubtful(now time.Time) time.Time {
	_, priority, last := i.router.Master()
	begin := last.Add(3 * i.router.Interval() / 2)
	if priority == 0 || begin.After(now) || now.Sub(last) > i.router.MasterDown()+holdPause {
		return now
	}
	return begin
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
		g.suspected, g.wanted, g.asked, g.call = time.Time{}, time.Time{}, 0, time.Time{}
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
