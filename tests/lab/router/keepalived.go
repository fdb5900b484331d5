package router

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// Keepalived is Debian's keepalived on a node.
type Keepalived struct {
	t    *scenario.T
	node *topology.Node
	proc *proc.Process
}

// NewKeepalived returns one that is not started.
func NewKeepalived(t *scenario.T, node *topology.Node) *Keepalived {
	return &Keepalived{t: t, node: node}
}

// Start starts it.
func (k *Keepalived) Start(s Settings) {
	dir := place(k.t, k.node, "keepalived")
	k.Write(s)
	for _, left := range []string{"pid", "vrrp_pid"} { // by one that was killed, and is not gone for all that it knows
		_ = os.Remove(filepath.Join(dir, left))
	}
	k.t.Logf("keepalived starts on %s: %+v", k.node.Name, s)
	k.proc = launch(k.t, k.node, filepath.Join(dir, "log"), "keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp",
		"--use-file", k.config(), "--pid", filepath.Join(dir, "pid"), "--vrrp_pid", filepath.Join(dir, "vrrp_pid"))
}

// Write replaces its configuration; that takes effect with a start or a reload.
func (k *Keepalived) Write(s Settings) { k.WriteText(keepalivedConf(k.node.Name, s)) }

// WriteText is Write with a text as it is.
func (k *Keepalived) WriteText(text string) {
	k.t.Must(os.WriteFile(k.config(), []byte(text), 0o644))
}

func (k *Keepalived) config() string {
	return filepath.Join(place(k.t, k.node, "keepalived"), "keepalived.conf")
}

// Reload has it read its configuration again.
func (k *Keepalived) Reload() { k.proc.Signal(unix.SIGHUP) }

// Running tells whether it has not ended.
func (k *Keepalived) Running() bool { return k.proc.Running() }

// Stop ends it in order.
func (k *Keepalived) Stop() { end(k.t, k.proc) }

// Kill kills its processes; the addresses stay.
func (k *Keepalived) Kill() { k.proc.Kill() }

// Pause stops its processes with SIGSTOP, Resume lets them go on.
func (k *Keepalived) Pause()  { k.proc.Pause() }
func (k *Keepalived) Resume() { k.proc.Resume() }

// Tree are its processes.
func (k *Keepalived) Tree() []int { return k.proc.Tree() }

func keepalivedConf(name string, s Settings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n  router_id %s\n  vrrp_version %d\n}\n", name, s.Version)
	fmt.Fprintf(&b, "vrrp_instance web {\n  state BACKUP\n  interface eth0\n  virtual_router_id %d\n  priority %d\n  advert_int %g\n",
		VRID, s.Priority, cmp.Or(s.Interval, time.Second).Seconds())
	if s.NoPreempt {
		b.WriteString("  nopreempt\n")
	}
	if s.Password != "" {
		fmt.Fprintf(&b, "  authentication {\n    auth_type PASS\n    auth_pass %s\n  }\n", s.Password)
	}
	if s.Peer.IsValid() {
		fmt.Fprintf(&b, "  unicast_src_ip %v\n  unicast_peer {\n    %v\n  }\n", s.Source, s.Peer)
	}
	device := " dev eth0"
	if s.VMAC {
		b.WriteString("  use_vmac vrrp.51\n")
		device = ""
	}
	b.WriteString("  virtual_ipaddress {\n")
	for _, v := range s.VIPs {
		fmt.Fprintf(&b, "    %s%s\n", host(v), device)
	}
	b.WriteString("  }\n}\n")
	return b.String()
}
