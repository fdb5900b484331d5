package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/machine"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/topology"
)

// watchdog is how long the unit's watchdog waits.
const watchdog = 10 * time.Second

// booted is the pair with a machine under systemd on lb1, on which vipward is installed as a user would.
type booted struct {
	*lab
	m *machine.Machine
	// before is the network of lb1 before vipward came.
	before string
}

// newBooted boots it in a network, with the configuration of that name in testdata; nothing of vipward is started.
func newBooted(l *lab, config string, edits ...edit) *booted {
	text := configuration(l.T, config, edits...)
	l.lb2 = l.director(topology.LB2, text)
	b := &booted{lab: l, m: machine.Boot(l.T, l.Node(topology.LB1))}
	b.install()
	l.local[topology.LB1] = l.serve(topology.LB1, "alive", "alive", "127.0.0.1:8081")
	l.lb1 = &director{lab: l, node: l.Node(topology.LB1), config: b.m.Root + "/etc/vipward/vipward.hcl", socket: b.m.Root + "/run/vipward/vipward.sock"}
	l.lb1.api = api{router.NewAPI(l.lb1.socket)}
	// The unit has a /tmp of its own, so the script lies where an operator has it.
	l.lb1.write(strings.ReplaceAll(text, filepath.Join(l.Dir, "notify.sh"), "/usr/local/bin/notify.sh"))
	l.Must(os.WriteFile(b.m.Root+"/usr/local/bin/notify.sh", []byte("#!/bin/sh\necho \"$VIPWARD_NODE $*\" >>/var/lib/notified\n"), 0o755))
	b.Eventually("the addresses of lb1 are settled", 10*time.Second, func() error {
		if b.before = b.network(); strings.Contains(b.before, " tentative ") {
			return errors.New("some are tentative")
		}
		return nil
	})
	return b
}

// install does what the README says.
func (b *booted) install() {
	// What is tested is built.
	out, err := exec.Command("make", "-C", filepath.Dir(b.Bin), "-o", "build", "install", "DESTDIR="+b.m.Root).CombinedOutput()
	if err != nil {
		b.Fatalf("make install: %v\n%s", err, out)
	}
	b.do("systemd-sysusers")
	b.do("systemctl", "daemon-reload")
}

// do runs a command in the machine that has to succeed.
func (b *booted) do(args ...string) string {
	a := b.m.Run(args...)
	b.Logf("lb1: %s: exit %d %s", strings.Join(args, " "), a.Code, strings.TrimSpace(a.Out))
	if a.Code != 0 {
		b.Fatalf("%s: exit %d: %s", strings.Join(args, " "), a.Code, a.Out)
	}
	return a.Out
}

// show is a property of the unit.
func (b *booted) show(property string) string {
	a := b.m.Run("systemctl", "show", "--value", "--property", property, "vipward")
	return strings.TrimSpace(a.Out)
}

// shows asserts properties of the unit, given as name and value by turns.
func (b *booted) shows(pairs ...string) {
	for k := 0; k < len(pairs); k += 2 {
		if got := b.show(pairs[k]); got != pairs[k+1] {
			b.Errorf("systemctl show: %s=%s, want %s", pairs[k], got, pairs[k+1])
		}
	}
}

// settles waits for a property of the unit.
func (b *booted) settles(property, want string, within time.Duration) time.Duration {
	return b.Eventually(property+" is "+want, within, func() error {
		if got := b.show(property); got != want {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
}

// signal sends a signal to the daemon alone, and returns its process id.
func (b *booted) signal(name string) string {
	pid := b.show("MainPID")
	b.do("kill", "-"+name, pid)
	return pid
}

// network is all that the kernel holds in lb1's network.
func (b *booted) network() string {
	var all strings.Builder
	for _, command := range []string{
		"ip -o link", "ip -o address", "ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all", "nft list ruleset",
	} {
		args := strings.Fields(command)
		out, err := b.lb1.node.Output(args[0], args[1:]...)
		b.Must(err)
		fmt.Fprintf(&all, "%s:\n%s", command, out)
	}
	return all.String() + fmt.Sprint(b.settings(topology.LB1))
}

// clean waits until the network is as it was before vipward came.
func (b *booted) clean(within time.Duration) {
	b.Eventually("nothing of vipward is left in the kernel", within, func() error {
		now := b.network()
		for line := range strings.Lines(now) {
			if !strings.Contains(b.before, line) {
				return fmt.Errorf("there is %s", line)
			}
		}
		if now != b.before {
			return fmt.Errorf("it was\n%s\nand is\n%s", b.before, now)
		}
		return nil
	})
}

// process is a line of /proc/PID/status of a process in the machine.
func (b *booted) process(pid, field string) string {
	for line := range strings.Lines(b.m.Run("cat", "/proc/"+pid+"/status").Out) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "none"
}

func systemd(t *T) {
	l := newNet(t)
	l.echoes()
	b := newBooted(l, "pair-vip.hcl", useVMAC(), edit{"  track ", withRoutes})
	b.exposed(3.5)
	b.starts()
	b.reloads()
	b.killed()
	b.hangs()
	b.stays()
	b.stops()
}

// exposed asserts that systemd has nothing to say against the unit, and that what it could do to the machine does not get more: 0 is
// nothing, 10 is all (systemd-analyze(1)).
func (b *booted) exposed(most float64) {
	if out := b.do("systemd-analyze", "verify", "--man=no", "vipward.service"); out != "" {
		b.Errorf("systemd-analyze verify says %s", out)
	}
	a := b.m.Run("systemd-analyze", "security", "--offline=true", "--no-pager", fmt.Sprintf("--threshold=%.0f", 10*most), "vipward.service")
	if a.Code != 0 || !strings.Contains(a.Out, "Overall exposure level") {
		b.Errorf("systemd-analyze security: exit %d, want an exposure of at most %.1f:\n%s", a.Code, most, a.Out)
	}
}

// starts: systemctl returns when the daemon is ready, which runs with the capabilities that the unit says, and its plugins with none.
func (b *booted) starts() {
	b.do("systemctl", "start", "vipward")
	if s, err := b.lb1.api.status(); err != nil || len(s.Plugins) == 0 {
		b.Errorf("after systemctl start the daemon does not answer, or without a plugin: %+v (%v)", s, err)
	}
	b.lb1.await("MASTER", down+notice+slack)
	b.lb2.start()
	b.lb2.await("BACKUP", notice+slack)
	b.alone(topology.LB1)
	b.routed(topology.LB1)
	b.shows("ActiveState", "active", "SubState", "running", "NRestarts", "0", "CapabilityBoundingSet", "cap_chown cap_dac_override "+
		"cap_dac_read_search cap_kill cap_setgid cap_setuid cap_setpcap cap_net_admin cap_net_raw")
	b.Eventually("systemctl status tells what the node is", watchdog, func() error {
		if out := b.m.Run("systemctl", "status", "--no-pager", "vipward").Out; !strings.Contains(out, "web MASTER 150") {
			return fmt.Errorf("it prints %s", out)
		}
		return nil
	})
	b.confined("http", b.do("id", "-u", "vipward-plugin"), "CapPrm", "CapBnd")
	b.Eventually("the script was called", slack, func() error {
		if out := b.m.Run("cat", "/var/lib/notified").Out; !strings.Contains(out, "lb1 INSTANCE web MASTER 150") {
			return fmt.Errorf("it wrote %q", out)
		}
		return nil
	})
}

// confined asserts that a plugin runs as that user, and that those sets of its capabilities are empty.
func (b *booted) confined(name, uid string, sets ...string) {
	for _, p := range b.lb1.status().Plugins {
		if p.Name != name {
			continue
		}
		pid := strconv.Itoa(p.Pid)
		if got := b.process(pid, "Uid"); p.State != "running" || !strings.HasPrefix(got, strings.TrimSpace(uid)+" ") {
			b.Errorf("the plugin %s is %s as the user %s, want it running as %s", name, p.State, got, uid)
		}
		for _, set := range sets {
			if got := b.process(pid, set); strings.Trim(got, "0") != "" {
				b.Errorf("the plugin %s has %s %s, want none", name, set, got)
			}
		}
		return
	}
	b.Errorf("there is no plugin %s", name)
}

// reloads: a broken file is refused with its place, and changes nothing; a good one applies.
func (b *booted) reloads() {
	good := b.lb1.text()
	before, pid, seq := b.lb1.status().ConfigHash, b.show("MainPID"), b.lb2.last()
	b.lb1.write(good + "bogus = 1\n")
	a := b.m.Run("systemctl", "reload", "vipward")
	place := fmt.Sprintf("/etc/vipward/vipward.hcl line %d", strings.Count(good, "\n")+1)
	said := b.do("journalctl", "--no-pager", "--unit", "vipward", "--output", "cat")
	if a.Code == 0 || !strings.Contains(said, place) {
		b.Errorf("systemctl reload of a broken file: exit %d, and the journal does not tell of %q:\n%s", a.Code, place, said)
	}
	if now := b.lb1.status().ConfigHash; now != before {
		b.Errorf("a broken file changed the configuration from %s to %s", before, now)
	}
	b.shows("ActiveState", "active", "MainPID", pid)
	b.lb1.write(strings.Replace(good, "weight = -60", "weight = -70", 1))
	b.do("systemctl", "reload", "vipward")
	if now := b.lb1.status().ConfigHash; now == before {
		b.Errorf("a good file was not put in force")
	}
	b.lb1.write(good)
	b.do("systemctl", "reload", "vipward")
	b.shows("ActiveState", "active", "MainPID", pid, "NRestarts", "0")
	b.alone(topology.LB1)
	if moved := b.lb2.since(seq, stateChange); len(moved) > 0 {
		b.Errorf("lb2 tells of %v over reloads", moved)
	}
}

// killed: what is killed is back within the lease, goes on with what it had, and nobody notices.
func (b *booted) killed() {
	seq := b.lb2.last()
	stop := b.measure(udp())
	time.Sleep(500 * time.Millisecond)
	b.signal("KILL")
	b.Figure("restart after", b.settles("NRestarts", "1", down)+b.lb1.await("MASTER", down))
	time.Sleep(down + slack)
	b.alone(topology.LB1)
	b.routed(topology.LB1)
	if moved := b.lb2.since(seq, stateChange); len(moved) > 0 {
		b.Errorf("lb2 tells of %v", moved)
	}
	report := stop()
	if lost := len(report.UDP.Lost()); lost > 0 {
		b.Errorf("%d datagrams were lost over the restart, want none", lost)
	}
	b.one(report.Wire, 0)
	b.shows("ActiveState", "active", "NRestarts", "1")
}

// hangs: a daemon that stands still loses the VIP with its lease, and the watchdog has it started anew.
func (b *booted) hangs() {
	stop := b.measure(udp())
	pid := b.signal("STOP")
	gone := b.Eventually("the node that hangs has lost the VIP", down, func() error {
		if err := b.owner(topology.LB1); err == nil {
			return errStill
		}
		return nil
	})
	b.lb2.await("MASTER", down+slack-gone)
	b.alone(topology.LB2)
	b.Figure("watchdog after", gone+b.settles("NRestarts", "2", watchdog+slack))
	b.lb1.await("MASTER", down+notice+slack)
	b.lb2.await("BACKUP", slack)
	b.alone(topology.LB1)
	if now := b.show("MainPID"); now == pid {
		b.Errorf("after the watchdog the daemon is still process %s", pid)
	}
	b.one(stop().Wire, 1)
}

// stays: what is killed and cannot come back, for an operator has to mend its configuration, leaves nothing in the kernel.
func (b *booted) stays() {
	good := b.lb1.text()
	b.lb1.write(strings.Replace(good, "  use_vmac ", "  accept            = false\n  use_vmac ", 1))
	b.do("systemctl", "reload", "vipward")
	b.Eventually("there are tables of nftables, a virtual interface and routes", slack, func() error {
		for _, want := range []string{"table inet vipward", "vrrp.51", "blackhole 192.0.2.0/24"} {
			if now := b.network(); !strings.Contains(now, want) {
				return fmt.Errorf("there is no %s in\n%s", want, now)
			}
		}
		return nil
	})
	b.lb1.write("bogus = 1\n")
	b.signal("KILL")
	b.settles("ActiveState", "failed", 5*time.Second)
	b.shows("Result", "exit-code", "ExecMainStatus", "3")
	b.clean(slack)
	b.lb2.await("MASTER", down+slack)
	b.alone(topology.LB2)
	b.lb1.write(good)
	b.do("systemctl", "start", "vipward")
	b.lb1.await("MASTER", down+notice+slack)
	b.alone(topology.LB1)
}

// stops: an end in order leaves nothing, neither in the kernel nor processes nor sockets.
func (b *booted) stops() {
	b.do("systemctl", "stop", "vipward")
	b.lb2.await("MASTER", slack)
	b.shows("ActiveState", "inactive", "Result", "success", "ExecMainStatus", "0")
	b.clean(slack)
	for _, path := range []string{"/sys/fs/cgroup/system.slice/vipward.service", "/run/vipward"} {
		if _, err := os.Stat(b.m.Root + path); err == nil {
			b.Errorf("there is still %s", path)
		}
	}
}
