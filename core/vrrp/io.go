package vrrp

import (
	"net/netip"
	"time"
)

// Input is one thing that happened to a router: one of the types below.
type Input interface{ input() }

type (
	// Start begins the work. Adopt says that the addresses of a former run are still held, so that the router goes straight
	// to MASTER. Without a known source address the start is remembered until it is known.
	Start struct{ Adopt bool }
	// Stop ends it at once; a master resigns.
	Stop struct{}
	// Timeout says that the deadline has come. One that comes too early is ignored.
	Timeout struct{}
	// Received is one message from the network, valid or not. Payload is what follows the IP header, cut to the IP length; it
	// is not kept.
	// At is when it came, which may be before the step where this process was late; zero for the instant of the step.
	Received struct {
		Header  Header
		Payload []byte
		At      time.Time
	}
	// Priority changes the effective priority: 1 to 254, and 255 for the owner.
	Priority struct{ Effective uint8 }
	// Fail takes the router out of the election, into FAULT; a master resigns.
	Fail struct{ Reason string }
	// Recover ends FAULT. It is ignored in other states.
	Recover struct{}
	// Handover begins a planned hand-over: the peer takes over before this router lets go. With Stop the router ends after it,
	// whether or not a peer came; without, it stays master where none does. The result is [Output.Handover].
	Handover struct{ Stop bool }
	// Taken tells that another router has taken over, by other means than its advert, which may not come: it ends a planned hand-over as
	// the advert would. It is ignored otherwise.
	Taken struct {
		Peer     netip.Addr
		Priority uint8
	}
	// Promote makes a gated router master that wants to be. It is ignored otherwise.
	Promote struct{}
	// Restrain puts a gated router that wants to be master into HOLD, where it goes on to want it, or gives another reason there. A valid
	// advert ends it. It is ignored otherwise.
	Restrain struct{ Reason string }
	// Call has a gated router that wants to be master, and may not yet, advertise once as if it were: a master of lower rank then yields.
	// It is ignored otherwise.
	Call struct{}
	// Withdraw takes a master back to BACKUP because another member of its sync group is no longer master: it resigns. It is
	// ignored in other states. A planned hand-over goes on, and ends in BACKUP where no peer comes.
	Withdraw struct{ Reason string }
	// Defer has a master of lower priority left alone until an instant, as PreemptDelay does, by the owner as well. It delays nothing but
	// preemption.
	Defer struct{ Until time.Time }
	// Release takes a master back to BACKUP that must not go on: it resigns and lets the addresses go at once. It is ignored in other
	// states.
	Release struct{ Reason string }
	// Resist has a master not yield to adverts of higher rank for some intervals: its ownership may be the newer one. It answers them
	// as it answers those of lower rank.
	Resist struct{ On bool }
	// Alone tells that no other router is near that could take over: a master that was stopped for no longer than For goes on. 0 is for
	// not alone.
	Alone struct{ For time.Duration }
	// Slept says that the machine was suspended for a time that the instants do not show. It comes before anything else after it.
	Slept struct{ For time.Duration }
	// Source tells the primary address of the interface. An invalid one is ignored.
	Source struct{ Addr netip.Addr }
)

func (Start) input()    {}
func (Stop) input()     {}
func (Timeout) input()  {}
func (Received) input() {}
func (Priority) input() {}
func (Fail) input()     {}
func (Recover) input()  {}
func (Handover) input() {}
func (Source) input()   {}
func (Taken) input()    {}
func (Promote) input()  {}
func (Restrain) input() {}
func (Call) input()     {}
func (Withdraw) input() {}
func (Defer) input()    {}
func (Release) input()  {}
func (Resist) input()   {}
func (Slept) input()    {}
func (Alone) input()    {}

// Output is what follows from one input. Its slices are valid until the next call of a method with an instant.
type Output struct {
	// Adverts to send at once, in this order.
	Adverts []Advert
	// Changed tells that the state went from From to To, because of Reason.
	Changed  bool
	From, To State
	Reason   string
	// Announce asks for a new burst of gratuitous ARP or unsolicited neighbour advertisements of the addresses.
	Announce bool
	// Notes are what an operator should know.
	Notes []Note
	// Handover is the result of a planned hand-over that ended, else nil.
	Handover *HandoverResult
}

// Note is one observation about the network. A router gives at most one a minute of the same kind.
type Note struct {
	// Code names the kind for machines. The codes are stable; they are the constants below.
	Code string
	// Text says it for people.
	Text string
}

// The codes of notes.
const (
	// NoteInterval: a peer has another advert interval.
	NoteInterval = "interval-mismatch"
	// NoteAddresses: a peer advertises other addresses.
	NoteAddresses = "addresses-mismatch"
	// NoteOwners: two routers have priority 255.
	NoteOwners = "two-owners"
	// NoteLosing: a router of lower rank is master as well.
	NoteLosing = "losing-advert"
	// NoteSource: somebody sends from this router's own address.
	NoteSource = "duplicate-source"
	// NoteStalled: this process was stopped for so long that a peer may have taken over.
	NoteStalled = "stalled"
	// NoteClock: the clock of a peer that signs its adverts differs from the own one.
	NoteClock = "clock-skew"
	// NoteDiscarded: adverts of this virtual router are discarded.
	NoteDiscarded = "advert-discarded"
)

// HandoverResult is how a planned hand-over ended.
type HandoverResult struct {
	// OK tells that a peer took over.
	OK bool
	// Peer is its address, Took the time from the request to its first advert.
	Peer netip.Addr
	Took time.Duration
	// Reason says why it failed; empty when OK.
	Reason string
}

// Counters of one router, from 0 at its start.
type Counters struct {
	// Sent and Received count adverts, each once for all unicast peers; Received only valid ones.
	Sent, Received uint64
	// PriorityZeroSent and PriorityZeroReceived are the resignations among them.
	PriorityZeroSent, PriorityZeroReceived uint64
	// BecameMaster counts transitions to MASTER.
	BecameMaster uint64
	// Discarded counts messages that were not valid, by reason. A reason that never occurred is absent.
	Discarded map[Reason]uint64
}
