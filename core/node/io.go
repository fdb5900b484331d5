package node

import (
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// Input is one thing that happened to the node: one of the types below.
type Input interface{ input() }

type (
	// Received is one VRRP packet as it came from the network, not yet decoded.
	Received struct {
		// Interface that it came in on.
		Interface string
		Header    vrrp.Header
		// Payload is what follows the IP header, cut to the IP length.
		Payload []byte
		// At is when the kernel got it; zero for the instant of the step.
		At time.Time
	}
	// Receptions are several packets at once, in their order: cheaper than one by one.
	Receptions []Received
	// Backlog is what has arrived while this process was late, in its order: a deadline that has come meanwhile acts after all of it.
	Backlog []Input
	// Links is the whole state of the interfaces, by name. A later one replaces it.
	Links map[string]Link
	// Observed is one result of a check.
	Observed struct {
		// Check is the identifier in [Checker] or [ServerCheck]. An unknown one is ignored: its check has just been removed.
		Check string
		health.Observation
	}
	// Observations are several results at once, in their order: cheaper than one by one.
	Observations []Observed
	// Applied reports what the kernel holds after a try to apply a desired state.
	Applied struct {
		// Failed are the addresses that could not be added, with the reason.
		Failed map[desired.AddressKey]string
		// Repaired are the addresses that had been deleted or changed by somebody else, and are back.
		Repaired []desired.AddressKey
		// FailedRoutes are the routes and rules that could not be set, by their text, with the reason.
		FailedRoutes map[string]string
		// RepairedRoutes are the texts of those that had been deleted or changed by somebody else, and are back.
		RepairedRoutes []string
	}
	// ServicesApplied reports the same of IPVS.
	ServicesApplied struct {
		// Error is why the kernel could not be asked; empty when it was.
		Error string
		// Failed are the services that are not as they should be, with the reason.
		Failed map[desired.ServiceKey]string
		// Leaving are the real servers that nobody wishes for any more and that still have connections, sorted.
		Leaving []Leaving
		// Left are those that have left since the last report.
		Left []Left
		// Repaired says in words what had been changed by somebody else.
		Repaired []string
		// Sync is the daemon that exchanges connections, where the wished one runs; else it has no role.
		Sync desired.Sync
		// SyncError is why it does not; empty where it does, or there is to be none.
		SyncError string
		// Lacks says in words what the system lacks for the services to work, each with what mends it.
		Lacks []string
	}
	// Slept says that the machine was suspended for a time that the instants do not show: what this node was master of, a peer may
	// have taken over. It comes before anything else after it.
	Slept struct{ For time.Duration }
	// Timeout says that the deadline has come. Any other input may come at or after the deadline as well.
	Timeout struct{}
	// Told is an event from outside of the node, for example of a plugin: it takes its place among the node's own.
	Told struct{ Event event.Event }
	// Start begins the work.
	Start struct {
		// Held are the VIPs with a running lease that a former run has left in the kernel.
		Held []desired.AddressKey
		// Ages are how long ago the leases of those were last renewed. One that is not told may be as old as its lease is long.
		Ages map[desired.AddressKey]time.Duration
		// Leased are those VIPs whose fast lease still runs.
		Leased []netip.Addr
		// At is when the kernel was asked for all that; zero for the instant of the step.
		At time.Time
		// Marks are the numbers that signed adverts of a former run have used.
		Marks []Mark
		// Drains are the real servers that an operator had drained in a former run.
		Drains []Drained
		// Memory is that of a former run.
		Memory Memory
		// Verdicts are those of a former run, where they are young enough to be believed until the first results come.
		Verdicts []Verdict
	}
	// Stop ends it: hand over what this node owns. [Output.Stopped] tells when it is done.
	Stop struct{}
	// Beat is one heartbeat of another member, as it came over one path, not yet decoded.
	Beat struct {
		// Peer whose path it came by, and Path, as in [Peer].
		Peer, Path string
		Source     netip.Addr
		Payload    []byte
		// At is when the kernel got it; zero for the instant of the step.
		At time.Time
	}
	// BeatRefused says that the machine at the other end of a path answers that nobody listens on that UDP port.
	BeatRefused struct {
		// Peer whose path it is, and Path, as in [Peer].
		Peer, Path string
		Port       uint16
	}
	// Seen says that a machine other than this one answers for an address, or claims it: by ARP or neighbour discovery.
	Seen struct {
		Interface string
		Address   netip.Addr
		MAC       [6]byte
		// At is when the kernel got it; zero for the instant of the step.
		At time.Time
	}
	// Unasked says that an [Ask] could not be made, and why: then silence says nothing.
	Unasked struct {
		Interface string
		Address   netip.Addr
		Reason    string
	}
	// Unsent says that an advert could not be sent over an interface, and why. It comes before the next step.
	Unsent struct {
		Interface string
		Reason    string
	}
	// Fenced is the end of a [FenceOrder].
	Fenced struct {
		// Node and ID are those of the order.
		Node string
		ID   uint64
		guard.FenceResult
	}
	// Witnessed is the answer to a [WitnessAsk].
	Witnessed struct {
		ID uint64
		// Granted tells that this node may hold the instance for the time that was asked for, from the asking on.
		Granted bool
		// Holder is who has the grant, where known.
		Holder string
		// Err says why there is no answer; empty for one.
		Err string
	}
	// Confirm is an operator's word that a node is off: as good as a successful fencing. The result comes as an [Answer].
	Confirm struct {
		Node string
		ID   uint64
	}
	// Maintain has the node take no part in elections until it is told otherwise: what it owns is handed over. The result comes as an
	// [Answer].
	Maintain struct {
		On     bool
		Reason string
		// Force lets go also of what no peer takes over. Without it such a command fails, and nothing has changed.
		Force bool
		ID    uint64
	}
	// Failover asks for a planned hand-over of one instance or sync group, or of all that this node is master of where the name is
	// empty. The result comes as an [Answer].
	Failover struct {
		Instance string
		// ID comes back in the answer.
		ID uint64
	}
	// Drain takes a real server out: it gets no new connections, and keeps those that it has. The result comes as an [Answer].
	Drain struct {
		// Service and Server name it.
		Service string
		Server  netip.AddrPort
		// Undo puts it back instead.
		Undo bool
		// Force does it also where the service would go down without the server.
		Force bool
		// ID comes back in the answer.
		ID uint64
	}
)

// Leaving is a real server that is removed when its connections have ended, or at the instant Until.
type Leaving struct {
	Service desired.ServiceKey
	Server  netip.AddrPort
	Until   time.Time
}

// Left is a real server that was removed, with the connections that were still open then.
type Left struct {
	Service desired.ServiceKey
	Server  netip.AddrPort
	Open    uint32
}

func (Received) input()        {}
func (Receptions) input()      {}
func (Backlog) input()         {}
func (Links) input()           {}
func (Observed) input()        {}
func (Observations) input()    {}
func (Applied) input()         {}
func (ServicesApplied) input() {}
func (Timeout) input()         {}
func (Slept) input()           {}
func (Told) input()            {}
func (Start) input()           {}
func (Stop) input()            {}
func (Failover) input()        {}
func (Beat) input()            {}
func (BeatRefused) input()     {}
func (Seen) input()            {}
func (Unasked) input()         {}
func (Unsent) input()          {}
func (Fenced) input()          {}
func (Witnessed) input()       {}
func (Confirm) input()         {}
func (Maintain) input()        {}
func (Drain) input()           {}

// Link is the state of one interface.
type Link struct {
	// Index is the kernel's number of it. It changes when an interface is deleted and made again.
	Index int
	// Up is true while the interface is up by the administrator and has carrier.
	Up bool
	// Addresses of the interface, the primary ones first, those with a running lease of ours left out.
	Addresses []netip.Prefix
	// Gateways are the default gateways that are reached over it.
	Gateways []netip.Addr
}

// Output is what follows from one step. Its slices belong to the caller, but for Adverts.
type Output struct {
	// Adverts to send at once, in this order, before anything else is done. The list is overwritten by the next step, the payloads
	// are not.
	Adverts []Advert
	// FastLeases are all fast leases, to be applied at once and not changed; nil where they are as before. They are apart
	// from Desired because they are renewed with each advert. Those of VIPs that were let go stay until these are gone; after
	// [Output.Stopped] there are none.
	FastLeases []desired.FastLease
	// Desired is the rest of the wish, all of it, or nil where it is as before.
	Desired *desired.State
	// Events that happened, in order.
	Events []event.Event
	// Answers to commands.
	Answers []Answer
	// Beats are heartbeats to send over paths to other members, after the adverts.
	Beats []BeatTo
	// Asks are questions to the network: who answers for an address. What comes back is a [Seen]; silence is an answer as well.
	Asks []Ask
	// Fences are orders to fence a node. Each ends with a [Fenced].
	Fences []FenceOrder
	// WitnessAsks are questions to the witness. Each ends with a [Witnessed].
	WitnessAsks []WitnessAsk
	// Stopped tells that a [Stop] is done: Desired is empty, the last adverts are in Adverts.
	Stopped bool
}

// Advert is one packet to send.
type Advert struct {
	// Interface to send on.
	Interface string
	// MAC is the hardware address to send from; zero for that of the interface.
	MAC [6]byte
	// Source and Destination addresses. Destination is the multicast group or a unicast peer.
	Source, Destination netip.Addr
	// Payload is the VRRP message.
	Payload []byte
}

// BeatTo is one heartbeat to send.
type BeatTo struct {
	// Peer to send it to, and Path to send it by, as in [Peer].
	Peer, Path string
	Payload    []byte
}

// Ask has one ARP probe (RFC 5227 section 1.1, sender address 0) or neighbour solicitation sent for an address.
type Ask struct {
	Interface string
	Address   netip.Addr
}

// FenceOrder has one level of fencers switch a node off, one after the other, and confirm it.
type FenceOrder struct {
	// Node that is to be off; the order's ID is unique for it.
	Node string
	guard.FenceOrder
}

// WitnessAsk asks the witness for the right to hold an instance.
type WitnessAsk struct {
	ID       uint64
	Witness  string
	Instance string
	Action   WitnessAction
	// TTL is how long the right lasts from the asking on.
	TTL time.Duration
}

// WitnessAction is what is asked of a witness.
type WitnessAction string

// The actions. To acquire what one holds is to renew it.
const (
	WitnessAcquire WitnessAction = "acquire"
	WitnessRelease WitnessAction = "release"
)

// Answer is the result of a command.
type Answer struct {
	ID uint64
	// Err says why the command was refused or failed; nil for done.
	Err error
	// Text says what was done.
	Text string
	// Took is how long it took, from the command to the peer's first advert.
	Took time.Duration
}
