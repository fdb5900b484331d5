package guard

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// Row of the table of evidence. The numbers are stable; 0 is an election that needs no evidence.
type Row int

// The rows.
const (
	// RowElection: the master is heard, and of lower rank.
	RowElection Row = iota
	// RowIsolated: this node is the one that is cut off.
	RowIsolated
	// RowMaster: the peer is alive, and master: its adverts do not come through.
	RowMaster
	// RowFailing: the peer is alive and master, and should not be.
	RowFailing
	// RowFree: the master has resigned, or the peer says that it is none.
	RowFree
	// RowWedged: the peer is silent and still answers for a VIP.
	RowWedged
	// RowStranger: the peer is silent, and somebody else answers for a VIP.
	RowStranger
	// RowDead: the peer is silent and nobody answers.
	RowDead
	// RowUnprobed: as RowDead, and the VIPs cannot be asked for.
	RowUnprobed
	// RowFenceFailed: the takeover needs a fencing, and it has failed.
	RowFenceFailed
)

// Rows is how many there are.
const Rows = int(RowFenceFailed) + 1

// Name of the row, in one word, for machines.
func (r Row) Name() string {
	names := [Rows]string{
		"election", "isolated", "master", "failing", "free", "wedged", "stranger", "dead", "unprobed", "fence_failed",
	}
	if r < 0 || int(r) >= Rows {
		return "row_" + strconv.Itoa(int(r))
	}
	return names[r]
}

// Explain says in one sentence what the row is.
func (r Row) Explain() string {
	switch r {
	case RowElection:
		return "the master is heard and has the lower priority"
	case RowIsolated:
		return "this node is cut off: its link is down, or none of its references answers"
	case RowMaster:
		return "the peer is alive and says that it is MASTER; only its adverts do not come through"
	case RowFailing:
		return "the peer is alive and MASTER, and is isolated or has the lower priority"
	case RowFree:
		return "the master has resigned, or the peer says that it is not MASTER"
	case RowWedged:
		return "the peer is silent, and still answers for the VIP"
	case RowStranger:
		return "the peer is silent, and a machine that is not the peer answers for the VIP"
	case RowDead:
		return "the peer is silent, and nobody answers for the VIP"
	case RowUnprobed:
		return "the peer is silent, and the VIP cannot be asked for"
	case RowFenceFailed:
		return "the takeover needs the peer fenced, and that has failed or is not allowed now"
	}
	return "row " + strconv.Itoa(int(r))
}

// Decision is what a router that would be master does.
type Decision string

// The decisions.
const (
	// Take over now.
	Take Decision = "take"
	// Wait for evidence that is about to come.
	Wait Decision = "wait"
	// Hold until the evidence changes.
	Hold Decision = "hold"
	// Isolated is Hold because this node is cut off.
	Isolated Decision = "isolated"
	// Blocked is Hold because a fencing or a grant is missing that a takeover needs.
	Blocked Decision = "blocked"
)

// Verdict is what follows from the evidence.
type Verdict struct {
	Row      Row
	Decision Decision
	// Reason says why, in the operator's words.
	Reason string
	// Fence is why the silent members should be off; empty for no such wish.
	Fence string
	// AskWitness wishes the witness's grant, Ask that the peer is asked to let go, by heartbeats, and Call the same by adverts; Defend wishes
	// that the VIPs are announced again.
	AskWitness, Ask, Call, Defend bool
	// Until is when waiting ends, from the beginning of the wait on; 0 where it is not known.
	Until time.Duration
}

// The times of the table.
const (
	// DeadMan is added to the lease of a silent peer: its kernel's lateness in ending it (0.8 s were measured).
	DeadMan = time.Second
	// AskLimit is how long a peer that should let go is asked to, before its silence is a reason to hold, or to call on it by adverts.
	AskLimit = 2 * time.Second
)

// Decide is the table.
func Decide(e Evidence) Verdict {
	switch {
	case e.Cut != "":
		return Verdict{Row: RowIsolated, Decision: Isolated, Reason: e.Cut}
	case e.References == VoiceSilent:
		return Verdict{Row: RowIsolated, Decision: Isolated, Reason: "none of the references answers: this node is the one that is cut off"}
	case e.References == VoiceAsked:
		return Verdict{Row: RowIsolated, Decision: Wait, Reason: "waits for an answer of a reference"}
	case e.Claim == ClaimRank:
		return e.granted(Verdict{Row: RowElection, Decision: Take, Reason: RowElection.Explain()})
	case e.Claim == ClaimResigned:
		return e.granted(Verdict{Row: RowFree, Decision: Take, Reason: "the master has resigned"})
	case e.Peer.Heard == VoiceHeard && e.Peer.Master:
		return e.masterAlive()
	case e.Peer.Heard == VoiceHeard && e.Peer.Silent == "":
		return e.granted(Verdict{Row: RowFree, Decision: Take, Reason: e.Peer.Name + " says that it is not MASTER"})
	}
	return e.silent()
}

// masterAlive is rows 2 and 3.
func (e Evidence) masterAlive() Verdict {
	why := ""
	switch p := e.Peer; {
	case p.Isolated:
		why = p.Name + " is MASTER and isolated"
	case p.Outranked:
		why = p.Name + " is MASTER with the lower priority"
	default:
		return Verdict{
			Row: RowMaster, Decision: Hold,
			Reason: p.Name + " is alive and says that it is MASTER, but its adverts do not come; look for what drops IP protocol 112 between the nodes",
		}
	}
	if e.Peer.Ignored >= AskLimit {
		return Verdict{Row: RowFailing, Decision: Hold, Ask: true, Reason: why + ", and does not let go though it was asked to"}
	}
	return Verdict{Row: RowFailing, Decision: Wait, Ask: true, Reason: why + "; it was asked to let go"}
}

// silent is rows 5 to 9: nobody speaks for the instance.
func (e Evidence) silent() Verdict {
	who := cmp.Or(e.Peer.Silent, "the peer")
	switch e.VIP.Who {
	case WhoAsked:
		return Verdict{Row: RowDead, Decision: Wait, Reason: "asks who answers for the VIP"}
	case WhoPeer:
		return e.wedged(who)
	case WhoServer, WhoStranger:
		reason := fmt.Sprintf("%s is silent, and %s", who, e.VIP.Text)
		return e.fenced(Verdict{Row: RowStranger, Decision: Take, Defend: true, Reason: reason})
	case WhoUnprobed:
		return e.fenced(Verdict{Row: RowUnprobed, Decision: Take, Reason: who + " is silent"})
	case WhoNobody:
	}
	return e.fenced(Verdict{Row: RowDead, Decision: Take, Reason: who + " is silent, and nobody answers for the VIP"})
}

// wedged is row 5. A daemon that died or hangs loses its addresses by the kernel's hand; one without leases keeps them, and what it
// forwards still works, while two owners would break it for sure.
func (e Evidence) wedged(who string) Verdict {
	v := Verdict{Row: RowWedged, Decision: Hold, Reason: who + " is silent, and " + e.VIP.Text}
	if until := e.PeerLease + DeadMan; e.Waited < until {
		v.Decision, v.Until = Wait, until
		v.Reason += "; waits for the end of its lease"
		return v
	}
	end := e.OnHoldExpired
	if e.mode() != FencingOff {
		end = HoldFence
	}
	switch end {
	case HoldTakeover:
		v.Decision, v.Defend = Take, true
		return e.granted(v)
	case HoldFence:
		v.Fence = v.Reason
		if e.Cleared && e.mode() != FencingOff {
			v.Decision, v.Defend = Take, true
			return e.granted(v)
		}
		return e.blocked(v)
	case HoldOn:
	}
	v.Reason += " though its lease is over; two owners would be worse: stop it, or switch it off"
	return v
}

// fenced lets a takeover from silent members wait for what the mode demands: in the mode best_effort for nothing, in the mode required
// for the fencing or for the witness's grant; where somebody answers for the VIP, for the fencing.
func (e Evidence) fenced(v Verdict) Verdict {
	if e.mode() == FencingOff {
		return e.granted(v)
	}
	v.Fence = v.Reason
	switch {
	case e.mode() == FencingBestEffort, e.Fence.State == FenceConfirmed:
		return e.granted(v)
	case v.Row != RowStranger && e.Witness.State == GrantHeld:
		return v
	}
	v.AskWitness = v.Row != RowStranger && e.Witness.State != GrantNone
	v.Defend = false
	return e.blocked(v)
}

// blocked says how far the fencing is that the takeover waits for.
func (e Evidence) blocked(v Verdict) Verdict {
	switch e.Fence.State {
	case FenceFailed, FenceBlocked:
		v.Row, v.Decision = RowFenceFailed, Blocked
		v.Reason += "; fencing: " + e.Fence.Reason
	case FenceNone, FenceWaiting, FenceRunning, FenceConfirmed, FenceRehearsed, "":
		v.Decision = Wait
		v.Reason += "; waits until it is fenced"
	}
	return v
}

func (e Evidence) mode() FencingMode { return cmp.Or(e.Mode, FencingOff) }

// granted lets a takeover wait for the witness, where there is one.
func (e Evidence) granted(v Verdict) Verdict {
	g := e.Witness
	v.AskWitness = g.State != GrantNone
	switch g.State {
	case GrantNone, GrantHeld:
	case GrantUnreachable:
		if g.Binds && e.Fence.State != FenceConfirmed {
			v.Decision, v.Reason = Hold, v.Reason+`; the witness does not answer, and with on_witness_loss = "release" nothing is taken without its grant: `+g.Text
		}
	case GrantAsked:
		v.Decision, v.Reason = Wait, v.Reason+"; waits for the witness"
	case GrantRefused:
		v.Decision, v.Reason = Hold, v.Reason+"; the witness refuses: "+g.Text
		v.Ask = v.Row == RowElection
		v.Call = v.Ask && !e.Peer.Master && e.Peer.Ignored >= AskLimit // nobody hears it ask
	}
	return v
}
