package guard

import "time"

// Evidence is what is known at the instant at which a router would become master of an instance. The zero value knows nothing, and
// lets it: a node without any of this takes over when VRRP says so.
type Evidence struct {
	// Cut is why the own link carries nothing; empty while it is up.
	Cut string
	// References are the addresses that prove that this node is not cut off.
	References Voice
	// Claim is why the router would be master.
	Claim Claim
	// Peer is what the other members say by heartbeats.
	Peer Peer
	// VIP is who answers for the addresses.
	VIP Answerer
	// Waited is for how long the router would have been master, if it might.
	Waited time.Duration
	// PeerLease is how long the kernel of a silent peer keeps addresses that its daemon does not renew.
	PeerLease time.Duration
	// OnHoldExpired is what ends the wait for a silent peer that still answers.
	OnHoldExpired OnHoldExpired
	// Mode is the strictest of the block fencing of the members that are silent; empty for FencingOff. A dry run counts as off.
	Mode FencingMode
	// Fence is how far the fencing of them is, Cleared whether it stands in the way no longer.
	Fence   FenceStanding
	Cleared bool
	// Witness is what the witness says.
	Witness Grant
}

// Voice is whether somebody who was asked has answered.
type Voice string

// The voices.
const (
	// VoiceNone: there is nobody to ask, or the question cannot be asked.
	VoiceNone Voice = ""
	// VoiceAsked: an answer may still come.
	VoiceAsked Voice = "asked"
	// VoiceHeard: at least one has answered.
	VoiceHeard Voice = "answers"
	// VoiceSilent: nobody has answered in time.
	VoiceSilent Voice = "silent"
)

// Claim is why a router would become master.
type Claim string

// The claims.
const (
	// ClaimSilence: no advert has come for a down interval, or none was ever heard.
	ClaimSilence Claim = "silence"
	// ClaimResigned: the master has just resigned by an advert of priority 0.
	ClaimResigned Claim = "resigned"
	// ClaimRank: a master of lower rank is heard, which will yield to this node's first advert.
	ClaimRank Claim = "rank"
)

// Peer is what the other members say of an instance by heartbeats.
type Peer struct {
	// Heard is VoiceHeard while one is alive, VoiceSilent where none is that was heard before, VoiceNone where none ever was: it may
	// be of another make.
	Heard Voice
	// Name of the member that the rest is of: one that is master, if there is one.
	Name string
	// Silent are the names of the members that are not heard now, joined for people; empty for none.
	Silent string
	// Master tells that it says it is MASTER.
	Master bool
	// Isolated tells that it cannot reach its references, or that its link is down.
	Isolated bool
	// Outranked tells that this node has the higher priority and would preempt it.
	Outranked bool
	// Ignored is for how long it has been asked to let go and has not.
	Ignored time.Duration
}

// Answerer is who answers for the addresses of an instance, other than this node.
type Answerer struct {
	// Who it is.
	Who Who
	// Text names it for people, with its MAC address and the VIP.
	Text string
}

// Who is a kind of machine.
type Who string

// The kinds of machines.
const (
	// WhoUnprobed: nobody is asked, by configuration, or because the addresses cannot be asked for.
	WhoUnprobed Who = ""
	// WhoAsked: the question was asked too short a time ago.
	WhoAsked Who = "asked"
	// WhoNobody: silence.
	WhoNobody Who = "nobody"
	// WhoPeer: another member, by its own or the virtual router's MAC address.
	WhoPeer Who = "peer"
	// WhoServer: a real server that should not (arp_ignore).
	WhoServer Who = "real server"
	// WhoStranger: somebody else.
	WhoStranger Who = "stranger"
)

// Grant is what the witness says.
type Grant struct {
	// State of it.
	State GrantState
	// Text names the holder, or says why there is no answer.
	Text string
	// Binds tells that nothing is held without it (on_witness_loss = "release").
	Binds bool
}

// GrantState is how a request to the witness stands.
type GrantState string

// The states of a grant.
const (
	// GrantNone: there is no witness.
	GrantNone GrantState = ""
	// GrantAsked: the answer is awaited.
	GrantAsked GrantState = "asked"
	// GrantHeld: this node may hold the instance.
	GrantHeld GrantState = "granted"
	// GrantRefused: another node holds it.
	GrantRefused GrantState = "refused"
	// GrantUnreachable: the witness does not answer. A takeover goes on without it, unless it binds or fencing is required.
	GrantUnreachable GrantState = "unreachable"
)

// OnHoldExpired is what ends HOLD.
type OnHoldExpired string

// The ends.
const (
	HoldOn       OnHoldExpired = "hold"
	HoldFence    OnHoldExpired = "fence"
	HoldTakeover OnHoldExpired = "takeover"
)

// Fact is one piece of evidence for people and machines.
type Fact struct{ Name, Value string }

// Facts are the evidence in words, in the order of the table.
func (e Evidence) Facts() []Fact {
	facts := []Fact{{"claim", string(e.Claim)}, {"link", "up"}}
	if e.Cut != "" {
		facts[1].Value = e.Cut
	}
	add := func(name, value string) { facts = append(facts, Fact{name, value}) }
	if add("references", "none"); e.References != VoiceNone {
		facts[len(facts)-1].Value = string(e.References)
	}
	add("peer", e.Peer.String())
	switch {
	case e.VIP.Text != "":
		add("vip", e.VIP.Text)
	case e.VIP.Who == WhoUnprobed:
		add("vip", "not asked for")
	default:
		add("vip", string(e.VIP.Who))
	}
	if e.Mode != "" && e.Mode != FencingOff {
		add("fencing", phrase(string(e.Mode)+", "+string(e.Fence.State), e.Fence.Reason))
	}
	if e.Witness.State != GrantNone {
		add("witness", phrase(string(e.Witness.State), e.Witness.Text))
	}
	return facts
}

// phrase joins what something is with why, where that is known.
func phrase(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// Sign is one piece of evidence as yes or no.
type Sign struct {
	// Kind is link (is it up), references (do they answer), peer (is it alive), vip (does anybody answer), fence (is it confirmed) or
	// witness (has it granted).
	Kind string
	Yes  bool
}

// Signs are those pieces of the evidence that say yes or no. What is not known, or not asked for, is not among them.
func (e Evidence) Signs() []Sign {
	signs := []Sign{{"link", e.Cut == ""}}
	add := func(known bool, kind string, yes bool) {
		if known {
			signs = append(signs, Sign{kind, yes})
		}
	}
	add(e.References == VoiceHeard || e.References == VoiceSilent, "references", e.References == VoiceHeard)
	add(e.Peer.Heard == VoiceHeard || e.Peer.Heard == VoiceSilent, "peer", e.Peer.Heard == VoiceHeard)
	add(e.VIP.Who != WhoUnprobed && e.VIP.Who != WhoAsked, "vip", e.VIP.Who != WhoNobody)
	add(e.mode() != FencingOff, "fence", e.Fence.State == FenceConfirmed)
	add(e.Witness.State == GrantHeld || e.Witness.State == GrantRefused, "witness", e.Witness.State == GrantHeld)
	return signs
}

// String is what the members say, in words.
func (p Peer) String() string {
	text := "no heartbeat was ever heard"
	switch p.Heard {
	case VoiceHeard:
		text = p.Name + " is alive"
		if p.Master {
			text += " and MASTER"
		}
		if p.Isolated {
			text += ", isolated"
		}
		if p.Outranked {
			text += ", with the lower priority"
		}
		if p.Silent != "" {
			text += "; " + p.Silent + " is silent"
		}
	case VoiceSilent:
		text = p.Silent + " is silent"
	case VoiceNone, VoiceAsked:
	}
	return text
}
