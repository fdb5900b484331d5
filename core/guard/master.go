package guard

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"
)

// Tenure is what is known while this node is master of an instance.
type Tenure struct {
	// References are the addresses that prove that this node is not cut off; Configured is how many there are to ask.
	References Voice
	Configured int
	// Heard is VoiceHeard while another member is alive, as in [Peer]; the rest of the members' words is about that one.
	Heard Voice
	Name  string
	// Reaches tells that it reaches its references, Eligible that it may become master: it is neither in FAULT nor in maintenance.
	Reaches, Eligible bool
	// Master tells that the peer says that it is MASTER as well, Rival for how long it has. Parted tells that the two were when they
	// heard each other again: there is no hand-over between them that has to come to its end.
	Master bool
	Rival  time.Duration
	Parted bool
	// Own and Other are the two claims.
	Own, Other Owner
	// Preempt tells that rank decides between two masters; else the newer ownership does.
	Preempt bool
	// Interval between the adverts.
	Interval time.Duration
	// Asked tells that the peer asks this node to let go. Outranked, that the peer has the higher priority and would preempt.
	Asked, Outranked bool
}

// Stay is whether a master stays.
type Stay string

// What a master does.
const (
	// Keep on.
	Keep Stay = "keep"
	// HandOver to the peer, which is there: drop the addresses and say so.
	HandOver Stay = "hand over"
	// Release the addresses, whoever takes them.
	Release Stay = "release"
	// KeepAlone on, though nothing can be reached: what is out of order is more likely the reference.
	KeepAlone Stay = "keep alone"
)

// Judge is what a master does, and why; the reason is empty for Keep.
func Judge(t Tenure) (Stay, string) {
	alive := t.Heard == VoiceHeard
	two := alive && t.Master && (t.Parted || t.Rival >= max(t.Interval, leastRival))
	switch lost := t.References == VoiceSilent; {
	case two && t.Own.Less(t.Other, !t.Preempt):
		return Release, fmt.Sprintf("%s is MASTER as well and has the better claim (%s)", t.Name, t.Other.over(t.Own, !t.Preempt))
	case lost && two && t.Reaches:
		return Release, fmt.Sprintf("none of the references answers here, and %s reaches them and is MASTER: nobody hears this node", t.Name)
	case lost && alive && t.Reaches && t.Eligible:
		return HandOver, fmt.Sprintf("none of the references answers here, and %s reaches them", t.Name)
	case lost && alive && t.Reaches:
		return KeepAlone, fmt.Sprintf("none of the references answers here; %s reaches them and cannot take over", t.Name)
	case lost && alive:
		return KeepAlone, fmt.Sprintf("none of the references answers, and %s does not reach them either: they are down, not this node", t.Name)
	case lost && t.Heard == VoiceSilent && t.Configured >= 2:
		return Release, fmt.Sprintf("none of the %d references answers, and no peer is heard: this node is cut off", t.Configured)
	case lost:
		return KeepAlone, "none of the references answers, and no peer is heard that could say more"
	case t.Asked && alive && t.Outranked && t.Eligible:
		return HandOver, t.Name + " asks for it and has the higher priority"
	}
	return Keep, ""
}

// leastRival is how long the claims of two masters stand against each other at the least: shorter is a hand-over that is under way.
const leastRival = 200 * time.Millisecond

// Owner is one of two masters. The better claim is the greater one.
type Owner struct {
	// Epoch of the ownership, where it is known of both.
	Epoch uint64
	// Priority is the effective one.
	Priority uint8
	// Source of the adverts: of equal priorities the greater address wins (RFC 9568 section 6.4.3), here as on the wire. Name of the
	// node, for a tie that both must see alike where one of the addresses is not known or both are the same.
	Source netip.Addr
	Name   string
}

// Less tells whether o has to let go for p. byEpoch has the newer ownership win, whatever the priorities.
func (o Owner) Less(p Owner, byEpoch bool) bool {
	order := 0
	if byEpoch && o.Epoch > 0 && p.Epoch > 0 {
		order = cmp.Compare(o.Epoch, p.Epoch)
	}
	return cmp.Or(order, cmp.Compare(o.Priority, p.Priority), o.bySource(p), cmp.Compare(o.Name, p.Name)) < 0
}

func (o Owner) bySource(p Owner) int {
	if !o.Source.IsValid() || !p.Source.IsValid() {
		return 0
	}
	return o.Source.Compare(p.Source)
}

// over says in words why o is better than p.
func (o Owner) over(p Owner, byEpoch bool) string {
	switch {
	case byEpoch && o.Epoch > 0 && p.Epoch > 0 && o.Epoch != p.Epoch:
		return fmt.Sprintf("its ownership is the newer one: epoch %d against %d", o.Epoch, p.Epoch)
	case o.Priority != p.Priority:
		return fmt.Sprintf("priority %d against %d", o.Priority, p.Priority)
	}
	if o.bySource(p) != 0 {
		return fmt.Sprintf("the same priority, and the higher address: %v against %v", o.Source, p.Source)
	}
	return "the same priority, and the greater name"
}
