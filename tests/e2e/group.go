package e2e

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/tests/lab/topology"
)

// syncGroup: what happens on one of two links moves the addresses of both.
func syncGroup(t *T) {
	l := newNet(t)
	port := l.secondLink()
	text := configuration(t, "pair-group.hcl")
	l.lb1, l.lb2 = l.newDirector(topology.LB1, text), l.newDirector(topology.LB2, text)
	l.lb1.start()
	l.lb2.start()
	l.crowned("MASTER MASTER", "BACKUP BACKUP", 15*time.Second)
	l.said("lb1 GROUP all MASTER 0")

	t.Must(port(netlink.LinkSetDown))
	t.Figure("moved after", l.crowned("FAULT FAULT", "MASTER MASTER", down+slack))
	l.said("lb1 GROUP all FAULT 0")
	l.said("lb2 GROUP all MASTER 0")
	t.Must(port(netlink.LinkSetUp))
	t.Figure("returned after", l.crowned("MASTER MASTER", "BACKUP BACKUP", down+5*time.Second))

	l.lb1.do("failover", "db")
	l.crowned("BACKUP BACKUP", "MASTER MASTER", 2*time.Second)
	l.lb2.terminate()
	l.crowned("MASTER MASTER", "", 5*time.Second)
	l.lb1.together()
}

// secondLink joins eth1 of both directors by a switch of their own, and returns what sets lb1's port there.
func (l *lab) secondLink() (port func(func(netlink.Link) error) error) {
	sw := l.Node(topology.Client).NS
	for k, name := range []string{topology.LB1, topology.LB2} {
		l.Must(sw.Do(func() error {
			br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: new(false)}
			br.Name = "br1"
			if k == 0 {
				if err := netlink.LinkAdd(br); err != nil {
					return err
				}
			}
			bridge, err := netlink.LinkByName("br1")
			if err != nil {
				return err
			}
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "to-" + name
			cable := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth1", PeerNamespace: netlink.NsFd(l.Node(name).FD())}
			if err := netlink.LinkAdd(cable); err != nil {
				return err
			}
			if err := netlink.LinkSetMaster(cable, bridge); err != nil {
				return err
			}
			if err := netlink.LinkSetUp(bridge); err != nil {
				return err
			}
			return netlink.LinkSetUp(cable)
		}))
		n := l.Node(name)
		_, err := n.Output("ip", "address", "add", fmt.Sprintf("10.78.0.%d/24", k+1), "dev", "eth1")
		l.Must(err)
		_, err = n.Output("ip", "link", "set", "eth1", "up")
		l.Must(err)
	}
	return func(set func(netlink.Link) error) error {
		return sw.Do(func() error {
			port, err := netlink.LinkByName("to-" + topology.LB1)
			if err != nil {
				return err
			}
			return set(port)
		})
	}
}

// crowned waits until web and db are in these states on lb1 and on lb2, and hold their VIPs accordingly. Empty states are those
// of a daemon that has ended.
func (l *lab) crowned(lb1, lb2 string, within time.Duration) time.Duration {
	return l.Eventually(fmt.Sprintf("web and db are %s on lb1 and %s on lb2", lb1, lb2), within, func() error {
		for _, one := range []struct {
			d    *director
			want string
		}{{l.lb1, lb1}, {l.lb2, lb2}} {
			if one.want == "" {
				continue
			}
			s, err := one.d.api.status()
			if err != nil {
				return err
			}
			var states []string
			for _, i := range s.Instances {
				states = append(states, i.State)
				if held, err := one.d.node.Output("ip", "-4", "-o", "address"); err != nil || strings.Contains(held, i.Addresses[0].Address) != (i.State == "MASTER") {
					return fmt.Errorf("%s is %s of %s, and its addresses are %s %v", one.d.node.Name, i.State, i.Name, held, err)
				}
			}
			if got := strings.Join(states, " "); got != one.want {
				return fmt.Errorf("they are %s on %s", got, one.d.node.Name)
			}
		}
		return nil
	})
}

// said waits for a line of the notify script.
func (l *lab) said(line string) {
	l.Eventually("the notify script was called with "+line, 10*time.Second, func() error {
		text, _ := os.ReadFile(notified(l.T))
		if !strings.Contains(string(text), line+"\n") {
			return fmt.Errorf("it wrote %q", text)
		}
		return nil
	})
}

// together checks that web and db have always become master at the same instant.
func (d *director) together() {
	at := map[string][]time.Time{}
	for _, o := range d.events() {
		if o.Code == "instance.state" && o.To == "MASTER" {
			at[o.Subject] = append(at[o.Subject], o.Time)
		}
	}
	if len(at["web"]) == 0 || len(at["web"]) != len(at["db"]) {
		d.lab.Fatalf("%s became MASTER of web at %v, and of db at %v", d.node.Name, at["web"], at["db"])
	}
	for k := range at["web"] {
		if apart := at["db"][k].Sub(at["web"][k]).Abs(); apart > 100*time.Millisecond {
			d.lab.Errorf("%s became MASTER of web and db %v apart", d.node.Name, apart)
		}
	}
}

// crossed: each router is master of one instance, and of both while the other is away.
func crossed(t *T) {
	l := newNet(t)
	text := plain(t, "pair-crossed.hcl")
	l.lb1, l.lb2 = l.newDirector(topology.LB1, text), l.newDirector(topology.LB2, text)
	l.lb1.start()
	l.lb2.start()
	l.crowned("MASTER BACKUP", "BACKUP MASTER", 15*time.Second)
	l.lb1.kill()
	t.Figure("moved after", l.crowned("", "MASTER MASTER", down+slack))
	l.lb1.start()
	l.crowned("MASTER BACKUP", "BACKUP MASTER", 15*time.Second)
	l.lb2.terminate()
	l.crowned("MASTER MASTER", "", 5*time.Second)
}

// trackScript: a script that hangs, prints without end or forks is cut off, says so, and counts as down.
func trackScript(t *T) {
	mode, child := t.Dir+"/mode", t.Dir+"/child"
	t.Must(os.WriteFile(mode, []byte("ok\n"), 0o644))
	script := t.Dir + "/alive.sh"
	t.Must(os.WriteFile(script, []byte(fmt.Sprintf(`#!/bin/sh
case $(cat %s) in
ok) exit 0 ;;
hang) sleep 300 & echo $! >%s; wait ;;
print) yes ;;
fork) for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5 6 7 8 9 10; do sleep 317 & done; wait) & done; wait ;;
esac
exit 1
`, mode, child)), 0o755))
	l := newNet(t)
	text := configuration(t, "pair-vip.hcl", edit{
		"  track \"checker\" {\n    name   = \"local\"\n    weight = -60\n  }",
		fmt.Sprintf("  track \"script\" {\n    command  = [%q]\n    interval = \"500ms\"\n    timeout  = \"300ms\"\n  }", script),
	})
	l.lb1 = l.newDirector(topology.LB1, text)
	l.lb1.start()
	l.lb1.await("MASTER", 15*time.Second)
	for _, how := range []string{"hang", "print", "fork", "fail"} {
		t.Must(os.WriteFile(mode, []byte(how+"\n"), 0o644))
		l.lb1.await("FAULT", 10*time.Second)
		reason := l.lb1.status().Instances[0].Reason
		if want := "timed out after 300ms"; strings.Contains(reason, want) != (how != "fail") || !strings.HasPrefix(reason, "script alive.sh is down") {
			t.Errorf("with a script that does %q the reason is %q, want it to say %q where it did not end", how, reason, want)
		}
		t.Must(os.WriteFile(mode, []byte("ok\n"), 0o644))
		l.lb1.await("MASTER", 15*time.Second)
	}
	l.Eventually("all that it has forked is gone", 5*time.Second, func() error {
		pids, err := l.lb1.node.Pids()
		for _, pid := range pids {
			if text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.HasPrefix(string(text), "sleep\x00317") {
				return fmt.Errorf("process %d is there", pid)
			}
		}
		return err
	})
	pid, err := os.ReadFile(child)
	t.Must(err)
	l.Eventually("what the script started is gone", 5*time.Second, func() error {
		if stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
			return fmt.Errorf("it is there: %s", stat)
		}
		return nil
	})
}

// plain is a configuration without a notify script.
func plain(t *T, name string) string {
	text, err := testdata.ReadFile("testdata/" + name)
	t.Must(err)
	return string(text)
}
