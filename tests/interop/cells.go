// Package interop plays our daemon against the VRRP routers of others on one wire: in every version, family and mode that both
// speak, each of the stories of cells.go. Who must be owner is written there as data, and played with two keepalived as well.
// It runs in the laboratory through the driver. It is not for what a pair of ours does; that is tests/e2e.
package interop

import (
	"fmt"
	"strings"

	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// side is one of the two routers.
type side string

const (
	us     side = "us"
	them   side = "them"
	nobody side = "nobody" // whoever holds the VIP does not advertise
)

func (s side) other() side {
	if s == us {
		return them
	}
	return us
}

// event is what befalls a router once both are up.
type event string

const (
	nothing event = ""
	stops   event = "stops"  // in order
	dark    event = "dark"   // nothing passes its port, and it comes back
	killed  event = "killed" // all its processes at once; the node and its addresses stay
)

// cell is one story. The owners in it are those that two keepalived give, and that RFC 9568 asks for.
type cell struct {
	name string
	// Priorities of both; who is patient does not preempt.
	ours, theirs int
	patient      side
	// We have the lower address, unless this is set.
	weAreHigher bool
	// We do not ask who answers the VIP before we take over. Two keepalived never do.
	unasked bool
	// Two keepalived do something else, and so it is not played with them.
	unlike bool
	// The first is alone and owner; once both are up, joined is.
	first, joined side
	// What happens then and to whom, and who is owner after it.
	event event
	at    side
	after side
	// The owner once what was dark is back.
	healed side
}

// cells are all stories. A backup follows an equal priority; two masters of equal priority, as a partition leaves them, are
// told apart by their addresses, and no preempt forbids neither that nor that the higher priority wins between two masters
// (RFC 9568 sections 6.4.2 and 6.4.3).
var cells = []cell{
	{name: "we are master", ours: 150, theirs: 100, first: us, joined: us},
	{name: "we are backup", ours: 100, theirs: 150, first: them, joined: them},
	{name: "we preempt", ours: 150, theirs: 100, first: them, joined: us},
	{name: "they preempt", ours: 100, theirs: 150, first: us, joined: them},
	{name: "we do not preempt", ours: 150, theirs: 100, patient: us, first: them, joined: them},
	{name: "they do not preempt", ours: 100, theirs: 150, patient: them, first: us, joined: us},
	{name: "tie, we come second", ours: 100, theirs: 100, first: them, joined: them, weAreHigher: true},
	{name: "tie, they come second", ours: 100, theirs: 100, first: us, joined: us},
	{
		name: "tie of two masters, we are lower", ours: 100, theirs: 100, first: us, joined: us,
		event: dark, at: them, after: us, healed: them,
	},
	{
		name: "tie of two masters, we are higher", ours: 100, theirs: 100, weAreHigher: true, first: them, joined: them,
		event: dark, at: us, after: them, healed: us,
	},
	{name: "they stop", ours: 100, theirs: 150, first: them, joined: them, event: stops, at: them, after: us},
	{name: "we stop", ours: 150, theirs: 100, first: us, joined: us, event: stops, at: us, after: them},
	{name: "they go dark and come back", ours: 100, theirs: 150, first: them, joined: them, event: dark, at: them, after: us, healed: them},
	{name: "we go dark and come back", ours: 150, theirs: 100, first: us, joined: us, event: dark, at: us, after: them, healed: us},
	{name: "they are killed, we do not ask", ours: 100, theirs: 150, unasked: true, first: them, joined: them, event: killed, at: them, after: us},
	{name: "they are killed", ours: 100, theirs: 150, first: them, joined: them, event: killed, at: them, after: nobody, unlike: true},
	{name: "we are killed", ours: 150, theirs: 100, first: us, joined: us, event: killed, at: us, after: them},
}

// wire is how the two speak.
type wire struct {
	version       int
	ipv6, unicast bool
	password      string
	// Our virtual router has the virtual MAC address, and theirs where that is a choice.
	vmac bool
}

func (w wire) String() string {
	words := []string{fmt.Sprintf("v%d", w.version), "ipv4", "multicast"}
	if w.ipv6 {
		words[1] = "ipv6"
	}
	if w.unicast {
		words[2] = "unicast"
	}
	if w.password != "" {
		words = append(words, "pass")
	}
	if w.vmac {
		words = append(words, "vmac")
	}
	return strings.Join(words, " ")
}

// wires are all of them, whether or not a peer can: those of version 2 first, for they take longest.
var wires = []wire{
	{version: 2},
	{version: 2, password: "s3cret"},
	{version: 2, unicast: true},
	{version: 2, ipv6: true},
	{version: 2, ipv6: true, unicast: true},
	{version: 3},
	{version: 3, unicast: true},
	{version: 3, ipv6: true},
	{version: 3, ipv6: true, unicast: true},
	{version: 3, vmac: true},
	{version: 3, ipv6: true, vmac: true},
}

// peer is who plays against whom.
type peer struct {
	name        string
	ours, their func(*scenario.T, *topology.Node) router.Router
	// vmac tells that theirs has the virtual MAC address whatever is asked for.
	vmac bool
	// blind6 tells that over IPv6 theirs finds no address to send from in the moment when it becomes master, since its interface
	// has no carrier yet. Its first advert gets lost, so that both are owner for an interval, and between two masters of equal
	// priority it gives way to whom it hears first.
	blind6 bool
	// hops6 is the hop limit of their unicast over IPv6, where that is not the 255 that we ask for unless we are told (min_ttl).
	hops6 int
	// oracle tells that two others play, to see that the cells are right.
	oracle bool
	// cannot says why there is no such game; empty where there is.
	cannot func(wire) string
}

var peers = []peer{
	{name: "keepalived", ours: vipward, their: keepalived, hops6: 64, cannot: everyone},
	{name: "frr", ours: vipward, their: frr, vmac: true, blind6: true, cannot: func(w wire) string {
		switch {
		case everyone(w) != "":
			return everyone(w)
		case w.unicast:
			return "peer cannot: FRR has no unicast"
		case w.password != "":
			return "peer cannot: FRR has no authentication"
		}
		return ""
	}},
	{name: "two keepalived", oracle: true, ours: keepalived, their: keepalived, cannot: func(w wire) string {
		switch {
		case everyone(w) != "":
			return everyone(w)
		case w.unicast || w.password != "" || w.vmac:
			return "not played: whom two keepalived elect does not depend on it"
		}
		return ""
	}},
}

// everyone is what nobody can.
func everyone(w wire) string {
	if w.version == 2 && w.ipv6 {
		return "peer cannot: version 2 is for IPv4 alone (RFC 3768)"
	}
	return ""
}

func vipward(t *scenario.T, n *topology.Node) router.Router    { return router.NewVipward(t, n) }
func keepalived(t *scenario.T, n *topology.Node) router.Router { return router.NewKeepalived(t, n) }
func frr(t *scenario.T, n *topology.Node) router.Router        { return router.NewFRR(t, n) }
