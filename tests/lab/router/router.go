// Package router runs the VRRP routers of the laboratory, ours and others, each with the configuration that says the same in
// its own language. They are processes on a node, started by hand and never as a service. It is not for what the daemon does
// besides VRRP.
package router

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// VRID is that of the one virtual router.
const VRID = 51

// Settings are what a virtual router is configured with, whoever runs it.
type Settings struct {
	// Version of VRRP, 2 or 3.
	Version int
	// Priority, 1 to 254.
	Priority int
	// Interval of the adverts; 0 for 1 s.
	Interval time.Duration
	// VIPs, all of one family.
	VIPs []netip.Addr
	// Source and Peer have adverts go from the one address to the other; invalid for multicast.
	Source, Peer netip.Addr
	// MinTTL is the least hop limit that is accepted over unicast, for those who can be told; 0 for what each takes by itself.
	MinTTL int
	// Password of version 2; empty for none.
	Password string
	// NoPreempt leaves a master of lower priority alone.
	NoPreempt bool
	// Unasked has a backup of ours take over without asking who answers the VIP, as others always do.
	Unasked bool
	// VMAC gives the virtual router a hardware address of its own. FRR always has one.
	VMAC bool
}

// Router is one of the routers. Its methods are for the goroutine of the scenario.
type Router interface {
	// Start starts it on an empty slate: its state comes from the election.
	Start(Settings)
	// Stop ends it in order and waits for its end.
	Stop()
	// Kill kills all of it as a loss of power would, but that the node itself goes on with the addresses that are left.
	Kill()
}

// place is where a router keeps its files, made on demand.
func place(t *scenario.T, node *topology.Node, kind string) string {
	dir := filepath.Join(t.Dir, node.Name+"-"+kind)
	t.Must(os.MkdirAll(dir, 0o755))
	return dir
}

// launch starts a process of a router and shows the end of its log where the scenario fails.
func launch(t *scenario.T, node *topology.Node, log, name string, args ...string) *proc.Process {
	p, err := proc.Start(node.NS, log, name, args...)
	t.Must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- what %s on %s said last:\n%s", filepath.Base(name), node.Name, scenario.Tail(p.Log(), 40))
		}
		p.Kill()
	})
	return p
}

// end asks a process to end.
func end(t *scenario.T, p *proc.Process) {
	_, err := p.Terminate(10 * time.Second)
	t.Must(err)
}

// host is an address alone as a prefix.
func host(a netip.Addr) string { return fmt.Sprintf("%v/%d", a, a.BitLen()) }
