package node

import (
	"strings"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

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
			if !m.met.IsZero() || m.fence.Mode() == guard.FencingRequired { // one that never speaks may be of another make, or hold the VIPs
				silent = append(silent, m.cfg.Name)
				if p.Heard == guard.VoiceNone && !m.met.IsZero() {
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

func (m *member) isolated() bool { return m.flags&heartbeat.Isolated != 0 }

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

// answerer is who answers for the VIPs, to the latest questions.
func (n *Node) answerer(now time.Time, i *instance) guard.Answerer {
	g := &i.guard
	found, asked, open := guard.Answerer{Who: guard.WhoUnprobed}, false, false
	for _, a := range i.cfg.Addresses {
		k := n.known[i.watchOf(a)]
		if k == nil || k.mute != "" {
			continue
		}
		asked = true
		if !i.answered(k) {
			open = open || k.open.IsZero() || now.Sub(latest(k.open, g.suspected)) < answerTime
			continue
		}
		if who := n.identify(i, k); found.Who == guard.WhoUnprobed || who.Who == guard.WhoPeer {
			found = who
		}
	}
	switch {
	case !asked || found.Who != guard.WhoUnprobed:
		return found
	case g.asked == 0 || open:
		return guard.Answerer{Who: guard.WhoAsked}
	}
	return guard.Answerer{Who: guard.WhoNobody}
}

// answered tells whether an answer has come to one of the latest questions.
func (i *instance) answered(k *known) bool {
	from := i.guard.rounds[0]
	return !k.answers.IsZero() && !k.answers.Before(latest(from, i.guard.suspected))
}

// watchOf is where a VIP is asked for: not on the interface of a virtual MAC address, which is down while this node is no master.
func (i *instance) watchOf(a VirtualAddress) desired.Watch {
	w := desired.Watch{Interface: a.Interface, Address: a.Prefix.Addr()}
	if w.Interface == i.cfg.VMAC && i.cfg.VMAC != "" {
		w.Interface = i.cfg.Interface
	}
	return w
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
