package node

import (
	"time"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/vrrp"
)

// The times of the witness.
const (
	// witnessPause is the time between two requests that were refused or not answered.
	witnessPause = 250 * time.Millisecond
	// handedPause is the same where the master has just resigned: it gives its grant back, and who waits for longer than a down interval
	// with fast adverts finds that the other one is master again.
	handedPause = 20 * time.Millisecond
	// grantMargin is how long before the end of its grant a master lets go.
	grantMargin = time.Second
	// kernelLate is what the kernel may be late in ending a lease (0.77 s were measured).
	kernelLate = 800 * time.Millisecond
	// witnessTTL is that of a grant where the configuration says nothing.
	witnessTTL = 3 * time.Second
)

// grant is how an instance stands with the witness.
type grant struct {
	wanted bool
	id     uint64    // of the request under way; 0 for none
	asked  time.Time // when it was made
	until  time.Time // the end of the grant
	state  guard.GrantState
	text   string
	next   time.Time // the next request
	binds  bool      // without it this node lets go, and so must the kernel
	waived bool      // this node took over without it, since the silent peer is off
}

func (n *Node) grantTTL() time.Duration {
	if n.cfg.Guard.WitnessTTL > 0 {
		return n.cfg.Guard.WitnessTTL
	}
	return witnessTTL
}

// bound tells whether nothing is held without a grant.
func (n *Node) bound() bool { return n.cfg.Guard.OnWitnessLoss == guard.WitnessRelease }

// witnessLimit is how long an answer is waited for before the witness counts as out of reach: until the grant is renewed again.
func (n *Node) witnessLimit() time.Duration { return n.grantTTL() / 3 }

// cap is a lease of the kernel, from when it was confirmed on, that ends before the grant does. The kernel counts whole seconds, and 1 is
// the least: that is within the margin.
func (g *grant) cap(confirmed time.Time, lease time.Duration) time.Duration {
	if !g.binds || g.until.IsZero() || lease == 0 {
		return lease
	}
	return min(lease, max(g.until.Add(-grantMargin).Sub(confirmed).Truncate(time.Second), time.Second))
}

// rest is what the last advert leaves of a lease that is renewed after it without one: a grant that was renewed meanwhile may cover more.
func (i *instance) rest(lease time.Duration) time.Duration {
	if ahead := i.wished.Sub(i.spoken); i.guard.grant.binds && lease > 0 && ahead > 0 && !i.router.HandingOver() {
		return max((lease - ahead).Truncate(time.Second), time.Second)
	}
	return lease
}

// covers tells whether a lease that is confirmed now ends before the grant does, however late the kernel is.
func (g *grant) covers(confirmed time.Time) bool {
	return !g.binds || g.until.IsZero() || !confirmed.Add(time.Second+kernelLate).After(g.until)
}

// boundKeepAlive is when a lease that the grant cuts short is to be renewed without an advert; zero for never. Of whole seconds there may be
// one alone, which would end between two adverts. It never ends later than the lease that the last advert has confirmed.
func (n *Node) boundKeepAlive(i *instance) time.Time {
	g := &i.guard.grant
	if !g.binds || !i.holds || i.router.HandingOver() || i.unsent || !i.mute.IsZero() {
		return time.Time{}
	}
	whole := i.lease(n.cfg.Lone)
	due := i.wished.Add(renewal(i.lent))
	if i.lent >= whole || due.Add(i.lent).After(i.spoken.Add(whole)) || !g.covers(due) {
		return time.Time{}
	}
	return due
}

// grantOf is what the witness says of an instance.
func (n *Node) grantOf(now time.Time, i *instance) guard.Grant {
	g := &i.guard.grant
	switch {
	case n.cfg.Guard.Witness == "":
		return guard.Grant{}
	case now.Before(g.until):
		return guard.Grant{State: guard.GrantHeld, Text: n.cfg.Name}
	case g.state == guard.GrantNone || g.state == guard.GrantHeld:
		return guard.Grant{State: guard.GrantAsked}
	}
	return guard.Grant{State: g.state, Text: g.text, Binds: n.bound()}
}

// wishGrant asks for a grant as long as one is wanted.
func (n *Node) wishGrant(now time.Time, i *instance, want bool) {
	i.guard.grant.wanted = want
	n.tendGrant(now, i)
}

// tendGrant keeps the grant of an instance: it is asked for before a takeover, renewed while this node is master, and given back: in a
// hand-over before the addresses, for the peer needs it to take them.
func (n *Node) tendGrant(now time.Time, i *instance) {
	g := &i.guard.grant
	if n.cfg.Guard.Witness == "" {
		*g = grant{}
		return
	}
	if g.id != 0 && now.Sub(g.asked) >= n.witnessLimit() {
		n.witnessed(now, Witnessed{ID: g.id, Err: "no answer within " + n.witnessLimit().String()})
	}
	master := i.isMaster() && !i.router.HandingOver()
	g.wanted = g.wanted && i.router.Wants() != ""
	n.askAnew(i)
	g.binds = n.bound()
	g.waived = g.waived && master && g.until.IsZero()
	switch {
	case !master && !g.wanted:
		if !g.until.IsZero() {
			n.returnGrant(now, i)
		}
	case g.id == 0 && !now.Before(g.next):
		n.askWitness(now, i, WitnessAcquire)
	}
	if master && !now.Before(g.until.Add(-grantMargin)) {
		n.loseGrant(now, i)
	}
}

// returnGrant gives a grant back, so that another node can have it at once.
func (n *Node) returnGrant(now time.Time, i *instance) {
	g := &i.guard.grant
	g.until, g.state, g.next = time.Time{}, guard.GrantNone, time.Time{}
	n.askWitness(now, i, WitnessRelease)
	g.id = 0
}

// askAnew has a witness asked at once that has refused, where the master has resigned since: it has given the grant back.
func (n *Node) askAnew(i *instance) {
	g := &i.guard.grant
	if _, priority, last := i.router.Master(); g.wanted && g.id == 0 && g.state == guard.GrantRefused && priority == 0 && g.asked.Before(last) {
		g.state, g.next = guard.GrantNone, time.Time{}
	}
}

// loseGrant is a master without a grant: another one may have it. Where the witness cannot be reached, the configuration decides.
func (n *Node) loseGrant(now time.Time, i *instance) {
	g := &i.guard.grant
	switch {
	case g.state == guard.GrantRefused:
	case !g.binds, g.waived, g.until.IsZero() && g.state != guard.GrantUnreachable: // one that a former run has left is asked about first
		return
	}
	n.letGo(now, i, vrrp.Release{Reason: "the grant of the witness ends: " + g.text})
}

func (n *Node) askWitness(now time.Time, i *instance, action WitnessAction) {
	n.witnessAsks++
	g := &i.guard.grant
	g.id, g.asked = n.witnessAsks, now
	n.out.WitnessAsks = append(n.out.WitnessAsks, WitnessAsk{
		ID: g.id, Witness: n.cfg.Guard.Witness, Instance: i.cfg.Name, Action: action, TTL: n.grantTTL(),
	})
}

// witnessed takes an answer. The grant counts from the asking on.
func (n *Node) witnessed(now time.Time, in Witnessed) {
	for _, i := range n.instances {
		g := &i.guard.grant
		if g.id != in.ID || in.ID == 0 {
			continue
		}
		g.id, g.next = 0, now.Add(i.witnessPause())
		switch {
		case in.Err != "":
			g.state, g.text = guard.GrantUnreachable, in.Err
		case in.Granted:
			g.state, g.text, g.until, g.next = guard.GrantHeld, "", g.asked.Add(n.grantTTL()), g.asked.Add(n.grantTTL()/3)
		default:
			g.state, g.text = guard.GrantRefused, in.Holder+" holds it"
			g.until = time.Time{}
			if i.router.Cause(now) == vrrp.CauseResigned {
				g.next = now.Add(handedPause)
			}
		}
		n.touch(i)
	}
}

// grantDeadline is when the grant of an instance has to be looked after; zero for never.
func (n *Node) grantDeadline(i *instance) time.Time {
	g := &i.guard.grant
	if n.cfg.Guard.Witness == "" || !g.wanted && !i.isMaster() {
		return time.Time{}
	}
	if g.id != 0 {
		return g.asked.Add(n.witnessLimit())
	}
	due := g.next
	if end := g.until.Add(-grantMargin); end.After(n.at) {
		due = earlier(due, end)
	}
	return due
}
