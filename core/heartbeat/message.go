// Package heartbeat is what the members of a pair tell each other beside VRRP, over every path that they share: who is master of
// what, who holds the addresses, what each of them sees. It is a codec: it sends nothing, judges nothing and knows no clock.
package heartbeat

import "net/netip"

// Message is what one member says at one instant. It is small: what a pair with many instances says goes out in several messages,
// each with a part of them.
type Message struct {
	// Node is the name of the sender.
	Node string
	// Boot is chosen at random by each run, and Seq counts the messages of a run on all paths, from 1 on. A message whose Seq is not
	// above the last one of its Boot is old.
	Boot, Seq uint64
	// Echo is the Seq of the message heard last from the receiver, and EchoDelay how long ago that was: for the round-trip time. Zero
	// where none was heard.
	Echo      uint64
	EchoDelay uint32 // in microseconds
	// Version of the program, ConfigHash of its configuration.
	Version, ConfigHash string
	// Flags of the node as a whole.
	Flags Flags
	// Instances are those of this part.
	Instances []Instance
	// Attributes are what the configuration says that must be the same on all members, as name and value. They are in a message now
	// and then, and while the hashes differ.
	Attributes []Attribute
}

// Flags of a node.
type Flags uint8

// The flags.
const (
	// Isolated: none of the references answers, or the link is down.
	Isolated Flags = 1 << iota
	// Maintenance: an operator, or the return after fencing, keeps the node from becoming master.
	Maintenance
	// Stopping: the daemon is about to end.
	Stopping
	// HearsYou: the sender has heard the receiver over some path within the last beats.
	HearsYou
	// Urgent: the sender is about to decide, and asks for a message at once.
	Urgent
	// FencedYou: the sender has had the receiver fenced, and has not heard yet that it knows.
	FencedYou
)

// Instance is one virtual router of the sender.
type Instance struct {
	// Name of it; Interface, VRID and IPv6 identify it on the wire.
	Name string
	VRID uint8
	IPv6 bool
	// State is the state as in vrrp.State: INIT, BACKUP, MASTER, FAULT, HOLD, by its number there.
	State uint8
	// Holds tells whether the addresses are on the sender's interfaces.
	Holds bool
	// Priority is the effective one.
	Priority uint8
	// Epoch of the ownership: it grows with each takeover of any member.
	Epoch uint64
	// HearsMaster tells whether adverts of a master are heard, or, in MASTER, whether adverts were really sent.
	HearsMaster bool
	// Source is the address that its adverts come from, by which equal priorities are told apart; invalid for unknown.
	Source netip.Addr
	// Claims tells that the sender asks the receiver, which is MASTER and should not be, to let go.
	Claims bool
}

// Attribute is one value of the configuration.
type Attribute struct{ Name, Value string }

// Path is one way to another member.
type Path struct {
	// Name of it, unique in its node; "address" is the one of the block node itself.
	Name string
	// Address of the member there.
	Address netip.Addr
	// Interface that leads there; empty for what the routing table says.
	Interface string
	// Routed tells that routers are between, so that the hop limit proves nothing.
	Routed bool
}
