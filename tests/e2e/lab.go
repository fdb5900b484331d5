package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	vrid     = 51
	interval = time.Second
	// down is the longest that a peer of priority 100 waits for a master's advert at that interval (RFC 9568 section 6.1).
	down = 3*interval + interval*(256-100)/256
	// slack is what a loaded machine may add to any time that is asserted.
	slack = 700 * time.Millisecond
)

// lab is a network with what runs in it.
type lab struct {
	*T
	*topology.Net
	lb1, lb2 *director
	rs1, rs2 *web
	// vip is the address that is measured and whose owner is asked for.
	vip netip.Addr
	// local are the servers that the directors track.
	local map[string]*web
}

// newNet plugs the network together.
func newNet(t *T) *lab {
	n, err := topology.New()
	t.Must(err)
	t.Cleanup(func() { t.Must(n.Close()) })
	return &lab{T: t, Net: n, vip: topology.VIP, local: map[string]*web{}}
}

// echoes has a UDP echo for the VIP on both directors: who holds the VIP answers with its name.
func (l *lab) echoes() {
	for _, name := range []string{topology.LB1, topology.LB2} {
		l.Background(func(ctx context.Context) error {
			return probe.Echo(ctx, l.Node(name).NS, netip.AddrPortFrom(l.vip, probe.Port), name)
		})
	}
}

// newPair is the network with an echo on both directors and the local servers that they track; edit changes the text of
// the configuration. The directors are not started.
func newPair(t *T, edit ...edit) *lab {
	l := newNet(t)
	l.echoes()
	l.directors("pair-vip.hcl", edit...)
	return l
}

// newService is the network of the example: two web servers behind the directors. The directors are not started.
func newService(t *T, edit ...edit) *lab { return newServiceBy(t, "dr", edit...) }

// newServiceBy is the same with real servers that take packets by that method: dr or tun.
func newServiceBy(t *T, method string, edit ...edit) *lab {
	l := newNet(t)
	l.realServers(method)
	l.directors("pair-dr.hcl", edit...)
	return l
}

// realServers are the two web servers of the example, set up for a method of forwarding.
func (l *lab) realServers(method string) {
	for _, node := range []string{topology.RS1, topology.RS2} {
		l.realServer(node, "setup", "--method", method, "--vip", topology.VIP.String())
	}
	l.rs1 = l.serve(topology.RS1, "index.html", "rs1", "10.77.0.11:80", "10.77.0.100:80")
	l.rs2 = l.serve(topology.RS2, "index.html", "rs2", "10.77.0.12:80", "10.77.0.100:80")
}

// realServer runs a command on a real server, which has to succeed, and returns what it printed.
func (l *lab) realServer(node, command string, args ...string) string {
	args = append([]string{"realserver", command, "--root", filepath.Join(l.Dir, node)}, args...)
	out, err := l.Node(node).Output(filepath.Join(l.Bin, "vipward"), args...)
	if err != nil {
		l.Fatalf("vipward %s on %s: %v\n%s", strings.Join(args, " "), node, err, out)
	}
	l.Logf("%s: vipward realserver %s: %s", node, command, out)
	return out
}

func (l *lab) directors(config string, edits ...edit) {
	text := configuration(l.T, config, edits...)
	l.lb1, l.lb2 = l.director(topology.LB1, text), l.director(topology.LB2, text)
}

// director is a vipward on a node, with the local server that it tracks.
func (l *lab) director(node, text string) *director {
	l.local[node] = l.serve(node, "alive", "alive", "127.0.0.1:8081")
	return l.newDirector(node, text)
}

// up starts both directors and waits until lb1 is master and lb2 its backup.
func (l *lab) up() {
	l.lb1.start()
	l.lb2.start()
	l.lb1.await("MASTER", 15*time.Second)
	l.lb2.await("BACKUP", 5*time.Second)
	l.Eventually("lb1 holds the VIP alone", 5*time.Second, func() error { return l.owner(topology.LB1) })
}

// alone waits for that node to be the only one that holds the VIP: whoever hands it over, or loses it to a higher priority, keeps it
// for a moment after the other one has announced it.
func (l *lab) alone(name string) {
	l.Eventually(name+" holds the VIP alone", moment, func() error { return l.owner(name) })
}

// owner says what is wrong when not just that node holds the VIP; an empty name stands for nobody.
func (l *lab) owner(name string) error { return l.holds(l.vip, name) }

// holds says what is wrong when not just that node holds an address.
func (l *lab) holds(vip netip.Addr, name string) error {
	var holders []string
	for _, n := range []string{topology.LB1, topology.LB2} {
		holds, err := l.Node(n).Holds(vip)
		if err != nil {
			return err
		}
		if holds {
			holders = append(holders, n)
		}
	}
	if got := strings.Join(holders, " and "); got != name {
		return fmt.Errorf("%v is held by %q, want %q", vip, got, name)
	}
	return nil
}

// measure probes from the client until the returned function is called.
func (l *lab) measure(c probe.Config) (stop func() probe.Report) {
	c.VIP = l.vip
	p, err := probe.New(l.Node(topology.Client), c)
	l.Must(err)
	var r probe.Report
	end := l.Background(func(ctx context.Context) error {
		r = p.Run(ctx)
		return nil
	})
	return func() probe.Report {
		end()
		l.Logf("probe: %d datagrams, %d lost, by %v; %d requests, %d lost, by %v; late at most %v",
			len(r.UDP), len(r.UDP.Lost()), r.UDP.By(), len(r.HTTP), len(r.HTTP.Lost()), r.HTTP.By(), r.Late)
		return r
	}
}

// udp is the usual probe of a pair: a datagram each millisecond.
func udp() probe.Config { return probe.Config{UDP: time.Millisecond} }

// requests is the usual probe of a service: fresh connections, 40 a second. A request has failed when it is refused, broken,
// or not served in a time that leaves room for a stall of the machine, and none for a server that swallows it.
func requests() probe.Config {
	return probe.Config{HTTP: 25 * time.Millisecond, Timeout: 3 * time.Second}
}

// moment is how long both may hold the VIP in one planned move: the old master keeps it for another 50 ms after the new one
// has announced it, for the caches of the neighbours, and our ARP requests are 50 ms apart.
const moment = 200 * time.Millisecond

// lastWord is how long two may advertise at the end of a mastership: who has lost the election says so, once and at once.
const lastWord = 50 * time.Millisecond

// one asserts that there were never two owners of the VIP, but for a moment in each planned move, and never two masters.
func (l *lab) one(w probe.Wire, plannedMoves int) {
	l.Figure("two owners", w.TwoOwners())
	if two := w.TwoOwners(); two > time.Duration(plannedMoves)*moment {
		l.Errorf("two machines answered for the VIP for %v", two)
	}
	if two := w.TwoMasters(vrid, interval); two > lastWord {
		l.Errorf("two masters advertised for %v", two)
	}
}

// edit replaces a part of a configuration.
type edit struct{ old, new string }

// configuration is a file of testdata with the edits, each of which must apply, and with a notifier of this run.
func configuration(t *T, name string, edits ...edit) string {
	raw, err := testdata.ReadFile("testdata/" + name)
	t.Must(err)
	text := string(raw)
	edits = append([]edit{{"/usr/local/bin/notify.sh", filepath.Join(t.Dir, "notify.sh")}}, edits...)
	for _, e := range edits {
		if !strings.Contains(text, e.old) {
			t.Fatalf("%s does not contain %q", name, e.old)
		}
		text = strings.ReplaceAll(text, e.old, e.new)
	}
	script := fmt.Sprintf("#!/bin/sh\necho \"$VIPWARD_NODE $*\" >>%s\n", notified(t))
	t.Must(os.WriteFile(filepath.Join(t.Dir, "notify.sh"), []byte(script), 0o755))
	return text
}

// notified is the file that the exec notifier writes its arguments to.
func notified(t *T) string { return filepath.Join(t.Dir, "notified") }
