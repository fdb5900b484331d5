package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// member is a router of a sync group in BACKUP at the instant 1000.
func member(priority uint8) *Router {
	r := NewRouter(Config{
		VRID: 51, Version: 3, Priority: priority, Interval: time.Second, Preempt: true, Gated: true,
		Source: netip.MustParseAddr("10.0.0.1"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")},
	})
	r.Step(time.Unix(1000, 0), Start{})
	return r
}

// hears gives it an advert of 10.0.0.2.
func hears(r *Router, now time.Time, priority uint8) Output {
	src := netip.MustParseAddr("10.0.0.2")
	a := Advert{Version: 3, VRID: 51, Priority: priority, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")}, Rule: ChecksumPseudo}
	group := Group(src)[0]
	return r.Step(now, Received{Header: Header{Source: src, Destination: group, TTL: 255}, Payload: a.Append(nil, src, group)})
}

func TestAMemberOfAGroupWaitsForIt(t *testing.T) {
	r, end := member(100), time.Unix(1010, 0)
	r.Step(r.Deadline(), Timeout{})
	if r.State() != Backup || r.Wants() == "" || !r.Deadline().IsZero() {
		t.Fatalf("at its time the member is %s, wants %q, deadline %v; want it to wait in BACKUP", r.State(), r.Wants(), r.Deadline())
	}
	if out := r.Step(end, Promote{}); r.State() != Master || len(out.Adverts) != 1 || !out.Announce {
		t.Errorf("after Promote it is %s with %d adverts, want MASTER that tells everybody", r.State(), len(out.Adverts))
	}
	out := r.Step(end, Withdraw{Reason: "the group"})
	if r.State() != Backup || len(out.Adverts) != 1 || out.Adverts[0].Priority != 0 || r.Wants() != "" {
		t.Errorf("after Withdraw it is %s, wants %q, sent %v; want BACKUP that has resigned", r.State(), r.Wants(), out.Adverts)
	}
}

// Where the winner announces before it advertises, nothing comes here any more.
func TestWhoYieldsHoldsTheAddressesUntilTheyAreAnnounced(t *testing.T) {
	for announced, holds := range map[bool]bool{false: true, true: false} {
		c := member(100).Config()
		c.Announced = announced
		r := NewRouter(c)
		r.Step(time.Unix(1000, 0), Start{})
		r.Step(r.Deadline(), Timeout{})
		r.Step(time.Unix(1010, 0), Promote{})
		hears(r, time.Unix(1010, 0), 150)
		if r.State() != Backup || r.Holds() != holds {
			t.Errorf("announced before: %v: it is %s and holds %v, want BACKUP and %v", announced, r.State(), r.Holds(), holds)
		}
	}
}

func TestAMemberThatHearsAMasterNoLongerWants(t *testing.T) {
	r := member(100)
	r.Step(r.Deadline(), Timeout{})
	hears(r, time.Unix(1010, 0), 50)
	if r.Wants() == "" {
		t.Errorf("a master of lower priority ended its wish")
	}
	hears(r, time.Unix(1010, 0), 150)
	if r.Wants() != "" || !r.Follows() || r.Deadline().IsZero() {
		t.Errorf("with a master of higher priority it wants %q, follows %v, deadline %v", r.Wants(), r.Follows(), r.Deadline())
	}
	if r.Step(time.Unix(1010, 0), Promote{}); r.State() != Backup {
		t.Errorf("Promote made a member %s that does not want to be", r.State())
	}
}

func TestTheOwnerInAGroupWaitsAsWell(t *testing.T) {
	if r := member(255); r.State() != Backup || r.Wants() == "" {
		t.Errorf("the owner is %s at its start and wants %q, want BACKUP that wants to be master", r.State(), r.Wants())
	}
}

func TestARouterThatLeavesItsGroupDoesWhatItWaitedFor(t *testing.T) {
	r := member(100)
	r.Step(r.Deadline(), Timeout{})
	c := r.Config()
	c.Gated = false
	now := time.Unix(1010, 0)
	r.Reconfigure(now, c)
	r.Step(now, Timeout{})
	if r.State() != Master {
		t.Errorf("it is %s, want MASTER", r.State())
	}
}

func TestARestrainedRouterStaysInHold(t *testing.T) {
	r, end := member(100), time.Unix(1010, 0)
	if r.Step(end, Restrain{Reason: "too early"}); r.State() != Backup {
		t.Fatalf("Restrain made a router %s that does not want to be master", r.State())
	}
	r.Step(end, Timeout{})
	r.Step(end, Timeout{}) // the first one is late
	out := r.Step(end.Add(time.Second), Timeout{})
	if out = r.Step(end.Add(time.Second), Restrain{Reason: "somebody may have it"}); !out.Changed || r.State() != Hold || r.Wants() == "" {
		t.Fatalf("after Restrain it is %s and wants %q, want HOLD that wants to be master", r.State(), r.Wants())
	}
	if out = r.Step(end.Add(time.Second), Restrain{Reason: "somebody has it"}); out.Changed || r.Reason() != "somebody has it" {
		t.Errorf("another reason is told as a change: %v, reason %q", out.Changed, r.Reason())
	}
	if hears(r, end.Add(time.Second), 50); r.State() != Hold || r.Cause(end.Add(time.Second)) != CauseRank {
		t.Errorf("a master of lower priority made it %s, cause %d; want HOLD, and rank for a cause", r.State(), r.Cause(end))
	}
	if out = r.Step(end.Add(2*time.Second), Promote{}); r.State() != Master || len(out.Adverts) != 1 {
		t.Errorf("after Promote it is %s, want MASTER", r.State())
	}
}

func TestAMasterOfHigherPriorityEndsHold(t *testing.T) {
	r, end := member(100), time.Unix(1003, 700_000_000)
	r.Step(r.Deadline(), Timeout{})
	r.Step(end, Restrain{Reason: "somebody may have it"})
	if hears(r, end, 150); r.State() != Backup || !r.Follows() || r.Wants() != "" {
		t.Errorf("it is %s, follows %v, wants %q; want BACKUP that follows", r.State(), r.Follows(), r.Wants())
	}
}

func TestSilenceIsSuspiciousAfterOneAndAHalfIntervals(t *testing.T) {
	r, now := member(100), time.Unix(1001, 0)
	hears(r, now, 150)
	if got := r.Suspect().Sub(now); got != 1500*time.Millisecond {
		t.Errorf("suspect %v after an advert, want 1.5s", got)
	}
	if hears(r, now, 0); r.Suspect().After(now) || r.Cause(now) != CauseResigned {
		t.Errorf("suspect %v after a resignation, cause %d; want at once, and resigned", r.Suspect().Sub(now), r.Cause(now))
	}
	r.Step(r.Deadline(), Timeout{})
	if !r.Suspect().IsZero() {
		t.Errorf("suspect at %v though its time has come", r.Suspect())
	}
}

// chief is a master at the instant 1005.
func chief(t *testing.T) (*Router, time.Time) {
	r, now := member(100), time.Unix(1005, 0)
	r.Step(r.Deadline(), Timeout{})
	if r.Step(now, Promote{}); r.State() != Master {
		t.Fatalf("it is %s, want MASTER", r.State())
	}
	return r, now
}

func TestAMasterReleasesAtOnce(t *testing.T) {
	r, now := chief(t)
	out := r.Step(now, Release{Reason: "cut off"})
	if r.State() != Backup || r.Holds() || len(out.Adverts) != 1 || out.Adverts[0].Priority != 0 {
		t.Errorf("it is %s, holds %v, sent %v; want BACKUP that holds nothing and has resigned", r.State(), r.Holds(), out.Adverts)
	}
	if out = r.Step(now, Release{Reason: "again"}); out.Changed || len(out.Adverts) > 0 {
		t.Errorf("in BACKUP it did something: %+v", out)
	}
}

func TestAHandoverEndsWhereTheNextMasterIsHeardOtherwise(t *testing.T) {
	r, now := chief(t)
	peer := Taken{Peer: netip.MustParseAddr("192.0.2.9"), Priority: 200}
	if r.Step(now, peer); r.State() != Master {
		t.Errorf("without a hand-over it is %s", r.State())
	}
	r.Step(now, Handover{})
	r.Step(r.Deadline(), Timeout{})
	out := r.Step(now.Add(200*time.Millisecond), peer)
	if r.State() != Backup || out.Handover == nil || !out.Handover.OK || out.Handover.Peer != peer.Peer {
		t.Fatalf("it is %s, result %+v", r.State(), out.Handover)
	}
	if !r.Holds() || r.Suspect().Before(now.Add(time.Second)) {
		t.Errorf("holds the VIPs at first: %v; suspects the new master %v later", r.Holds(), r.Suspect().Sub(now))
	}
	if r.Step(now.Add(260*time.Millisecond), Timeout{}); r.Holds() {
		t.Error("it goes on to hold the VIPs")
	}
}

func TestAMasterResistsForAFewIntervals(t *testing.T) {
	r, now := chief(t)
	r.Step(now, Resist{On: true})
	for k := range resistLimit {
		now = now.Add(time.Second)
		r.Step(now, Timeout{})
		if hears(r, now, 150); k > 0 && r.State() != Master { // counted from the first
			t.Fatalf("after %d adverts of higher priority it is %s, want MASTER", k+1, r.State())
		}
	}
	if v := r.Rival(now); v.Addr.String() != "10.0.0.2" || v.Priority != 150 || now.Sub(v.Since) != 2*time.Second {
		t.Errorf("the rival is %v with priority %d for %v, want 10.0.0.2 with 150 for 2s", v.Addr, v.Priority, now.Sub(v.Since))
	}
	now = now.Add(time.Second)
	r.Step(now, Timeout{})
	if hears(r, now, 150); r.State() != Backup {
		t.Errorf("after %d intervals it is %s, want BACKUP: two masters are worse than a needless move", resistLimit, r.State())
	}
}

func TestARivalIsForgottenWhenItFallsSilent(t *testing.T) {
	r, now := chief(t)
	hears(r, now, 50)
	for range 4 {
		now = now.Add(time.Second)
		r.Step(now, Timeout{})
	}
	if v := r.Rival(now); v.Addr.IsValid() {
		t.Errorf("the rival is %v after 4 s of silence, want none", v.Addr)
	}
}
