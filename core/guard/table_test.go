package guard

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTheTable(t *testing.T) {
	alive := Peer{Heard: VoiceHeard, Name: "lb1"}
	master := Peer{Heard: VoiceHeard, Name: "lb1", Master: true}
	dead := Peer{Heard: VoiceSilent, Silent: "lb1"}
	silent := func(who Who) Evidence {
		return Evidence{References: VoiceHeard, Claim: ClaimSilence, Peer: dead, VIP: Answerer{Who: who, Text: "02:00:00:00:00:01 answers for 10.0.0.100"}, PeerLease: 3 * time.Second}
	}
	with := func(e Evidence, edit func(*Evidence)) Evidence { edit(&e); return e }
	late := func(e *Evidence) { e.Waited = 4 * time.Second }
	unbound := func(e *Evidence) { e.Witness = Grant{State: GrantUnreachable, Binds: true} }
	confirmed := func(e *Evidence) { e.Fence.State, e.Cleared = FenceConfirmed, true }
	failed := func(e *Evidence) { e.Fence.State, e.Fence.Reason = FenceFailed, "no power switch answers" }
	type want struct{ off, bestEffort, required Decision }
	same := func(d Decision) want { return want{d, d, d} }
	for _, c := range []struct {
		name string
		in   Evidence
		row  Row
		want want
		says string
	}{
		{"nothing is known", Evidence{}, RowUnprobed, want{Take, Take, Wait}, "silent"},
		{"the link is down", with(silent(WhoNobody), func(e *Evidence) { e.Cut = "eth0 is down" }), RowIsolated, same(Isolated), "eth0 is down"},
		{"no reference answers", with(silent(WhoNobody), func(e *Evidence) { e.References = VoiceSilent }), RowIsolated, same(Isolated), "cut off"},
		{"no reference answers, and the master has resigned", Evidence{References: VoiceSilent, Claim: ClaimResigned}, RowIsolated, same(Isolated), ""},
		{"no reference has answered yet", with(silent(WhoNobody), func(e *Evidence) { e.References = VoiceAsked }), RowIsolated, same(Wait), "reference"},
		{"a master of lower rank is heard", Evidence{Claim: ClaimRank, Peer: master}, RowElection, same(Take), "lower priority"},
		{"the peer is master", Evidence{Claim: ClaimSilence, Peer: master}, RowMaster, same(Hold), "protocol 112"},
		{"the peer is master, and the VIP answers", with(silent(WhoPeer), func(e *Evidence) { e.Peer = master }), RowMaster, same(Hold), ""},
		{"the peer is master and isolated", Evidence{Peer: with(Evidence{Peer: master}, func(e *Evidence) { e.Peer.Isolated = true }).Peer}, RowFailing, same(Wait), "isolated"},
		{"the peer is master and has the lower priority", Evidence{Peer: with(Evidence{Peer: master}, func(e *Evidence) { e.Peer.Outranked = true }).Peer}, RowFailing, same(Wait), "asked to let go"},
		{"the peer does not let go", Evidence{Peer: with(Evidence{Peer: master}, func(e *Evidence) { e.Peer.Outranked, e.Peer.Ignored = true, AskLimit }).Peer}, RowFailing, same(Hold), "does not let go"},
		{"the peer is alive and no master", Evidence{Peer: alive, VIP: Answerer{Who: WhoPeer}}, RowFree, same(Take), "not MASTER"},
		{"the master resigned, and still answers", with(silent(WhoPeer), func(e *Evidence) { e.Claim = ClaimResigned }), RowFree, same(Take), "resigned"},
		{"one of two peers is alive and no master", with(silent(WhoNobody), func(e *Evidence) { e.Peer = Peer{Heard: VoiceHeard, Name: "lb1", Silent: "lb3"} }), RowDead, want{Take, Take, Wait}, "lb3 is silent"},
		{"a silent peer answers", silent(WhoPeer), RowWedged, same(Wait), "end of its lease"},
		{"a silent peer answers after its lease", with(silent(WhoPeer), late), RowWedged, want{Hold, Wait, Wait}, "02:00:00:00:00:01"},
		{"a silent peer answers and is off", with(with(silent(WhoPeer), late), confirmed), RowWedged, want{Hold, Take, Take}, ""},
		{"a silent peer answers, and fencing took too long", with(with(silent(WhoPeer), late), func(e *Evidence) { e.Cleared = e.Mode == FencingBestEffort }), RowWedged, want{Hold, Wait, Wait}, ""},
		{"a silent peer answers, and the hold ends in a takeover", with(with(silent(WhoPeer), late), func(e *Evidence) { e.OnHoldExpired = HoldTakeover }), RowWedged, want{Take, Wait, Wait}, ""},
		{"a real server answers", silent(WhoServer), RowStranger, want{Take, Take, Wait}, "02:00:00:00:00:01"},
		{"a stranger answers", silent(WhoStranger), RowStranger, want{Take, Take, Wait}, "02:00:00:00:00:01"},
		{"a stranger answers, and the peer is off", with(silent(WhoStranger), confirmed), RowStranger, same(Take), ""},
		{"a stranger answers, and the witness grants", with(silent(WhoStranger), func(e *Evidence) { e.Witness.State = GrantHeld }), RowStranger, want{Take, Take, Wait}, ""},
		{"nobody answers", silent(WhoNobody), RowDead, want{Take, Take, Wait}, "nobody answers"},
		{"nobody was asked long enough", silent(WhoAsked), RowDead, same(Wait), "asks who answers"},
		{"nobody answers, and the peer is off", with(silent(WhoNobody), confirmed), RowDead, same(Take), ""},
		{"nobody answers, and the witness grants", with(silent(WhoNobody), func(e *Evidence) { e.Witness.State = GrantHeld }), RowDead, same(Take), ""},
		{"nobody answers, and the witness is asked", with(silent(WhoNobody), func(e *Evidence) { e.Witness.State = GrantAsked }), RowDead, same(Wait), ""},
		{"nobody answers, and the witness refuses", with(silent(WhoNobody), func(e *Evidence) { e.Witness = Grant{State: GrantRefused, Text: "lb1 holds it"} }), RowDead, want{Hold, Hold, Wait}, ""},
		{"nobody answers, and the witness is away", with(silent(WhoNobody), func(e *Evidence) { e.Witness.State = GrantUnreachable }), RowDead, want{Take, Take, Wait}, ""},
		{"nobody answers, and the witness that binds is away", with(silent(WhoNobody), unbound), RowDead, want{Hold, Hold, Wait}, ""},
		{"the witness that binds is away, and the peer is off", with(with(silent(WhoNobody), unbound), confirmed), RowDead, same(Take), ""},
		{"the master has resigned, and the witness that binds is away", with(Evidence{Claim: ClaimResigned}, unbound), RowFree, same(Hold), "on_witness_loss"},
		{"the VIP cannot be asked for", silent(WhoUnprobed), RowUnprobed, want{Take, Take, Wait}, ""},
		{"fencing failed", with(silent(WhoNobody), failed), RowDead, want{Take, Take, Blocked}, ""},
	} {
		for mode, decision := range map[FencingMode]Decision{FencingOff: c.want.off, FencingBestEffort: c.want.bestEffort, FencingRequired: c.want.required} {
			t.Run(fmt.Sprintf("%s, fencing %s", c.name, mode), func(t *testing.T) {
				e := c.in
				e.Mode = mode
				v := Decide(e)
				row := c.row
				if decision == Blocked && e.Fence.State == FenceFailed {
					row = RowFenceFailed
				}
				if v.Decision != decision || v.Row != row {
					t.Errorf("Decide = row %d, %s (%s), want row %d, %s", v.Row, v.Decision, v.Reason, row, decision)
				}
				if !strings.Contains(v.Reason, c.says) {
					t.Errorf("the reason is %q, want it to say %q", v.Reason, c.says)
				}
				if silent := row >= RowWedged; v.Fence != "" && (!silent || mode == FencingOff) {
					t.Errorf("wishes fencing for %q", v.Fence)
				}
			})
		}
	}
}

func TestAMasterThatHearsNoQuestionIsCalledOn(t *testing.T) {
	for _, c := range []struct {
		name string
		peer Peer
		want bool
	}{
		{"at first it is only asked", Peer{}, false},
		{"it was asked for long, and is silent", Peer{Heard: VoiceSilent, Silent: "lb1", Ignored: AskLimit}, true},
		{"it is of another make", Peer{Ignored: AskLimit}, true},
		{"it hears, and does not obey", Peer{Heard: VoiceHeard, Name: "lb1", Master: true, Ignored: AskLimit}, false},
	} {
		e := Evidence{Claim: ClaimRank, Peer: c.peer, Witness: Grant{State: GrantRefused, Text: "lb1 holds it"}}
		if v := Decide(e); v.Decision != Hold || !v.Ask || v.Call != c.want {
			t.Errorf("%s: %+v, want HOLD that asks, and calls: %v", c.name, v, c.want)
		}
	}
}
