package guard

import (
	"testing"
	"time"
)

// pick takes one of a few values off a number.
func pick[T any](n *uint64, of ...T) T {
	v := of[*n%uint64(len(of))]
	*n /= uint64(len(of))
	return v
}

func evidence(n uint64, waited time.Duration) Evidence {
	e := Evidence{
		Cut:        pick(&n, "", "", "eth0 is down"),
		References: pick(&n, VoiceNone, VoiceAsked, VoiceHeard, VoiceSilent),
		Claim:      pick(&n, ClaimSilence, ClaimResigned, ClaimRank),
		Peer: Peer{
			Heard: pick(&n, VoiceNone, VoiceHeard, VoiceSilent), Name: "lb1", Silent: pick(&n, "", "lb3"), Master: pick(&n, true, false),
			Isolated: pick(&n, true, false), Outranked: pick(&n, true, false), Ignored: pick(&n, 0, AskLimit),
		},
		VIP:           Answerer{Who: pick(&n, WhoUnprobed, WhoAsked, WhoNobody, WhoPeer, WhoServer, WhoStranger)},
		PeerLease:     pick(&n, 0, 3*time.Second, time.Minute),
		OnHoldExpired: pick(&n, "", HoldOn, HoldFence, HoldTakeover),
		Mode:          pick(&n, "", FencingOff, FencingBestEffort, FencingRequired),
		Witness:       Grant{State: pick(&n, GrantNone, GrantAsked, GrantHeld, GrantRefused, GrantUnreachable), Binds: pick(&n, true, false)},
		Waited:        waited,
	}
	e.Fence.State = pick(&n, FenceNone, FenceWaiting, FenceRunning, FenceConfirmed, FenceFailed, FenceBlocked, FenceRehearsed)
	e.Cleared = e.Mode == "" || e.Mode == FencingOff || e.Fence.State == FenceConfirmed || e.Mode == FencingBestEffort && pick(&n, true, false)
	return e
}

// Whatever is known: who is cut off takes nothing, nor does anybody from a healthy master, nor before a fencing that is required.
func FuzzNobodyTakesWhatMayHaveAnOwner(f *testing.F) {
	for n := range uint64(64) {
		f.Add(n*0x9e3779b97f4a7c15, int64(n)*int64(time.Second)/4)
	}
	f.Fuzz(func(t *testing.T, n uint64, waited int64) {
		e := evidence(n, time.Duration(max(waited, 0)))
		v := Decide(e)
		master := e.Peer.Heard == VoiceHeard && e.Peer.Master && e.Claim == ClaimSilence
		inert := v.Decision == Isolated || v.Decision == Hold || v.Decision == Blocked || v.Decision == Wait
		switch cut := e.Cut != "" || e.References == VoiceSilent || e.References == VoiceAsked; {
		case v.Decision != Take && !inert || v.Reason == "" || v.Row < RowElection || v.Row > RowFenceFailed:
			t.Errorf("%+v: %+v is no verdict", e, v)
		case cut && (!inert || v.Fence != ""):
			t.Errorf("%+v: cut off, and %+v", e, v)
		case master && (v.Decision == Take || v.Fence != ""):
			t.Errorf("%+v: the peer is master, and %+v", e, v)
		case v.Decision == Take && v.Row == RowWedged && e.Waited < e.PeerLease+DeadMan:
			t.Errorf("%+v: the peer's lease may still run, and %+v", e, v)
		case v.Decision == Take && v.Row >= RowWedged && e.Mode == FencingRequired && e.Fence.State != FenceConfirmed && e.Witness.State != GrantHeld:
			t.Errorf("%+v: fencing is required, and %+v", e, v)
		case v.Decision == Take && e.Witness.State == GrantRefused && e.Fence.State != FenceConfirmed:
			t.Errorf("%+v: the witness refuses, and %+v", e, v)
		case v.Decision == Take && e.Witness.Binds && e.Witness.State == GrantUnreachable && e.Fence.State != FenceConfirmed:
			t.Errorf("%+v: the witness binds, and %+v", e, v)
		case v.Fence != "" && (e.mode() == FencingOff && e.OnHoldExpired != HoldFence):
			t.Errorf("%+v: fencing is off, and %+v", e, v)
		}
	})
}
