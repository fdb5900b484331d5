// Package e2e holds the end-to-end scenarios: the real binaries, the real kernel, real servers and clients, and what an
// operator would do to them or what would happen to them. It runs in the laboratory through the driver, not under go test,
// for it needs root, and a guest where the kernel has no IPVS. It is not for what a unit test or the simulation can show.
package e2e

import (
	"regexp"

	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// T is one run of a scenario.
type T = scenario.T

// Scenario is one story with its assertions.
type Scenario struct {
	// Name is short and unique.
	Name string
	// About says in one sentence what has to hold.
	About string
	// IPVS is set for a scenario that needs IPVS in the kernel.
	IPVS bool
	// Run plays it.
	Run func(*T)
}

// Select returns the scenarios whose name matches; nil matches all.
func Select(match *regexp.Regexp) []Scenario {
	var chosen []Scenario
	for _, s := range All() {
		if match == nil || match.MatchString(s.Name) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// Run plays scenarios, so many at a time, and tells of each result as it comes. Bin is the directory of the binaries.
func Run(list []Scenario, bin string, parallel int, tell func(scenario.Result)) {
	var stories []scenario.Scenario
	for _, s := range list {
		stories = append(stories, scenario.Scenario{Name: s.Name, Run: s.Run})
	}
	scenario.Run(stories, bin, parallel, tell)
}

// All lists every scenario. Those that take longest come first, so that the rest fills the gaps; of those that need IPVS as well, which
// the guests share by this order.
func All() []Scenario {
	return []Scenario{
		{"chaos", "a plugin crashes, floods, lies, hangs and ignores its end: no verdict, owner or IPVS entry changes", true, chaos},
		{"keeps", "connections and requests by DR, NAT and TUN in both families survive what is done to the pair", true, keepsConnections},
		{"server-leaves", "a real server that stops, says something else or falls silent leaves IPVS in time, and comes back", true, serverLeaves},
		{"service-leaves", "a service that is removed keeps its connections, takes no new ones, and goes with the last of them", true, serviceLeaves},
		{"through-vip-dr", "a check through the VIP finds a server without it, on master and backup, and leaves no sysctl behind", true, throughDR},
		{"through-vip-tun", "the same through a tunnel; it finds a filter at the tunnel's end as well", true, throughTUN},
		{"reload", "reload of the same file, of a broken file, and repair of what was deleted by hand", true, reload},
		{"systemd-ipvs", "the installed unit may do what IPVS takes, and what cannot come back after kill -9 leaves IPVS as it was", true, systemdIPVS},
		{"plugin-hung", "a plugin that is stopped is replaced, and neither IPVS nor an owner changes", true, pluginHung},
		{"forward-tun", "tunnelling: requests through the VIP are answered by the servers themselves", true, forwardTUN},
		{"forward-nat", "network address translation: requests through the VIP are answered by way of the director", true, forwardNAT},
		{"udp-persistence", "a service over UDP, and persistence keeps a client at its server", true, udpAndPersistence},
		{"restart-ipvs", "kill -9 and a start within the lease while clients are served: IPVS stays as it is, nothing is lost", true, restartIPVS},
		{"pair", "the pair of the example comes up, serves from both servers, and shows what the contract says", true, pairUp},
		{"service-by-mark", "a service by firewall mark serves what a rule marks, and the status counts it", true, serviceByMark},
		{"shutdown-ipvs", "SIGTERM to the master while clients are served: nothing is lost, nothing is left", true, shutdownIPVS},
		{"protocols", "UDP, SCTP, and tunnels of GUE and GRE in both families reach a real server that the command has set up", true, protocols},
		{"faults", "every fault at the switch does what it says, in the kernel that has IPVS as well", true, faults},
		{"systemd", "the unit, as it is installed, under a systemd that runs: start, reload, kill -9, a hang, what cannot come back, stop", false, systemd},
		{"systemd-user", "the same unit as a user of its own: it holds a VIP, and comes back however often it is killed", false, systemdUser},
		{"interop-v3", "with keepalived in version 3: our stop and our return cost its clients nothing", false, interop(3)},
		{"interop-v2", "the same in version 2 with a password", false, interop(2)},
		{"crash", "kill -9 of the whole daemon: one outage within the down interval, one owner, and a clean return", false, crash},
		{"track-weight", "the tracked local server dies: with a weight the VIP moves, and comes back by preemption", false, trackWeight},
		{"track-fault", "the tracked local server dies: without a weight the instance is in FAULT", false, trackFault},
		{"cut", "the master's port loses its carrier: the peer takes over, and one owner after it heals", false, cut},
		{"keys", "a pair that signs its adverts: it hands over, a key that differs is told and makes no second master, and it heals", false, keys},
		{"vmac", "a pair with a virtual MAC address: a hand-over and kill -9, and the client's ARP entry stays as it is", false, vmac},
		{"vmac-ipv6", "the same with a VIP of IPv6: the client's neighbour entry stays as it is", false, vmac6},
		{"vmac-settings", "the parameters of the kernel that a virtual MAC address needs are as they were after a stop, and after a cleanup", false, vmacSettings},
		{"places", "VIPs of both families on several interfaces, with label and scope, move as one and can be used at once", false, places},
		{"routes", "routes and rules follow the master, are put back when deleted, and leave nothing behind", false, routes},
		{"interop-vmac", "the same with one virtual MAC address for both", false, interopVMAC},
		{"ipv6", "a pair over IPv6 with VIPs of both families: hand-over without a loss, and one outage over kill -9", false, ipv6()},
		{"ipv6-unicast", "the same with unicast adverts", false, ipv6(edit{"  advert_interval ", unicast6})},
		{"sync-group", "a sync group over two links: one link that is cut moves both VIPs, and so does a hand-over of one", false, syncGroup},
		{"crossed", "two instances, each router master of one, and of both while the other is away", false, crossed},
		{"interface", "an interface that is missing, renamed, made again, and a VIP deleted by hand: all comes back by itself", false, interfaces},
		{"handover-keepalived", "a hand-over to keepalived by resignation, and by a lowered priority where it hears none: nothing is lost", false, handoverToKeepalived},
		{"junk", "adverts that are malformed, forged or none of ours are counted, told of once, and move nothing", false, junkScenario},
		{"track-script", "a tracked script that hangs or prints without end is cut off with what it started, and says so", false, trackScript},
		{"example-plugin", "the checker of examples/checker-banner decides about a real server of a pair", false, examplePlugin},
		{"plugin-killed", "kill -9 of a plugin: restarted, and neither a verdict nor an owner changes", false, pluginKilled},
		{"explain", "a backup says why it holds, is cut off and has taken over, to people and to machines", false, explain},
		{"fence-required", "fencing required: the takeover waits for the confirmation, and the fenced node comes back in maintenance", false, fenceRequired},
		{"fence-fails", "fencing required and a fencer that fails: nobody takes over until an operator confirms", false, fenceFails},
		{"fence-dry", "a dry run holds nothing up, nor does a fencer that hangs in the mode best_effort", false, fenceDry},
		{"fence-unseen", "a node that boots alone fences nobody", false, fenceUnseen},
		{"maintenance", "a node in maintenance hands over without a loss, and stays out over a restart", false, maintenance},
		{"witness-release", "the witness is gone, and with on_witness_loss = release nobody holds the VIP until it is back", false, witnessLost("release", "")},
		{"witness-failsafe", "the same with failsafe: nothing moves", false, witnessLost("failsafe", topology.LB1)},
		{"handover", "failover on command and SIGTERM: the client loses nothing", false, handover},
		{"guardian", "kill -9 of the daemon alone: without a restart nothing is left after the lease, with one nothing is lost", false, guardian},
		{"fast-lease", "lease = fast at adverts each 100 ms: everything is killed, and the outage is the down interval, with one owner", false, fastLease()},
		{"fast-lease-vmac", "the same with a virtual MAC address", false, fastLease(useVMAC())},
		{"fast-lease-ipv6", "the same over IPv6", false, fastLease6},
		{"quick-restart", "kill -9 and a start within the lease: adopted, and nothing moves", false, quickRestart},
		{"instruments", "the probe of the laboratory sees what happens to a pair of keepalived", false, instruments},
	}
}
