package router

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// FRR is vrrpd of Debian's FRR on a node, with the zebra that it speaks to the kernel through. Its virtual router lives on a
// macvlan that has to be there before, with the virtual MAC address and the VIPs; vrrpd takes its carrier (protodown) while it is backup.
type FRR struct {
	t            *scenario.T
	node         *topology.Node
	zebra, vrrpd *proc.Process
	dir, link    string
}

// NewFRR returns one that is not started.
func NewFRR(t *scenario.T, node *topology.Node) *FRR { return &FRR{t: t, node: node} }

// Start starts both daemons.
func (f *FRR) Start(s Settings) {
	f.dir = place(f.t, f.node, "frr")
	f.own(f.dir)
	// The VIPs are the node's all the time, and eth0 must not answer for them.
	f.t.Must(f.node.Sysctl("ipv4/conf/all/arp_ignore", "1"))
	f.macvlan(s)
	f.t.Logf("FRR starts on %s: %+v", f.node.Name, s)
	f.zebra = f.daemon("zebra", "")
	socket := filepath.Join(f.dir, "zserv")
	f.t.Eventually("zebra listens", 10*time.Second, func() error {
		_, err := os.Stat(socket)
		return err
	})
	f.vrrpd = f.daemon("vrrpd", frrConf(s))
	f.silent()
	for _, v := range s.VIPs {
		f.address(v)
	}
}

// silent waits until the virtual router has no carrier: vrrpd is not master, and zebra has done what it asked for.
func (f *FRR) silent() {
	f.t.Eventually("FRR on "+f.node.Name+" has taken the carrier", 10*time.Second, func() error {
		out, err := f.node.Output("ip", "link", "show", f.link)
		if err == nil && !strings.Contains(out, "protodown on") {
			err = fmt.Errorf("it has it: %s", out)
		}
		return err
	})
}

// Stop ends vrrpd in order, and zebra after it.
func (f *FRR) Stop() {
	end(f.t, f.vrrpd)
	f.silent()
	end(f.t, f.zebra)
}

// Kill kills both; the macvlan keeps its carrier and the addresses.
func (f *FRR) Kill() {
	f.vrrpd.Kill()
	f.zebra.Kill()
}

// daemon starts one of FRR's with its own configuration, sockets and log.
func (f *FRR) daemon(name, config string) *proc.Process {
	path := func(suffix string) string { return filepath.Join(f.dir, name+suffix) }
	f.t.Must(os.WriteFile(path(".conf"), []byte(config), 0o644))
	return launch(f.t, f.node, path(".log"), "/usr/lib/frr/"+name, "--config_file", path(".conf"), "--pid_file", path(".pid"),
		"--socket", filepath.Join(f.dir, "zserv"), "--vty_socket", f.dir+"/", "--vty_port", "0", "--log", "stdout")
}

// own gives a directory to the user that the daemons become.
func (f *FRR) own(dir string) {
	u, err := user.Lookup("frr")
	f.t.Must(err)
	uid, err := strconv.Atoi(u.Uid)
	f.t.Must(err)
	gid, err := strconv.Atoi(u.Gid)
	f.t.Must(err)
	f.t.Must(os.Chown(dir, uid, gid))
}

// macvlan makes the interface of the virtual router. It has its carrier when vrrpd starts, else vrrpd finds no address there to
// send from; so the VIPs come later.
func (f *FRR) macvlan(s Settings) {
	family, mac := "4", fmt.Sprintf("00:00:5e:00:01:%02x", VRID)
	if s.VIPs[0].Is6() {
		family, mac = "6", fmt.Sprintf("00:00:5e:00:02:%02x", VRID)
	}
	f.link = fmt.Sprintf("vrrp%s-%d", family, VRID)
	f.ip("link", "add", f.link, "link", "eth0", "address", mac, "type", "macvlan", "mode", "bridge")
	f.ip("link", "set", f.link, "addrgenmode", "none")
	f.ip("link", "set", f.link, "up")
	if s.VIPs[0].Is6() {
		f.address(f.source())
	}
}

// address puts an address on the interface of the virtual router.
func (f *FRR) address(a netip.Addr) {
	args := []string{"address", "add", host(a), "dev", f.link}
	if a.Is6() {
		args = append(args, "nodad")
	}
	f.ip(args...)
}

func (f *FRR) ip(args ...string) {
	_, err := f.node.Output("ip", args...)
	f.t.Must(err)
}

// source is the link-local address that FRR sends from: next to that of the node's own interface and in the same order, for a
// tie is decided by it. Left alone, the macvlan would make one of its hardware address, the same on every node.
func (f *FRR) source() netip.Addr {
	octet := f.node.MAC[5]
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: 0, 0x77, 0, 0xff, 0xfe, 0, 0, 3 * (octet - 1)})
}

func frrConf(s Settings) string {
	var b strings.Builder
	b.WriteString("interface eth0\n")
	say := func(format string, args ...any) {
		fmt.Fprintf(&b, " vrrp %d "+format+"\n", append([]any{VRID}, args...)...)
	}
	say("version %d", s.Version)
	say("priority %d", s.Priority)
	say("advertisement-interval %d", cmp.Or(s.Interval, time.Second).Milliseconds())
	if s.NoPreempt {
		fmt.Fprintf(&b, " no vrrp %d preempt\n", VRID)
	}
	for _, v := range s.VIPs {
		if v.Is6() {
			say("ipv6 %v", v)
		} else {
			say("ip %v", v)
		}
	}
	return b.String()
}
