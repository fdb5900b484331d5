package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// member is a router of a sync group in BACKUP at the instant 1000.
func member(priority uint8) *Router {
	r := NewRouter(Config{
		VRID: 51, Version: 3, Priority: priority, Interval: time.Second, Preempt: true, Sync: true,
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
	return r.Step(now, Received{Header{Source: src, Destination: group, TTL: 255}, a.Append(nil, src, group)})
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
	c.Sync = false
	now := time.Unix(1010, 0)
	r.Reconfigure(now, c)
	r.Step(now, Timeout{})
	if r.State() != Master {
		t.Errorf("it is %s, want MASTER", r.State())
	}
}
