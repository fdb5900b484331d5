package main

import (
	"maps"
	"slices"
)

// breaks names the mutants that stand for the invariants of safe takeovers, as the simulation judges them. A mutant may stand for more than one.
var breaks = map[string][]string{
	// One owner where nodes hear each other.
	"I1": {
		"a master never yields to a better one", "both lose a tie", "two missed adverts are enough", "two masters stay", "two masters that meet wait for an advert",
		"a peer that says MASTER is not believed", "what was said before the takeover is a rival", "a dead peer lives for half a minute",
	},
	// Never two that answer, where one is dead, hung or stopped.
	"I2": {
		"a lease outlasts a take-over", "a lease is long beside a live peer", "a long lease beside a peer that is back", "a fast lease outlasts the questions",
		"an advert that was not sent renews the lease", "the removal of a VIP opens its fast lease", "a stalled hand-over renews what is over",
		"who was suspended was not", "a stall is not noticed", "who answers for the VIP means nothing", "the end of the lease is not waited for",
	},
	// An owner within a bounded time, where one is possible.
	"I3": {
		"a lease is not renewed", "a renewal is told too late", "a fast lease is renewed by nothing", "old adverts make a dead master live", "a stranger keeps the VIP",
		"a confirmed fencing lets nobody take over", "two nodes share the grants of a group", "of several members the first one counts", "a peer is never asked to let go",
	},
	// A short outage.
	"I6": {
		"a master that ends does not resign", "a hand-over lets go first", "a stop does not hand over", "a resignation waits for evidence", "a hand-over does not renew",
		"a VIP whose fast lease runs is asked for", "who is handed the grant waits for it", "a sleeper does not read first",
	},
	// Who is not MASTER holds nothing.
	"I7": {
		"FAULT keeps the VIPs", "the rest after a hand-over lasts too long", "an address is announced that is not held", "a stall leaves the group",
		"a dead master's kernel holds on after its grant",
	},
	// Fencing: once for each incident, by who would take over, never against itself, and the takeover waits for it.
	"I16": {
		"a takeover does not wait for the fencing", "a successful shot is forgotten", "a second order beside the first", "a node shoots itself",
		"a node shoots whom it has never heard", "a master shoots whom it has lost", "a node that is cut off shoots", "there is no end of tries",
		"who is heard is shot at", "a member that was never heard is none",
	},
	// Who has lost the references or the witness lets go.
	"I17": {
		"a master that is cut off stays", "a node that is cut off takes over", "a dead gateway moves the VIP", "what the witness refuses is taken",
		"a master holds on after its grant", "on_witness_loss = release means nothing", "a grant is never given back", "a backup renews the grant",
		"a hand-over keeps the grant", "a grant counts from its answer on", "a grant stands still while the machine sleeps",
	},
	// A crash or a stop at any action, and a start.
	"I21": {
		"what a peer may have is adopted", "an address without a lease is adopted", "a group is half adopted", "a long lease counts as a short one",
		"a look at the kernel stays true", "a new run need not prove itself", "a former run is believed",
	},
}

// stands are the invariants that a mutant stands for.
func stands(name string) (all []string) {
	for _, i := range slices.Sorted(maps.Keys(breaks)) {
		if slices.Contains(breaks[i], name) {
			all = append(all, i)
		}
	}
	return all
}
